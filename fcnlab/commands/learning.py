"""`fcnlab fit` and `fcnlab predict`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcnlab.commands.common import (
    answer,
    found_project,
    json_option,
    learner_of,
    opened,
    project_option,
    say,
    settings_of,
)

if TYPE_CHECKING:
    from fcnlab.core.network_model import NetworkModel
    from fcnlab.core.painting import Painting
    from fcnlab.domain import ClassLabel
    from fcnlab.services.fitting import Maker


@click.command()
@project_option
@json_option
@click.pass_context
def fit(ctx: click.Context, wanted: str, as_json: bool) -> None:
    """Learn from all points of a project and save the model."""
    from fcnlab.services.masks import save_model
    from fcnlab.services.training_report import training_accuracy

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        with learner_of(lab, project) as learner:
            saved = save_model(lab, learner)
        path = lab.folders.checkpoints / saved.record.checkpoint
    accuracy = training_accuracy(saved.model)
    values = {
        "project": project.id,
        "checkpoint": str(path),
        "points": saved.record.n_points,
        "training_accuracy": accuracy,
        "milliseconds": saved.record.milliseconds,
    }
    lines = [str(path), f"{saved.record.n_points} points, training accuracy {accuracy:.1%}"]
    answer(values, lines, as_json=as_json)


@click.command()
@click.option("--project", "-p", "wanted", help="Name or number of the project to learn from.")
@click.option(
    "--model", type=click.Path(dir_okay=False, path_type=Path), help="A model that `fit` saved or `train` made."
)
@click.option("--output", "-o", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder.")
@click.option(
    "--plain", "is_plain", is_flag=True, help="An instant model's head alone: rougher, several times as fast."
)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_context
def predict(
    ctx: click.Context,
    wanted: str | None,
    model: Path | None,
    output: Path,
    is_plain: bool,
    images: tuple[Path, ...],
) -> None:
    """Segment image files.

    Masks are PNG whose pixel value is the class id.

    A file that cannot be read is named, the rest goes on, and the exit code is 1 then.
    """
    if (wanted is None) == (model is None):
        raise click.UsageError("give either --project or --model")
    from fcnlab.services.model_files import open_model
    from fcnlab.services.predicting import Predictor, labels_of_model, predict_files

    settings = settings_of(ctx)
    if model is not None:
        content = open_model(model, device="cpu")
        maker: Maker | NetworkModel = content
        labels: Sequence[ClassLabel] = labels_of_model(content)
        paintings: dict[str, Painting] = {}
    else:
        maker, labels, paintings = _maker(ctx, str(wanted))
    predictor = Predictor(
        maker, device=settings.device, max_pixels=settings.max_pixels, is_plain=is_plain, paintings=paintings
    )
    n_refused, started = 0, time.monotonic()
    for step in predict_files(predictor, images, labels=labels, to=output):
        if step.mask is None:
            n_refused += 1
            say(f"left out {step.image}: {step.refused}")
        else:
            click.echo(str(step.mask))
    seconds = time.monotonic() - started
    n_made = len(images) - n_refused
    say(f"{n_made} masks in {seconds:.1f} s, {n_made / max(seconds, 1e-6):.1f} images per second; {n_refused} left out")
    ctx.exit(1 if n_refused else 0)


def _maker(ctx: click.Context, wanted: str) -> tuple[Maker, Sequence[ClassLabel], dict[str, Painting]]:
    """What makes the masks of a project, its classes, and what is painted on its images."""
    from fcnlab.services.painting import paintings_by_content

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        with learner_of(lab, project) as learner:
            return learner.maker(), project.classes, paintings_by_content(lab, project_id=project.id)
