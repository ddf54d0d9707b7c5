"""The option `--tag`, which chooses images for many commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab

Command = TypeVar("Command", bound=Callable[..., Any])

TAG_HELP = (
    "Only images with this tag: CLASS, CLASS=no, CLASS=unknown, CLASS=predicted or CLASS=likely:0.8; may be given "
    "several times."
)


def tag_option(command: Command) -> Command:
    """The option that chooses images by their tags."""
    return click.option("--tag", "tag_texts", multiple=True, metavar="CLASS[=CHOICE]", help=TAG_HELP)(command)


def chosen_by_tag(
    lab: Lab, project: Project, texts: Sequence[str], *, not_done: bool = False
) -> tuple[int, ...] | None:
    """Ids of the images that `tag_option` chooses; None where it was not given.

    Raises:
        InvalidTag: no such class or choice, or no image passes.
    """
    from fcnlab.services.tags.choosing import chosen_images, filters_of

    if not texts and not not_done:
        return None
    return chosen_images(lab, filters_of(texts, project.classes), project_id=project.id, not_done=not_done)
