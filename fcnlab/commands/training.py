"""`fcnlab train`, `fcnlab worker` and `fcnlab trainings`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option, say
from fcnlab.commands.models import model_values, score_in_words
from fcnlab.commands.tags.choosing import chosen_by_tag, tag_option
from fcnlab.domain.counting import CountScore
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.network import (
    DEFAULT_ENCODER,
    USUAL_ORDER,
    USUAL_UPSAMPLING,
    NetworkName,
    NetworkSpec,
    Order,
    Upsampling,
)
from fcnlab.domain.scores import duration_in_words, figure_in_brief, score_to_dict
from fcnlab.domain.training import Training, TrainingProgress, TrainingSpec, TrainingState
from fcnlab.errors import FcnlabError, UnknownModel

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab

DEFAULTS = TrainingSpec()
ORDER_HELP = f"Default: {USUAL_ORDER}; from a version, as that one does."
INTERRUPTED = 130
"""Exit code of a command that Ctrl-C ended."""


@click.command()
@project_option
@click.option(
    "--network", "-n", type=click.Choice([name.value for name in NetworkName]), default="fcn8s", show_default=True
)
@click.option(
    "--encoder", default=DEFAULT_ENCODER, show_default=True, help="A timm network; empty: none, from scratch."
)
@click.option("--encoder-weights", default="", help="A weight file, in place of the bundled or hub weights.")
@click.option("--upsampling", type=click.Choice(get_args(Upsampling)), help="Transposed; for fcn2s bilinear.")
@click.option("--order", type=click.Choice(get_args(Order)), help=f"Of grades, if there are any. {ORDER_HELP}")
@click.option("--width", default=32, show_default=True, help="First channels of a network from scratch.")
@click.option("--epochs", default=DEFAULTS.epochs, show_default=True, help="At most.")
@click.option("--minutes", default=DEFAULTS.minutes, show_default=True, help="At most; 0: no limit.")
@click.option("--batch-size", default=DEFAULTS.batch_size, show_default=True, help="Images per step.")
@click.option("--learning-rate", default=DEFAULTS.learning_rate, show_default=True, help="Highest one.")
@click.option("--encoder-rate", default=DEFAULTS.encoder_rate, show_default=True, help="Of the encoder, as a part.")
@click.option("--freeze-encoder", is_flag=True, help="Leave the encoder as it is.")
@click.option("--holdout", default=DEFAULTS.holdout, show_default=True, help="Part of the images kept for validation.")
@click.option(
    "--absent-weight",
    default=DEFAULTS.absent_weight,
    show_default=True,
    help="Weight of tags that say which classes an image does not contain; 0: they teach nothing.",
)
@click.option("--patience", default=DEFAULTS.patience, show_default=True, help="Epochs without a better score; 0: any.")
@click.option(
    "--crop",
    default=DEFAULTS.crop,
    show_default=True,
    help="Crop size: longer side of the part of an image for a step; 0: all.",
)
@click.option(
    "--working-side", default=DEFAULTS.working_side, show_default=True, help="Input size: longer side of an image."
)
@click.option("--class-weight", type=click.Choice(["balanced", "none"]), default="balanced", show_default=True)
@click.option("--source-weight", "source_weights", multiple=True, help="Such as query=2; other points weigh 1.")
@click.option("--staged/--all-at-once", default=True, show_default=True, help="FCNs: coarse to fine, or not.")
@click.option("--seed", default=DEFAULTS.seed, show_default=True)
@click.option("--from-model", type=int, help="Number of a version of the same network to start from.")
@tag_option
@click.option("--labeller", default="command line", show_default=True, help="Who asks for it.")
@click.option("--wait/--background", default=True, show_default=True, help="Train here, or in a worker process.")
@json_option
@click.pass_context
def train(
    ctx: click.Context,
    /,
    wanted: str,
    tag_texts: tuple[str, ...],
    labeller: str,
    wait: bool,
    as_json: bool,
    from_model: int | None,
    **options: Any,
) -> None:
    """Train a network on all points of a project.

    Ctrl-C pauses: `fcnlab trainings resume` goes on from there. The version is saved when training has ended.
    """
    from fcnlab.services.training.trainings import too_short_in_words

    usual = USUAL_UPSAMPLING.get(NetworkName(options["network"]), "transposed")
    options["upsampling"] = options["upsampling"] or usual
    names = {field.name for field in fields(TrainingSpec)}
    training = TrainingSpec(**{name: value for name, value in options.items() if name in names})
    shape = {name: value for name, value in options.items() if name not in names}
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        if from_model is not None:
            training = replace(training, parent=_parent_file(lab, project, from_model))
        network = NetworkSpec(n_classes=max(2, len(project.classes)), **shape)
        image_ids = chosen_by_tag(lab, project, tag_texts)
        queue = partial(_queued, lab, project, network, training, labeller, image_ids)
        (ended,) = train_here(lab, project, queue) if wait else train_elsewhere(lab, project, queue)
        model = model_of(lab, ended)
    values = {"training": training_values(ended), "model": None if model is None else model_values(model)}
    too_short = too_short_in_words([(ended.network.network.value, ended)])
    print_result(values, [last_line(ended, model), *([too_short] if too_short else [])], as_json=as_json)
    if wait and ended.state is not TrainingState.FINISHED:
        ctx.exit(INTERRUPTED if ended.state is TrainingState.PAUSED else 1)


def _parent_file(lab: Lab, project: Project, model_id: int) -> str:
    """The file of a model of the project. Raises UnknownModel."""
    from fcnlab.services.models.models import models

    for model in models(lab, project_id=project.id):
        if model.id == model_id:
            return model.file
    raise UnknownModel(f"project {project.name!r} has no version {model_id}: `fcnlab models list` shows those it has")


@click.command()
@project_option
@click.option("--idle", "idle_s", default=10.0, show_default=True, help="End after so many seconds with nothing to do.")
@click.pass_context
def worker(ctx: click.Context, wanted: str, idle_s: float) -> None:
    """Train what is queued for a project.

    It takes one thread and what others leave of the processor. The web application starts workers by itself.
    """
    import logging

    from fcnlab.services.training.worker import fine_tune, run_worker
    from fcnlab.services.training.workers import become_background

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    become_background()
    with opened(ctx) as lab:
        run_worker(lab, project_id=found_project(lab, wanted).id, trainer=fine_tune, idle_s=idle_s)


@click.group()
def trainings() -> None:
    """Look after trainings."""


@trainings.command("list")
@project_option
@json_option
@click.pass_context
def list_trainings(ctx: click.Context, wanted: str, as_json: bool) -> None:
    """All trainings of a project, newest first."""
    from fcnlab.services.models.models import models as all_models
    from fcnlab.services.training.trainings import trainings as all_trainings

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        listed = all_trainings(lab, project_id=project.id)
        models = {model.id: model for model in all_models(lab, project_id=project.id)}
    made = [models.get(training.model_id) if training.model_id is not None else None for training in listed]
    lines = [
        f"{training.id:>4}  {training.network.network}  {training.state}, epoch {training.epoch} of {training.epochs}"
        f"{': ' + training.message if training.message else ''}{'' if model is None else ': ' + score_in_words(model)}"
        for training, model in zip(listed, made, strict=True)
    ]
    values = [
        {
            **training_values(training),
            "score": None if model is None or model.score is None else score_to_dict(model.score),
        }
        for training, model in zip(listed, made, strict=True)
    ]
    print_result(values, lines or ["No trainings yet: fcnlab train"], as_json=as_json)


@trainings.command()
@click.argument("number", type=int)
@click.pass_context
def pause(ctx: click.Context, number: int) -> None:
    """Let a training rest; `resume` goes on from there."""
    from fcnlab.services.training.trainings import pause_training

    with opened(ctx) as lab:
        training = pause_training(lab, training_id=number)
    say(f"Training {number} {'is paused' if training.state is TrainingState.PAUSED else 'pauses after this epoch'}")


@trainings.command()
@click.argument("number", type=int)
@click.pass_context
def resume(ctx: click.Context, number: int) -> None:
    """Let a training that was paused, interrupted or failed go on in a worker process."""
    from fcnlab.services.training.trainings import resume_training
    from fcnlab.services.training.workers import ensure_worker

    with opened(ctx) as lab:
        training = resume_training(lab, training_id=number)
        ensure_worker(lab, project_id=training.project_id)
    say(f"Training {number} goes on in a worker process")


@trainings.command()
@click.argument("number", type=int)
@click.pass_context
def cancel(ctx: click.Context, number: int) -> None:
    """End a training for good; its curves stay, but no version comes of it."""
    from fcnlab.services.training.trainings import cancel_training

    with opened(ctx) as lab:
        training = cancel_training(lab, training_id=number)
    say(f"Training {number} {'is cancelled' if training.state is TrainingState.CANCELLED else 'ends in a moment'}")


def training_values(training: Training) -> dict[str, Any]:
    """A training in plain values."""
    times = {name: getattr(training, name) for name in ("created_at", "started_at", "finished_at")}
    return {
        **asdict(training),
        "network": training.network.to_dict(),
        "training": training.training.to_dict(),
        **{name: None if timestamp is None else timestamp.isoformat() for name, timestamp in times.items()},
    }


def progress_line(progress: TrainingProgress) -> str:
    """One epoch in one line."""
    parts = [f"epoch {progress.epoch}/{progress.epochs}", progress.network.value, f"loss {progress.loss:.4f}"]
    if progress.score is not None:
        score = progress.score
        is_count = isinstance(score, CountScore)
        parts.append(f"validation MAE {figure_in_brief(score)}" if is_count else f"validation {figure_in_brief(score)}")
    parts += [f"{progress.images_per_second:.1f} images/s", f"{duration_in_words(progress.seconds_left)} left"]
    return "  ".join(parts)


Queue = Callable[[], Sequence[Training]]
"""Queues trainings of a project and says which."""


def train_here(lab: Lab, project: Project, queue: Queue) -> list[Training]:
    """Train in this process, one after the other; the trainings at their end, paused or cancelled.

    Raises:
        FcnlabError: one failed.
    """
    from fcnlab.services.training.lease_holder import Interrupted, LeaseHolder
    from fcnlab.services.training.trainings import pause_training
    from fcnlab.services.training.trainings import training as find_training
    from fcnlab.services.training.worker import fine_tune, work_on
    from fcnlab.services.training.workers import ensure_workers

    with LeaseHolder(lab, project_id=project.id) as holder:
        queued = queue()
        try:
            for training in queued:
                say(f"Training {training.id}: {training.network.network} on {project.name!r}; Ctrl-C pauses it")
                with closing(work_on(lab, holder, training, fine_tune)) as steps:
                    for progress in steps:
                        say(progress_line(progress))
        except (KeyboardInterrupt, Interrupted):
            say("Stopped")
            _pause_the_rest(lab, queued)
    ended = [find_training(lab, training_id=training.id) for training in queued]
    for index, training in enumerate(ended):
        if training.state is TrainingState.RUNNING:  # the process was asked to end
            ended[index] = pause_training(lab, training_id=training.id)
    ensure_workers(lab, only=project.id)  # what was queued meanwhile
    for training in ended:
        if training.state is TrainingState.FAILED:
            raise FcnlabError(f"training {training.id} failed: {training.message}")
    return ended


def _pause_the_rest(lab: Lab, queued: Sequence[Training]) -> None:
    """Let those rest whose turn had not come."""
    from fcnlab.services.training.trainings import pause_training
    from fcnlab.services.training.trainings import training as find_training

    for training in queued[1:]:
        if find_training(lab, training_id=training.id).state is TrainingState.QUEUED:
            pause_training(lab, training_id=training.id)


def train_elsewhere(lab: Lab, project: Project, queue: Queue) -> list[Training]:
    """Leave the trainings to a worker process."""
    from fcnlab.services.training.workers import ensure_worker

    queued = queue()
    ensure_worker(lab, project_id=project.id)
    return list(queued)


def _queued(
    lab: Lab,
    project: Project,
    network: NetworkSpec,
    spec: TrainingSpec,
    labeller: str,
    image_ids: Sequence[int] | None,
) -> list[Training]:
    from fcnlab.services.training.trainings import start_training

    return [
        start_training(
            lab, project_id=project.id, network=network, training=spec, labeller=labeller, image_ids=image_ids
        )
    ]


def model_of(lab: Lab, training: Training) -> ModelRecord | None:
    """The model that a training made, if it did."""
    from fcnlab.services.models.models import models as all_models

    records = all_models(lab, project_id=training.project_id)
    return next((model for model in records if model.id == training.model_id), None)


def last_line(training: Training, model: ModelRecord | None) -> str:
    """What came of a training, in one line."""
    if model is not None:
        return f"Version {model.id}, {model.name}: {score_in_words(model)}, {model.n_points} points, {model.file}"
    if training.state is TrainingState.PAUSED:
        return f"Paused after epoch {training.epoch}; go on with: fcnlab trainings resume {training.id}"
    if training.state is TrainingState.QUEUED:
        return f"Training {training.id} is queued; a worker process takes it up: fcnlab trainings list"
    return f"Training {training.id} is {training.state}"
