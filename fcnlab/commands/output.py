"""`fcnlab export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from fcnlab.commands.common import answer, found_project, json_option, learner_of, opened, project_option, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from fcnlab.services.fitting import ProjectLearner

FORMATS = ("index", "colour", "binary", "overlay", "points")
DEFAULTS = ("index", "overlay", "points")
Result = TypeVar("Result")


@click.command()
@project_option
@click.option("--output", "-o", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The zip file.")
@click.option(
    "--format", "-f", "formats", multiple=True, type=click.Choice(FORMATS), default=DEFAULTS, show_default=True
)
@click.option("--done-only", is_flag=True, help="Leave out images that nobody marked done.")
@json_option
@click.pass_context
def export(
    ctx: click.Context, wanted: str, output: Path, formats: tuple[str, ...], done_only: bool, as_json: bool
) -> None:
    """Write masks and points to a zip file.

    A manifest says how each mask was made.

    Done images keep their stored masks, the others are predicted. An image whose mask cannot be made is named and
    left out, and the exit code is 1 then.
    """
    from fcnlab.services.exporting import ExportFormat, ExportSpec, export_project

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
        "left_out": [{"image": name, "reason": reason} for name, reason in step.left_out],
    }
    lines = [f"{output}: {step.n_stored} stored masks of done images, {step.n_predicted} predicted"]
    answer(values, lines, as_json=as_json)
    ctx.exit(1 if step.left_out else 0)
