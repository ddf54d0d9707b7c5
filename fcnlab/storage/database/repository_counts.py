"""What projects that count keep beside points: which images have all their objects marked."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.repository_images import image_row
from fcnlab.storage.database.repository_points import newest_last
from fcnlab.storage.database.repository_projects import project
from fcnlab.storage.database.tables import ImageRow, PointRow


def set_complete(session: Session, *, image_id: int, complete: bool) -> bool:
    """Say whether all objects of an image are marked; what was said before. Raises UnknownImage."""
    row = image_row(session, image_id)
    was, row.is_complete = row.is_complete, complete
    session.flush()
    return was


def complete_images(session: Session, *, project_id: int) -> frozenset[int]:
    """Ids of the images of a project whose objects are all marked; those without a point are empty."""
    image_ids = session.scalars(
        select(ImageRow.id).where(ImageRow.project_id == project_id, ImageRow.is_complete.is_(True))
    )
    return frozenset(image_ids)


def objects_per_image(
    session: Session, *, project_id: int, image_ids: Sequence[int] | None = None
) -> dict[int, dict[int, int]]:
    """Marked objects of each object class, by image id and class id; images and classes without any are left out.

    A pixel is one object at most, of the class of the point that counts there. Those of the
    background are no objects. `image_ids` picks images of the project.
    """
    counted = project(session, project_id=project_id)
    pixel = (PointRow.image_id, PointRow.row, PointRow.col)
    rank = func.row_number().over(partition_by=pixel, order_by=newest_last(desc=True))
    live = select(PointRow.image_id, PointRow.class_id, rank.label("rank")).where(
        PointRow.project_id == project_id, PointRow.removed_at.is_(None), PointRow.class_id.in_(counted.class_ids())
    )
    objects = [label.id for label in counted.objects]
    parts = [None] if image_ids is None else chunked(sorted(set(image_ids)))
    counts: dict[int, dict[int, int]] = {}
    for some in parts:
        pixels = (live if some is None else live.where(PointRow.image_id.in_(some))).subquery()
        query = (
            select(pixels.c.image_id, pixels.c.class_id, func.count())
            .where(pixels.c.rank == 1, pixels.c.class_id.in_(objects))
            .group_by(pixels.c.image_id, pixels.c.class_id)
            .order_by(pixels.c.image_id, pixels.c.class_id)
        )
        for image_id, class_id, count in session.execute(query):
            counts.setdefault(image_id, {})[class_id] = count
    return counts
