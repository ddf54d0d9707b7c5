"""Queries for exports: all classes a mask may name, all masks that are kept."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.database.tables import ClassRow, ImageRow, PointRow


def removed_classes(session: Session, *, project_id: int) -> tuple[ClassLabel, ...]:
    """Classes that are no longer in use, by id; a mask kept from before may still name them."""
    rows = session.scalars(
        select(ClassRow)
        .where(ClassRow.project_id == project_id, ClassRow.removed_at.is_not(None))
        .order_by(ClassRow.class_id)
    )
    return tuple(ClassLabel(id=row.class_id, name=row.name, colour=row.colour, order=row.place) for row in rows)


def stored_masks(session: Session, *, project_id: int) -> dict[int, StoredMask]:
    """The masks that done images keep, by image id."""
    columns = (ImageRow.id, ImageRow.mask_file, ImageRow.mask_model, ImageRow.mask_points, ImageRow.mask_at)
    rows = session.execute(
        select(*columns).where(
            ImageRow.project_id == project_id, ImageRow.state == ImageState.DONE, ImageRow.mask_file.is_not(None)
        )
    )
    return {
        image_id: StoredMask(file=file, model=model, point_set_hash=points, created_at=made_at)
        for image_id, file, model, points, made_at in rows
        if file is not None and model is not None and points is not None and made_at is not None
    }


def count_points_by_class_and_labeller(session: Session, *, project_id: int) -> dict[tuple[int, str], int]:
    """Live points per class id in use and labeller; pairs without any are left out."""
    same_class = (ClassRow.project_id == PointRow.project_id) & (ClassRow.class_id == PointRow.class_id)
    query = (
        select(PointRow.class_id, PointRow.labeller, func.count())
        .join(ClassRow, same_class)
        .where(PointRow.project_id == project_id, PointRow.removed_at.is_(None), ClassRow.removed_at.is_(None))
        .group_by(PointRow.class_id, PointRow.labeller)
    )
    return {(class_id, labeller): count for class_id, labeller, count in session.execute(query)}
