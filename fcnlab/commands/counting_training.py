"""`fcnlab count train`: networks that learn to count, from a project or from image files."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from fcnlab.commands.common import answer, found_project, json_option, opened, say, settings_of
from fcnlab.commands.models import model_values
from fcnlab.commands.output import show_progress
from fcnlab.commands.training import INTERRUPTED, last_line, model_of, progress_line, train_here, training_values
from fcnlab.counts import CountScore, Objective
from fcnlab.runs import Training, TrainingState, score_in_a_sentence
from fcnlab.specs import (
    COUNTING_NETWORK,
    DEFAULT_ENCODER,
    SCRATCH,
    NetworkName,
    NetworkSpec,
    TrainingSpec,
    Upsampling,
    counting_training,
)

if TYPE_CHECKING:
    from fcnlab.services.counting_files import MarkedFile
    from fcnlab.services.finetuning import TrainedNetwork

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
            "the one that counts held-out images better is used.",
        ),
        click.option(
            "--network",
            "-n",
            type=click.Choice([one.value for one in NetworkName if one is not NetworkName.LARGER_HEAD]),
            default=COUNTING_NETWORK.value,
            show_default=True,
        ),
        click.option("--encoder", help="A timm network; empty: none, from scratch."),
        click.option("--upsampling", type=click.Choice(get_args(Upsampling)), default="transposed", show_default=True),
        click.option("--width", default=32, show_default=True, help="First channels of a network from scratch."),
        click.option("--minutes", default=USUAL.minutes, show_default=True, help="For each network; 0: no limit."),
        click.option("--epochs", default=USUAL.epochs, show_default=True, help="At most."),
        click.option("--batch-size", default=USUAL.batch_size, show_default=True, help="Pictures per step."),
        click.option("--learning-rate", default=USUAL.learning_rate, show_default=True, help="Highest one."),
        click.option("--encoder-rate", default=USUAL.encoder_rate, show_default=True, help="Of it, for the encoder."),
        click.option("--colour", default=USUAL.colour, show_default=True, help="Changes of colour, 0 to 1."),
        click.option("--crop", default=USUAL.crop, show_default=True, help="Side cut out for a step; 0: all."),
        click.option("--magnification", default=0.0, show_default=True, help="0: chosen by the distance of objects."),
        click.option("--holdout", default=USUAL.holdout, show_default=True, help="Part of the images for the score."),
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
              "are held out together.")  # fmt: skip
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
    from fcnlab.services.counting_files import marked_files

    settings = settings_of(ctx)
    found = marked_files(images, points, max_pixels=settings.max_pixels)
    n_points = sum(len(one.marks) for one in found.files)
    say(f"{len(found.files)} images with {n_points} points; {len(found.unmarked)} images have none and are left out")
    made: list[tuple[TrainedNetwork, Objective]] = []
    for one in _objectives(objective, training):
        spec = replace(training, objective=one)
        trained = _trained(ctx, found.files, network, spec, group_by)
        made.append((trained, one))
        if trained.score is not None:
            say(f"{one}: {score_in_a_sentence(trained.score)}")
        elif objective == BEST:
            break  # nothing tells which counts better
    best = min(made, key=lambda one: one[0].score.mae if isinstance(one[0].score, CountScore) else 0.0)
    paths = _written(made, best, output)
    values = {
        "model": str(output),
        "objective": best[1].value,
        "score": None if best[0].score is None else asdict(best[0].score),
        "files": [str(path) for path in paths],
    }
    lines = [f"{path}" for path in paths]
    answer(values, [*lines, f"{output} counts by {best[1]}"], as_json=as_json)


def _train_project(
    ctx: click.Context, wanted: str, network: NetworkSpec, training: TrainingSpec, objective: str, *, as_json: bool
) -> None:
    """Train on what is marked in a project; `fcnlab trainings resume` goes on after Ctrl-C."""
    from fcnlab.services.trainings import start_counting

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
        made = [(one, model_of(lab, one)) for one in ended]
        used = found_project(lab, wanted).model_id
    lines = [f"{last_line(one, model)}{', used' if model and model.id == used else ''}" for one, model in made]
    values = [
        {"training": training_values(one), "model": None if model is None else model_values(model)}
        for one, model in made
    ]
    answer(values, lines, as_json=as_json)
    if any(one.state is not TrainingState.FINISHED for one in ended):
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
    names = {one.name for one in fields(TrainingSpec)}
    return network, replace(USUAL, **{name: value for name, value in options.items() if name in names})


def _objectives(wanted: str, training: TrainingSpec) -> list[Objective]:
    if wanted != BEST:
        return [Objective(wanted)]
    return [Objective.DENSITY, Objective.BLOBS] if training.holdout else [Objective.DENSITY]


def _trained(
    ctx: click.Context, files: Sequence[MarkedFile], network: NetworkSpec, training: TrainingSpec, group_by: str
) -> TrainedNetwork:
    """Train in this process."""
    from fcnlab.services.counting import train_counter
    from fcnlab.services.counting_files import FilePoints

    settings = settings_of(ctx)
    points = FilePoints(files, training, group_by=group_by, max_pixels=settings.max_pixels)
    n_held = len(points.held_out_names())
    say(
        f"{training.objective}: {network.network} on {len(files) - n_held} images, {n_held} held out, "
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


def _written(
    made: Sequence[tuple[TrainedNetwork, Objective]], best: tuple[TrainedNetwork, Objective], output: Path
) -> list[Path]:
    """Write the model that counts best as `output`, the other beside it."""
    from fcnlab.services.model_files import write_model

    paths = []
    for trained, objective in made:
        is_best = objective is best[1]
        path = output if is_best else output.with_name(f"{output.stem}-{objective}{output.suffix}")
        write_model(path, trained.arrays, trained.spec)
        paths.append(path)
    return paths
