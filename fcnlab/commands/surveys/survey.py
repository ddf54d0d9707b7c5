"""The group of commands `fcnlab survey`."""

from __future__ import annotations

import click

from fcnlab.commands.surveys.answering import answer, points, predict, teach
from fcnlab.commands.surveys.planning import close, delete, list_surveys, more, plan, reopen
from fcnlab.commands.surveys.reporting import report


@click.group()
def survey() -> None:
    """Estimate how much of the images each class covers, from pixels drawn at random and answered by people."""


for command in (plan, points, answer, predict, report, more, list_surveys, close, reopen, teach, delete):
    survey.add_command(command)
