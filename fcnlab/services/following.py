"""What changed in a project since it was last read: one short transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fcnlab.adapters import repository, repository_images, repository_models, repository_points
from fcnlab.adapters.database import reading
from fcnlab.adapters.repository_counts import count_signatures
from fcnlab.adapters.repository_learning import Signature, point_signatures
from fcnlab.counts import Task
from fcnlab.domain import ImageInfo, Project, StoredPoint
from fcnlab.lab import Lab
from fcnlab.runs import ModelRecord

READ_ONE_BY_ONE = 20
"""Images whose points are read singly; beyond that all points of the project are read at once."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A project as it is now, and what differs from the signatures it was compared with.

    Attributes:
        record: the model that the project chose; None stands for the instant learner.
        signatures: of all images with points; in a project that counts, of those all marked too.
        points: the live points of every image that changed, and perhaps of others.
        is_changed: whether any image did.
        images: of the images that are new, or may have changed.
    """

    project: Project
    record: ModelRecord | None
    signatures: Mapping[int, Signature]
    points: Mapping[int, list[StoredPoint]]
    is_changed: bool
    images: Mapping[int, ImageInfo]


def changes(
    lab: Lab,
    before: Project | None,
    signatures: Mapping[int, Signature],
    known: Mapping[int, ImageInfo],
    *,
    project_id: int,
) -> Changes:
    """Compare a project with what is known of it: the project `before`, its signatures and its images.

    Raises:
        UnknownProject: it is gone.
    """
    with reading(lab.sessions) as session:
        project = repository.project(session, project_id=project_id)
        counts = project.task is Task.COUNTS
        now = (count_signatures if counts else point_signatures)(session, project_id=project_id)
        changed = {one for one in {*now, *signatures} if now.get(one) != signatures.get(one)}
        points: dict[int, list[StoredPoint]] = {image_id: [] for image_id in changed}
        if len(changed) <= READ_ONE_BY_ONE:
            for image_id in changed:
                points[image_id] = list(repository_points.points_of_image(session, image_id=image_id))
        else:
            for stored in repository_points.points_of_project(session, project_id=project_id):
                points.setdefault(stored.image_id, []).append(stored)
        if before is not None and before.imaging != project.imaging:
            new = list({*points, *known} & {*now})
        else:  # an image that counts may be all marked now
            new = [image_id for image_id in points if image_id in now and (counts or image_id not in known)]
        images = {info.id: info for info in repository_images.images_by_ids(session, image_ids=new)}
        chosen = project.model_id
        record = None if chosen is None else repository_models.model(session, model_id=chosen)
        return Changes(project, record, now, points, bool(changed), images)
