"""The group of commands `fcnlab tags`."""

from __future__ import annotations

import click

from fcnlab.commands.tags.answering import list_tags, set_answers
from fcnlab.commands.tags.files import export_tags, import_table
from fcnlab.commands.tags.suggesting import score, suggest


@click.group()
def tags() -> None:
    """Say of whole images which classes they contain, and let the others be predicted."""


for command in (list_tags, set_answers, suggest, score, export_tags, import_table):
    tags.add_command(command)
