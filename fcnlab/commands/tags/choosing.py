"""The option `--tag`, which chooses images for many commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fcnlab.errors import InvalidTag

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


def chosen_by_tag(lab: Lab, project: Project, texts: Sequence[str]) -> tuple[int, ...] | None:
    """Ids of the images that `tag_option` chooses, at least one; None where it was not given.

    Raises:
        InvalidTag: no such class or choice, or no image passes.
    """
    from fcnlab.services.tags.choosing import chosen_images, filters_of

    if not texts:
        return None
    chosen = chosen_images(lab, filters_of(texts, project.classes), project_id=project.id)
    if not chosen:
        raise InvalidTag(f"no image of project {project.name!r} has these tags: tag some, or choose otherwise")
    return chosen
