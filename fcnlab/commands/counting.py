"""`fcnlab count`: networks that count objects, trained on a project or on files, applied and evaluated."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, say, settings_of
from fcnlab.commands.models import model_values
from fcnlab.commands.output import show_progress
from fcnlab.commands.training import INTERRUPTED, last_line, model_of, progress_line, train_here, training_values
from fcnlab.domain.counting import CountScore, Objective
from fcnlab.domain.network import (
    COUNTING_NETWORK,
    DEFAULT_ENCODER,
    SCRATCH,
    NetworkName,
    NetworkSpec,
    Upsampling,
)
from fcnlab.domain.scores import score_in_a_sentence
from fcnlab.domain.training import Training, TrainingSpec, TrainingState, counting_training
from fcnlab.errors import Diverged, FcnlabError, InvalidSetting

if TYPE_CHECKING:
    from fcnlab.services.counting.marked_files import MarkedFile
    from fcnlab.services.training.finetuning import TrainedNetwork


USUAL = counting_training(Objective.DENSITY)
BEST = "best"


def _training_options(command: Any) -> Any:
    options = (
        click.option(
            "--objective",
            type=click.Choice([BEST, Objective.DENSITY.value, Objective.BLOBS.value]),
            default=BEST,
            show_default=True,
            help="Density: a map whose sum is the count. Blobs: one blob per object. Best: both, one after the other; "
            "the one that counts validation images better is used.",
        ),
        click.option(
            "--network",
            "-n",
            type=click.Choice([name.value for name in NetworkName if name is not NetworkName.LARGER_HEAD]),
            default=COUNTING_NETWORK.value,
            show_default=True,
        ),
        click.option("--encoder", help="A timm network; empty: none, from scratch."),
        click.option("--upsampling", type=click.Choice(get_args(Upsampling)), default="transposed", show_default=True),
        click.option("--width", default=32, show_default=True, help="First channels of a network from scratch."),
        click.option("--minutes", default=USUAL.minutes, show_default=True, help="For each network; 0: no limit."),
        click.option("--epochs", default=USUAL.epochs, show_default=True, help="At most."),
        click.option("--batch-size", default=USUAL.batch_size, show_default=True, help="Images per step."),
        click.option("--learning-rate", default=USUAL.learning_rate, show_default=True, help="Highest one."),
        click.option("--encoder-rate", default=USUAL.encoder_rate, show_default=True, help="Of it, for the encoder."),
        click.option("--colour", default=USUAL.colour, show_default=True, help="Changes of colour, 0 to 1."),
        click.option(
            "--crop",
            default=USUAL.crop,
            show_default=True,
            help="Crop size: side of the part of an image for a step; 0: all.",
        ),
        click.option("--magnification", default=0.0, show_default=True, help="0: chosen by the distance of objects."),
        click.option(
            "--holdout", default=USUAL.holdout, show_default=True, help="Part of the images kept for validation."
        ),
        click.option("--seed", default=USUAL.seed, show_default=True),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command()
@click.option("--project", "-p", "wanted", help="Name or number of a project that counts, in place of files.")
@click.option("--images", multiple=True, help="A folder or pattern of image files; may be given again.")
@click.option("--points", type=click.Path(path_type=Path), help="A folder of point files, or one file for all.")
@click.option("--group-by", default="", help="Images in whose names this regular expression finds the same text "
              "are kept for validation together.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The model file to write.")
@_training_options
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    /,
    wanted: str | None,
    images: tuple[str, ...],
    points: Path | None,
    group_by: str,
    output: Path | None,
    objective: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network that counts, on a project or on image files whose objects are all marked.

    Point files are JSON ([[x, y], ...] per image) or CSV (columns x and y, perhaps class), called after their images.
    """
    network, training = _specs(options)
    if wanted is not None:
        if images or points is not None or output is not None or group_by:
            raise click.UsageError("give --project, or --images with --points and --output")
        _train_project(ctx, wanted, network, training, objective, as_json=as_json)
        return
    if not images or points is None or output is None:
        raise click.UsageError("give --project, or --images, --points and --output")
    from fcnlab.services.counting.marked_files import marked_files

    settings = settings_of(ctx)
    marked = marked_files(images, points, max_pixels=settings.max_pixels)
    n_points = sum(len(file.marks) for file in marked.files)
    say(f"{len(marked.files)} images with {n_points} points; {len(marked.unmarked)} images have none and are left out")
    made = Made(output, _objectives(objective, training))
    is_stopped = _train_each(ctx, made, marked.files, network, training, group_by)
    best, paths = made.best, made.paths()
    values = {
        "model": str(output),
        "objective": best[1].value,
        "score": None if best[0].score is None else asdict(best[0].score),
        "files": [str(path) for path in paths],
    }
    lines = [f"{path}" for path in paths]
    print_result(values, [*lines, f"{output} counts by {best[1]}"], as_json=as_json)
    if is_stopped:
        ctx.exit(INTERRUPTED)


def _train_project(
    ctx: click.Context, wanted: str, network: NetworkSpec, training: TrainingSpec, objective: str, *, as_json: bool
) -> None:
    """Train on what is marked in a project; `fcnlab trainings resume` goes on after Ctrl-C."""
    from fcnlab.services.training.trainings import start_counting

    with opened(ctx) as lab:
        project = found_project(lab, wanted)

        def queue() -> tuple[Training, ...]:
            return start_counting(
                lab,
                project_id=project.id,
                network=replace(network, n_classes=max(2, len(project.classes))),
                training=training,
                objectives=_objectives(objective, training),
                labeller="command line",
            )

        ended = train_here(lab, project, queue)
        made = [(trained, model_of(lab, trained)) for trained in ended]
        used = found_project(lab, wanted).model_id
    lines = [f"{last_line(trained, model)}{', used' if model and model.id == used else ''}" for trained, model in made]
    values = [
        {"training": training_values(trained), "model": None if model is None else model_values(model)}
        for trained, model in made
    ]
    print_result(values, lines, as_json=as_json)
    if any(trained.state is not TrainingState.FINISHED for trained in ended):
        ctx.exit(INTERRUPTED)


def _specs(options: dict[str, Any]) -> tuple[NetworkSpec, TrainingSpec]:
    from fcnlab.core.networks.registry import NETWORKS

    name = NetworkName(options.pop("network"))
    encoder = options.pop("encoder")
    usual = DEFAULT_ENCODER if NETWORKS[name].uses_encoder else SCRATCH
    network = NetworkSpec(
        name,
        2,
        encoder=usual if encoder is None else encoder,
        upsampling=options.pop("upsampling"),
        width=options.pop("width"),
    )
    names = {field.name for field in fields(TrainingSpec)}
    return network, replace(USUAL, **{name: value for name, value in options.items() if name in names})


def _objectives(wanted: str, training: TrainingSpec) -> list[Objective]:
    if wanted != BEST:
        return [Objective(wanted)]
    return [Objective.DENSITY, Objective.BLOBS] if training.holdout else [Objective.DENSITY]


def _trained(
    ctx: click.Context, files: Sequence[MarkedFile], network: NetworkSpec, training: TrainingSpec, group_by: str
) -> TrainedNetwork:
    """Train in this process."""
    from fcnlab.services.counting.counters import train_counter
    from fcnlab.services.counting.marked_files import FilePoints

    settings = settings_of(ctx)
    points = FilePoints(files, training, group_by=group_by, max_pixels=settings.max_pixels)
    n_held = len(points.held_out_names())
    say(
        f"{training.objective}: {network.network} on {len(files) - n_held} images, {n_held} for validation, "
        f"{training.minutes:g} min, enlarged {points.training.magnification:.2f} times"
    )
    steps = train_counter(points, network, device=settings.device)
    said = 0.0
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            result: TrainedNetwork = end.value
            show_progress("")
            return result
        show_progress(progress_line(progress))
        if time.monotonic() - said > 30:
            said = time.monotonic()
            say(progress_line(progress))


class Made:
    """The networks trained so far, in files: the one that counts best is `output`, the other lies beside it.

    Each is written when it ends, so that what comes after cannot lose it.

    Raises:
        ExportFailed: a file could not be written there.
    """

    def __init__(self, output: Path, objectives: Sequence[Objective]) -> None:
        from fcnlab.services.models.files import refuse_unwritable_model

        self._output, self.objectives = output, objectives
        self._made: list[tuple[TrainedNetwork, Objective]] = []
        for path in (output, *map(self._beside, objectives)):
            refuse_unwritable_model(path)

    @property
    def best(self) -> tuple[TrainedNetwork, Objective]:
        """The network whose counts of held-out images are least off, the first among equals."""
        return min(self._made, key=lambda pair: pair[0].score.mae if isinstance(pair[0].score, CountScore) else 0.0)

    def __bool__(self) -> bool:
        return bool(self._made)

    def add(self, trained: TrainedNetwork, objective: Objective) -> None:
        """Write one more; one that was best and is so no longer gets another name first."""
        from fcnlab.services.models.files import write_model

        self._made.append((trained, objective))
        (best, its), changed = self.best, [(trained, objective)]
        if its is objective:
            changed = [pair for pair in self._made if pair[1] is not objective] + changed
        for network, network_objective in changed:
            write_model(
                self._output if network is best else self._beside(network_objective), network.arrays, network.spec
            )

    def paths(self) -> list[Path]:
        """The files, in the order of training."""
        return [
            self._output if network is self.best[0] else self._beside(objective) for network, objective in self._made
        ]

    def _beside(self, objective: Objective) -> Path:
        return self._output.with_name(f"{self._output.stem}-{objective}{self._output.suffix}")


def _train_each(
    ctx: click.Context,
    made: Made,
    files: Sequence[MarkedFile],
    network: NetworkSpec,
    training: TrainingSpec,
    group_by: str,
) -> bool:
    """Train for one objective after the other; whether Ctrl-C ended it after the first.

    Raises:
        Diverged: no network is left. KeyboardInterrupt: none was finished.
    """
    failure: Diverged | None = None
    for objective in made.objectives:
        try:
            trained = _trained(ctx, files, network, replace(training, objective=objective), group_by)
        except Diverged as diverged:
            failure = diverged
            say(f"{objective}: {diverged}")
            continue
        except KeyboardInterrupt:
            if not made:
                raise
            say(f"Stopped; {objective} is not finished")
            return True
        made.add(trained, objective)
        if trained.score is None:
            break  # nothing tells which counts better
        say(f"{objective}: {score_in_a_sentence(trained.score)}")
    if failure is not None and not made:
        raise failure
    return False


@click.group()
def count() -> None:
    """Count objects from one point each."""


@count.command()
@click.option("--model", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A model file.")
@click.option("--images", multiple=True, required=True, help="A folder or pattern of image files.")
@click.option("--points", required=True, type=click.Path(path_type=Path), help="Their point files, as for train.")
@click.option("--radius", type=float, help="Pixels within which an object is found; half the usual distance.")
@click.option("--known-images", is_flag=True, help="Judge it on images that made it what it is as well.")
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: Path,
    images: tuple[str, ...],
    points: Path,
    radius: float | None,
    known_images: bool,
    as_json: bool,
) -> None:
    """Say how well a counter counts images whose objects are all marked.

    Images that the counter learned from are left out, and so are its validation images, by which it was calibrated and
    chosen: they say too little about others.
    """
    from fcnlab.services.counting.counters import CounterEvaluation, open_counter
    from fcnlab.services.counting.marked_files import marked_files

    settings = settings_of(ctx)
    if radius is not None and not 0 < radius < math.inf:
        raise InvalidSetting(f"radius {radius:g} must be a number of pixels above zero")
    counter = open_counter(model, device=settings.device)
    marked = marked_files(images, points, max_pixels=settings.max_pixels)
    files = marked.files
    if marked.unmarked:
        say(f"Left out {len(marked.unmarked)} images without points, {marked.unmarked[0]} first")
    seen_images = counter.learned_images | counter.calibrated_images
    evaluated = [file for file in files if known_images or file.content_hash not in seen_images]
    if len(evaluated) < len(files):
        say(
            f"Left out {len(files) - len(evaluated)} images that {model.name} learned from or was calibrated by "
            "(--known-images takes them in)"
        )
    if not evaluated:
        raise FcnlabError(
            f"{model.name} learned from all of these images, or was calibrated by them: give others, for these prove "
            "too little"
        )
    evaluation = CounterEvaluation(counter, evaluated, radius=radius, max_pixels=settings.max_pixels)
    started, n_refused = time.monotonic(), 0
    images_out: list[dict[str, Any]] = []
    for step in evaluation.run():
        show_progress(f"{step.done} of {step.total}")
        if step.refused:
            n_refused += 1
            say(f"Left out {step.name}: {step.refused}")
            continue
        images_out.append({"image": step.name, "true": dict(step.true), "counted": dict(step.counted)})
    show_progress("")
    score, seconds = evaluation.score(), time.monotonic() - started
    names = dict(counter.classes)
    values = {**asdict(score), "radius": evaluation.radius, "seconds": seconds, "images": images_out}
    print_result(values, _score_lines(score, evaluation.radius, names, seconds), as_json=as_json)
    ctx.exit(1 if n_refused else 0)


def _score_lines(score: CountScore, radius: float, names: dict[int, str], seconds: float) -> list[str]:
    game = "  ".join(f"GAME({level}) {value:.2f}" for level, value in enumerate(score.game))
    lines = [
        f"{score.n_images} images, {score.n_objects} objects, {score.n_images / max(seconds, 1e-6):.1f} images/s",
        f"MAE {score.mae:.2f}  RMSE {score.rmse:.2f}  MRE {score.mre:.1%}  {game}",
        f"precision {score.precision:.3f}  recall {score.recall:.3f}  F {score.f_score:.3f} within {radius:.1f} pixels",
    ]
    if len(score.per_class) > 1:
        lines += [f"MAE of {names[class_id]}: {error:.2f}" for class_id, error in score.per_class.items()]
    return lines


@count.command()
@click.option("--model", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A model file.")
@click.option("--input", "-i", "inputs", multiple=True, help="A file, a folder, or a pattern: 'folder/**/*.tif'.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Table of counts (CSV).")
@click.option("--objects", type=click.Path(dir_okay=False, path_type=Path), help="Table of the objects found (CSV).")
@click.option("--coco", type=click.Path(dir_okay=False, path_type=Path), help="The objects as COCO keypoints (JSON).")
@click.option("--density", type=click.Path(file_okay=False, path_type=Path), help="Folder of densities (32-bit TIFF).")
@click.argument("images", nargs=-1)
@click.pass_context
def predict(
    ctx: click.Context,
    model: Path,
    inputs: tuple[str, ...],
    output: Path | None,
    objects: Path | None,
    coco: Path | None,
    density: Path | None,
    images: tuple[str, ...],
) -> None:
    """Count the objects in image files.

    The table has a line per image and class; `low` and `high` hold the true count in 9 of 10 images; `learned_from` is
    `calibrated` for validation images of training. A file that cannot
    be read is named, the rest goes on, and the exit code is 1 then.
    """
    if not inputs and not images:
        raise click.UsageError("give images, or --input")
    if output is None and objects is None and coco is None and density is None:
        raise click.UsageError("give --output, --objects, --coco or --density")
    from fcnlab.services.counting.counted_files import CountTargets, count_input_files
    from fcnlab.services.counting.counters import open_counter
    from fcnlab.services.predict.predicted_files import input_files

    settings = settings_of(ctx)
    counter = open_counter(model, device=settings.device)
    files = input_files([*inputs, *images], max_pixels=settings.max_pixels)
    targets = CountTargets(output, objects, coco, density)
    totals = dict.fromkeys((class_id for class_id, _ in counter.classes[1:]), 0.0)
    started, n_refused = time.monotonic(), 0
    for step in count_input_files(counter, files, targets, max_pixels=settings.max_pixels):
        if step.count is None:
            n_refused += 1
            show_progress("")
            say(f"Left out {step.name}: {step.refused}")
            continue
        for class_count in step.count.counts:
            totals[class_count.class_id] += class_count.count
        rate = step.done / max(time.monotonic() - started, 1e-6)
        show_progress(f"{step.done} of {step.total}, {rate:.1f} images per second")
    show_progress("")
    names, seconds = dict(counter.classes), time.monotonic() - started
    counted = ", ".join(f"{total:.1f} {names[class_id]}" for class_id, total in totals.items())
    n_made = len(files) - n_refused
    say(f"{counted} in {n_made} images; {n_made / max(seconds, 1e-6):.1f} images per second; {n_refused} left out")
    ctx.exit(1 if n_refused else 0)


count.add_command(train)
