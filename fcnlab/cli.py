"""The command line: `fcnlab`, `python -m fcnlab`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import fcnlab
from fcnlab.commands.app import app
from fcnlab.commands.comparing import compare
from fcnlab.commands.counting import count
from fcnlab.commands.doctor import backup, doctor, restore
from fcnlab.commands.labels import convert, labels
from fcnlab.commands.learner_settings import project_learner
from fcnlab.commands.learning import fit, predict
from fcnlab.commands.models import models
from fcnlab.commands.output import export
from fcnlab.commands.projects import demo, import_images, projects, stats
from fcnlab.commands.serve import serve
from fcnlab.commands.simulate import simulate
from fcnlab.commands.surveys.survey import survey
from fcnlab.commands.tables import points
from fcnlab.commands.tags.group import tags
from fcnlab.commands.training import train, trainings, worker
from fcnlab.errors import FcnlabError, storage_failure
from fcnlab.threads import wait_politely

MAY_BE_EMPTY = frozenset({"--encoder", "--encoder-weights", "--networks", "--group-by", "--channels", "--limits"})
"""Options for which an empty text says something."""


class ExplainedGroup(click.Group):
    """Commands whose failures, where we can explain them, are one line and exit code 1."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an empty text, as an unset shell variable leaves it: as a path it would be the current folder."""
        for before, text in zip(["", *args], args, strict=False):
            option = text.removesuffix("=") if text.startswith("--") and text.endswith("=") else before
            if text in ("", f"{option}=") and option not in MAY_BE_EMPTY:
                where = f"the value of {option}" if option.startswith("-") else "an argument"
                raise click.UsageError(f"{where} is empty: check the shell variable it came from", ctx)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FcnlabError as failure:
            raise click.ClickException(" ".join(str(failure).split())) from failure
        except OSError as failure:
            explained = storage_failure(failure)
            if explained is None:
                raise
            raise click.ClickException(" ".join(str(explained).split())) from failure


@click.group(cls=ExplainedGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of database, images and masks, in place of FCNLAB_DATA_DIR.",
)
@click.version_option(fcnlab.__version__, prog_name="fcnlab")
@click.pass_context
def main(ctx: click.Context, data_dir: Path | None) -> None:
    """Click a few pixels, watch a fully convolutional network learn to segment."""
    wait_politely()
    ctx.obj = {} if data_dir is None else {"data_dir": data_dir}


projects.add_command(project_learner)
for command in (
    *(app, projects, import_images, labels, convert, points, fit, predict, export),
    *(train, trainings, models, worker, compare, count, survey, tags),
    *(stats, demo, serve, simulate, doctor, backup, restore),
):
    main.add_command(command)
