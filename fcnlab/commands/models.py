"""`fcnlab models`: the versions of a project, one of which makes its masks or counts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fcnlab.commands.common import found_project, json_option, learner_of, opened, print_result, project_option, say
from fcnlab.domain.counting import CountScore
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.scores import (
    figure,
    gain_in_words,
    grades_in_words,
    kept_in_words,
    mean_iou_in_words,
    score_to_dict,
    taken_on,
)

INSTANT = "instant"
FORMATS = ("checkpoint", "onnx", "pt2")


@click.group()
def models() -> None:
    """Look after the versions of a project."""


@models.command("list")
@project_option
@json_option
@click.pass_context
def list_models(ctx: click.Context, wanted: str, as_json: bool) -> None:
    """The versions of a project, newest first; an asterisk marks the one that makes its masks."""
    from fcnlab.services.models.models import models as all_models

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        records = all_models(lab, project_id=project.id)
    lines = [
        f"{'*' if record.id == project.model_id else ' '}{record.id:>4}  {record.name}: {score_in_words(record)}, "
        f"{record.n_points} points, {record.file}"
        for record in records
    ]
    values = [{**model_values(record), "in_use": record.id == project.model_id} for record in records]
    print_result(
        values,
        lines or ["No versions yet: fcnlab train makes one, fcnlab models keep saves what the instant learner knows"],
        as_json=as_json,
    )


@models.command("use")
@project_option
@click.argument("which", metavar="NUMBER|instant")
@click.pass_context
def use(ctx: click.Context, wanted: str, which: str) -> None:
    """Let the masks of a project be made by a version, or by the instant learner."""
    from fcnlab.services.models.models import use_model

    if which != INSTANT and not which.isdecimal():
        raise click.UsageError(f"{which!r} is neither the number of a version nor {INSTANT!r}")
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        use_model(lab, project_id=project.id, model_id=None if which == INSTANT else int(which))
    say(f"Masks of {project.name!r} by {'the instant learner' if which == INSTANT else f'version {which}'}")


@models.command("keep")
@project_option
@click.option("--labeller", default="command line", show_default=True, help="Who asks for it.")
@json_option
@click.pass_context
def keep(ctx: click.Context, wanted: str, labeller: str, as_json: bool) -> None:
    """Save what the instant learner knows now as a version."""
    from fcnlab.services.models.models import keep_instant

    with opened(ctx) as lab, learner_of(lab, found_project(lab, wanted)) as learner:
        model = keep_instant(lab, learner, labeller=labeller)
    print_result(model_values(model), [f"Version {model.id}, {model.name}: {model.n_points} points"], as_json=as_json)


@models.command("rename")
@click.argument("number", type=int)
@click.argument("name")
@click.pass_context
def rename(ctx: click.Context, number: int, name: str) -> None:
    """Give a version another name."""
    from fcnlab.services.models.models import rename_model

    with opened(ctx) as lab:
        model = rename_model(lab, model_id=number, name=name)
    say(f"Version {number} is called {model.name!r}")


@models.command("delete")
@click.argument("number", type=int)
@click.pass_context
def delete(ctx: click.Context, number: int) -> None:
    """Take a version out of the list; a project that uses it goes back to the instant learner."""
    from fcnlab.services.models.models import delete_model

    with opened(ctx) as lab:
        model = delete_model(lab, model_id=number)
    say(f"Version {number}, {model.name!r}, is deleted; its file stays for the done images that name it")


@models.command("export")
@click.argument("number", type=int)
@click.option("--format", "as_format", type=click.Choice(FORMATS), default="checkpoint", show_default=True)
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file.")
@click.pass_context
def export(ctx: click.Context, number: int, as_format: Any, output: Path) -> None:
    """Write a version to a file: its checkpoint, or the network as ONNX or torch.export program."""
    from fcnlab.services.models.exports import export_network

    with opened(ctx) as lab:
        click.echo(str(export_network(lab, model_id=number, as_format=as_format, to=output)))


@models.command("import")
@project_option
@click.option("--labeller", default="command line", show_default=True, help="Who brings it.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def import_checkpoint(ctx: click.Context, wanted: str, labeller: str, file: Path, as_json: bool) -> None:
    """Take in a checkpoint from elsewhere; its classes are matched to the project's by name."""
    from fcnlab.services.models.model_import import import_model

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        model = import_model(lab, file, project_id=project.id, name=file.name, labeller=labeller)
    print_result(model_values(model), [f"Version {model.id}, {model.name}: {score_in_words(model)}"], as_json=as_json)


def model_values(model: ModelRecord) -> dict[str, Any]:
    """A model in plain values."""
    return {
        **asdict(model),
        "training": None if model.training is None else model.training.to_dict(),
        "score": None if model.score is None else score_to_dict(model.score),
        "created_at": model.created_at.isoformat(),
        "removed_at": None if model.removed_at is None else model.removed_at.isoformat(),
    }


def score_in_words(model: ModelRecord) -> str:
    """How good a model is, in a few words."""
    if model.score is None:
        return "no validation images"
    if isinstance(model.score, CountScore):
        return f"off by {figure(model.score)} on average in the counts of {model.score.n_images} validation images"
    score = model.score
    parts = (
        taken_on(score) + ".",
        gain_in_words(score),
        grades_in_words(score.grades),
        mean_iou_in_words(score),
        kept_in_words(score),
    )
    more = " ".join(filter(None, parts)).removesuffix(".")
    return f"{score.accuracy:.1%} of {score.n_points} validation points ({more})"
