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
from fcnlab.storage.database.repository_projects import changed_since

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
    """

    project: Project
    record: ModelRecord | None
    revision: int
    points: Mapping[int, Sequence[StoredPoint]]
    images: Mapping[int, ImageInfo]


def changes(lab: Lab, *, project_id: int, revision: int) -> Changes:
    """Read what changed since a revision; NOTHING_READ for everything.

    Raises:
        UnknownProject: it is gone.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        now, changed = changed_since(session, project_id=project_id, revision=revision)
        points = points_by_image(session, changed, project_id=project_id)
        counts = project.task is Task.COUNTS
        asked = changed if counts else [image_id for image_id in changed if points[image_id]]
        images = {
            info.id: info
            for info in repository_images.images_by_ids(session, image_ids=asked)
            if points[info.id] or info.is_complete
        }
        chosen = project.model_id
        record = None if chosen is None else repository_models.model(session, model_id=chosen)
        return Changes(project, record, now, points, images)


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
