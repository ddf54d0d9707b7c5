"""What changed in a project since it was last read: one short transaction, as large as the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from fcnlab.domain.counting import Task
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import Project
from fcnlab.lab import Lab
from fcnlab.storage.database import (
    repository_images,
    repository_models,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import ImageAt

READ_ONE_BY_ONE = 20
"""Images whose points are read singly; beyond that all points of the project are read at once."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A project as it is now, and what changed since a revision of it.

    Attributes:
        record: the model that the project chose; None stands for the instant learner.
        revision: of the project now.
        points: the live points of every image that changed; none where all are gone.
        images: those of them that are learned from: with points or, in a project that counts, all marked.
        shown: the image that was asked for besides, changed or not; None where it is gone.
    """

    project: Project
    record: ModelRecord | None
    revision: int
    points: Mapping[int, Sequence[StoredPoint]]
    images: Mapping[int, ImageInfo]
    shown: ImageAt | None = None


def changes(lab: Lab, *, project_id: int, revision: int, image_id: int | None = None) -> Changes:
    """Read what changed since a revision; NOTHING_READ for everything. `image_id`: an image to read besides.

    Raises:
        UnknownProject: it is gone.
    """
    with reading(lab.sessions) as session:
        project, now = repository_projects.project_at(session, project_id=project_id)
        read = repository_images.images_since(
            session, project_id=project_id, revision=revision, now=now, besides=image_id
        )
        changed = [image_at for image_at in read if image_at.is_changed]
        points = points_by_image(session, [image_at.image.id for image_at in changed], project_id=project_id)
        images = {info.id: info for info, *_ in changed if points[info.id] or _is_learned_from(project, info)}
        chosen = project.model_id
        record = None if chosen is None else repository_models.model(session, model_id=chosen)
        shown = next((image_at for image_at in read if image_at.image.id == image_id), None)
        return Changes(project, record, now, points, images, shown)


def _is_learned_from(project: Project, image: ImageInfo) -> bool:
    """Whether an image without points says something: that there is nothing to count in it."""
    return project.task is Task.COUNTS and image.is_complete


def points_by_image(session: Session, image_ids: Sequence[int], *, project_id: int) -> dict[int, Sequence[StoredPoint]]:
    """The live points of these images of a project, in canonical order, by image id."""
    points: dict[int, Sequence[StoredPoint]] = {}
    if len(image_ids) <= READ_ONE_BY_ONE:
        for image_id in image_ids:
            points[image_id] = repository_points.points_of_image(session, image_id=image_id)
        return points
    gathered: dict[int, list[StoredPoint]] = {image_id: [] for image_id in image_ids}
    for stored in repository_points.points_of_project(session, project_id=project_id):
        if stored.image_id in gathered:
            gathered[stored.image_id].append(stored)
    return {**gathered}
