"""What the commands of tags share: looking at images, choosing by tags, and how tags are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from fcnlab.commands.output import show_progress
from fcnlab.domain.tags import TagState

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab
    from fcnlab.services.tags.reading import ProjectTags
    from fcnlab.services.tags.suggestions import SeenImages

Command = TypeVar("Command", bound=Callable[..., Any])


def seen_images(lab: Lab, project: Project) -> SeenImages:
    """The features of all images of a project; what was looked at once is kept on the disk."""
    from fcnlab.services.live.picture_store import PictureStore
    from fcnlab.services.tags.suggestions import SeenImages, look_at_images

    seen = SeenImages()
    for done, total, name in look_at_images(lab, PictureStore(lab), project_id=project.id, seen=seen):
        show_progress(f"{done} of {total} {name}")
    show_progress("")
    return seen


def state_values(state: TagState) -> dict[str, Any]:
    """A tag as plain values."""
    return {
        "answer": state.answer,
        "source": state.source,
        "labeller": state.labeller,
        "answered_at": None if state.answered_at is None else state.answered_at.isoformat(),
        "labelled": state.labelled,
        "labelled_by": state.labelled_by,
        "contradicted": state.is_contradicted,
    }


def contradiction_lines(tags: ProjectTags) -> list[str]:
    """Each contradiction in a line, with the way out."""
    lines = []
    for image_id, class_id in tags.contradictions():
        state = tags.state(image_id, class_id)
        image, label = tags.images[tags.row_of[image_id]].name, tags.classes[tags.column_of[class_id]].name
        source = str(state.labelled_by).removeprefix("from ")
        lines.append(f"{image}, {label}: {state.labeller} answered {state.answer}, its {source} say {state.labelled}")
    return lines


def in_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of a table, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
