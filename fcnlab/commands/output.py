"""`fcnlab export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from fcnlab.commands.common import answer, found_project, json_option, learner_of, opened, project_option, say
from fcnlab.exports import DEFAULT_FORMATS, ExportFormat, ExportSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcnlab.services.fitting import ProjectLearner

Result = TypeVar("Result")


@click.command()
@project_option
@click.option(
    "--output", "-o", required=True, type=click.Path(path_type=Path), help="A .zip file, or a folder: new or empty."
)
@click.option(
    "--format",
    "-f",
    "formats",
    multiple=True,
    type=click.Choice([one.value for one in ExportFormat]),
    default=[one.value for one in DEFAULT_FORMATS],
    show_default=True,
)
@click.option("--done-only", is_flag=True, help="Leave out images that nobody marked done.")
@json_option
@click.pass_context
def export(
    ctx: click.Context, wanted: str, output: Path, formats: tuple[str, ...], done_only: bool, as_json: bool
) -> None:
    """Write masks and points to a zip file or a folder.

    A manifest says how each mask was made. An export into a folder that was interrupted goes on when it is started
    again.

    Done images keep their stored masks, the others are predicted. An image whose mask cannot be made is named and
    left out, and the exit code is 1 then.
    """
    from fcnlab.services.exporting import export_project

    chosen = set(formats)
    spec = ExportSpec(tuple(one for one in ExportFormat if one.value in chosen), done_only=done_only)
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        with learner_of(lab, project) as learner:

            def run(work: Callable[[ProjectLearner], Result], /) -> Result:
                return work(learner)

            for step in export_project(lab, run, project_id=project.id, spec=spec, to=output):
                if sys.stderr.isatty():
                    click.echo(f"\r{step.phase} {step.done}/{step.total}\033[K", nl=False, err=True)
            if sys.stderr.isatty():
                click.echo("\r\033[K", nl=False, err=True)
    for name, reason in step.left_out:
        say(f"left out {name}: {reason}")
    values = {
        "file": str(output),
        "stored": step.n_stored,
        "predicted": step.n_predicted,
        "resumed": step.n_resumed,
        "left_out": [{"image": name, "reason": reason} for name, reason in step.left_out],
    }
    lines = [f"{output}: {step.n_stored} stored masks of done images, {step.n_predicted} predicted"]
    answer(values, lines, as_json=as_json)
    ctx.exit(1 if step.left_out else 0)
