"""`fcnlab fit` and `fcnlab predict`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnlab.commands.common import (
    found_project,
    json_option,
    learner_of,
    opened,
    print_result,
    project_option,
    say,
    settings_of,
)
from fcnlab.commands.output import LateChoice, say_what_training_lacks, shape_options, shapes_of, show_progress
from fcnlab.domain.export import ExportSpec

if TYPE_CHECKING:
    from fcnlab.core.images.painting import Painting
    from fcnlab.core.learner.model import Model
    from fcnlab.core.training.network_model import NetworkModel
    from fcnlab.core.training.network_output import ChosenNetwork
    from fcnlab.domain.images import Imaging
    from fcnlab.domain.project import ClassLabel
    from fcnlab.services.predict.predicted_files import Prediction


@click.command()
@project_option
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A copy of the model, for `predict --model`.",
)
@json_option
@click.pass_context
def fit(ctx: click.Context, wanted: str, output: Path | None, as_json: bool) -> None:
    """Learn from all points of a project and save the model.

    It is kept in the data folder; --output puts a copy where you want it, and replaces a file that is there.
    """
    from fcnlab.services.live.masks import save_model
    from fcnlab.services.models.exports import copy_checkpoint
    from fcnlab.services.training.training_points import training_accuracy

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        with learner_of(lab, project) as learner:
            saved = save_model(lab, learner)
        path = lab.folders.checkpoints / saved.record.checkpoint
        if output is not None:
            path = copy_checkpoint(lab, checkpoint=saved.record.checkpoint, to=output)
    accuracy = training_accuracy(saved.model)
    values = {
        "project": project.id,
        "checkpoint": str(path),
        "points": saved.record.n_points,
        "training_accuracy": accuracy,
        "milliseconds": saved.record.milliseconds,
    }
    lines = [str(path), f"{saved.record.n_points} points, training accuracy {accuracy:.1%}"]
    print_result(values, lines, as_json=as_json)


def _predicted_formats() -> tuple[str, ...]:
    from fcnlab.services.export.formats import PREDICTIONS, formats_from

    return tuple(each.name for each in formats_from(PREDICTIONS))


@click.command()
@click.option("--project", "-p", "wanted", help="Name or number of the project to learn from.")
@click.option(
    "--model", type=click.Path(dir_okay=False, path_type=Path), help="A model that `fit` saved or `train` made."
)
@click.option("--input", "-i", "inputs", multiple=True, help="A file, a folder, or a pattern: 'folder/**/*.tif'.")
@click.option("--output", "-o", required=True, type=click.Path(file_okay=False, path_type=Path), help="A folder.")
@click.option(
    "--format",
    "-f",
    "formats",
    multiple=True,
    type=LateChoice(_predicted_formats),
    help="As `export` has them; several may be given. Without one: a palette PNG per image in the folder.",
)
@shape_options
@click.option(
    "--plain", "is_unrefined", is_flag=True, help="The instant learner's head alone: rougher, several times as fast."
)
@click.argument("images", nargs=-1)
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    wanted: str | None,
    model: Path | None,
    inputs: tuple[str, ...],
    output: Path,
    formats: tuple[str, ...],
    is_unrefined: bool,
    images: tuple[str, ...],
    **shapes: Any,
) -> None:
    """Segment image files.

    Images are given by --input or as arguments. Masks are PNG whose pixel value is the class id, or what --format says;
    files of the same names in the folder are replaced.

    Each page of a stack gives a mask of its own: stack_001, stack_002 and so on. Zip archives must be unpacked before.

    A file that cannot be read is named, the rest goes on, and the exit code is 1 then.
    """
    if (wanted is None) == (model is None):
        raise click.UsageError("give either --project or --model")
    if not inputs and not images:
        raise click.UsageError("give images, or --input")
    from fcnlab.services.predict.predicted_files import input_files, predict_files
    from fcnlab.services.predict.predicting import Predictor

    settings, learned = settings_of(ctx), _known(ctx, wanted, model)
    files = input_files([*inputs, *images], max_pixels=settings.max_pixels)
    chosen = shapes_of(tuple(learned.labels), **shapes)
    spec = ExportSpec(formats or ("index",), **chosen)
    predictor = Predictor(
        learned.content,
        device=settings.device,
        max_pixels=settings.max_pixels,
        is_unrefined=is_unrefined,
        paintings=learned.paintings,
        imaging=learned.imaging,
    )
    steps = predict_files(
        predictor,
        files,
        labels=learned.labels,
        background=learned.background,
        spec=spec,
        is_bare=not formats,
        to=output,
    )
    n_refused = _told(steps)
    say_what_training_lacks(spec)
    ctx.exit(1 if n_refused else 0)


def _told(steps: Iterator[Prediction]) -> int:
    """Say what was written and what was left out, and how fast; how many files were left out."""
    n_refused = n_done = 0
    started = time.monotonic()
    for step in steps:
        show_progress("")
        n_done = step.done
        if step.refused:
            n_refused += 1
            say(f"Left out {step.image}: {step.refused}")
        for file in step.files:
            click.echo(str(file))
        rate = step.done / max(time.monotonic() - started, 1e-6)
        show_progress(f"{step.done} of {step.total}, {rate:.1f} images per second")
    show_progress("")
    seconds = time.monotonic() - started
    n_made = n_done - n_refused
    say(f"{n_made} masks in {seconds:.1f} s, {n_made / max(seconds, 1e-6):.1f} images per second; {n_refused} left out")
    return n_refused


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """What makes masks, its classes, what is painted on images, how pictures are made."""

    content: Model | ChosenNetwork | NetworkModel
    labels: Sequence[ClassLabel]
    background: int | None
    paintings: Mapping[str, Painting]
    imaging: Imaging | None


def _known(ctx: click.Context, wanted: str | None, model: Path | None) -> _Known:
    """The model in a file, or what a project knows."""
    if model is not None:
        from fcnlab.services.models.files import open_model
        from fcnlab.services.predict.predicting import labels_of_model

        content = open_model(model, device="cpu")
        return _Known(content, labels_of_model(content), content.background, {}, None)
    from fcnlab.services.labelling.painting import paintings_by_content

    with opened(ctx) as lab:
        project = found_project(lab, str(wanted))
        with learner_of(lab, project) as learner:
            paintings = paintings_by_content(lab, project_id=project.id)
            model_content = learner.source().content
            assert model_content is not None
            return _Known(model_content, project.classes, project.background, paintings, project.imaging)
