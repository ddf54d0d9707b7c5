"""Queries for the learner: which images have which points, cheaply told apart."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fcnlab.adapters.tables import ClassRow, PointRow

Signature = tuple[int, ...]


def point_signatures(session: Session, *, project_id: int) -> dict[int, Signature]:
    """Per image with live points: their count, highest row id and sum of row ids.

    Two equal signatures mean the same live points, since a stored point never changes.
    """
    same_class = (ClassRow.project_id == PointRow.project_id) & (ClassRow.class_id == PointRow.class_id)
    query = (
        select(PointRow.image_id, func.count(), func.max(PointRow.id), func.sum(PointRow.id))
        .join(ClassRow, same_class)
        .where(PointRow.project_id == project_id, PointRow.removed_at.is_(None), ClassRow.removed_at.is_(None))
        .group_by(PointRow.image_id)
    )
    return {image_id: (count, top, int(total)) for image_id, count, top, total in session.execute(query)}
