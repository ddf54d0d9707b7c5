"""Queries about strokes. Each takes a session and returns domain values, never rows.

A stroke is live when no live event wants it gone and its class is in use; an eraser stroke has no class. Only live
strokes are returned, oldest first.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from itertools import groupby
from typing import TypeVarTuple

from sqlalchemy import Select, func, insert, or_, select
from sqlalchemy.orm import Session

from fcnlab.domain.events import StoredStroke, Stroke
from fcnlab.storage.database.tables import ClassRow, PointRow, StrokeRow

Columns = TypeVarTuple("Columns")


def add_stroke(
    session: Session, *, project_id: int, image_id: int, uid: str, stroke: Stroke, labeller: str, now: datetime
) -> None:
    """Store a new stroke as a live one. Its image and class must be of the project."""
    newest = select(func.coalesce(func.max(PointRow.id), 0)).where(PointRow.image_id == image_id).scalar_subquery()
    session.execute(
        insert(StrokeRow).values(
            after_point=newest,
            project_id=project_id,
            image_id=image_id,
            uid=uid,
            class_id=stroke.class_id,
            top=stroke.top,
            left=stroke.left,
            height=stroke.height,
            width=stroke.width,
            runs=list(stroke.runs),
            labeller=labeller,
            hidden_by=0,
            created_at=now,
            removed_at=None,
        )
    )


def strokes_of_image(session: Session, *, image_id: int) -> tuple[StoredStroke, ...]:
    """Live strokes of an image."""
    query = _live(select(StrokeRow)).where(StrokeRow.image_id == image_id).order_by(StrokeRow.id)
    return tuple(_stroke(row) for row in session.scalars(query))


def strokes_by_ids(session: Session, *, image_id: int, stroke_ids: Collection[int]) -> tuple[StoredStroke, ...]:
    """These strokes of an image, at least one, whether live or not."""
    wanted = set(stroke_ids)
    query = select(StrokeRow).where(StrokeRow.image_id == image_id, StrokeRow.id.between(min(wanted), max(wanted)))
    return tuple(_stroke(row) for row in session.scalars(query.order_by(StrokeRow.id)) if row.id in wanted)


def painted_images(session: Session, *, project_id: int) -> tuple[int, ...]:
    """Ids of the images of a project that have live strokes, in rising order."""
    query = _live(select(StrokeRow.image_id).distinct()).where(StrokeRow.project_id == project_id)
    return tuple(session.scalars(query.order_by(StrokeRow.image_id)))


def live_stroke_ids(session: Session, *, image_id: int) -> tuple[int, ...]:
    """Numbers of the live strokes of an image. Equal numbers mean equal strokes, since a stored one never changes."""
    query = _live(select(StrokeRow.id)).where(StrokeRow.image_id == image_id)
    return tuple(session.scalars(query.order_by(StrokeRow.id)))


def live_stroke_ids_by_image(session: Session, *, project_id: int) -> dict[int, tuple[int, ...]]:
    """`live_stroke_ids` of all images of a project that have any."""
    query = _live(select(StrokeRow.image_id, StrokeRow.id)).where(StrokeRow.project_id == project_id)
    id_rows = session.execute(query.order_by(StrokeRow.image_id, StrokeRow.id))
    by_image = groupby(id_rows, key=lambda row: int(row[0]))
    return {image_id: tuple(stroke_id for _, stroke_id in rows) for image_id, rows in by_image}


def live_stroke_uids(session: Session, *, image_id: int) -> tuple[str, ...]:
    """Uids of the live strokes of an image."""
    query = _live(select(StrokeRow.uid)).where(StrokeRow.image_id == image_id)
    return tuple(session.scalars(query.order_by(StrokeRow.id)))


def _stroke(row: StrokeRow) -> StoredStroke:
    stroke = Stroke(row.class_id, row.top, row.left, row.height, row.width, tuple(row.runs))
    return StoredStroke(row.id, row.uid, stroke, row.labeller, row.created_at, row.after_point)


def _live(query: Select[*Columns]) -> Select[*Columns]:
    same_class = (ClassRow.project_id == StrokeRow.project_id) & (ClassRow.class_id == StrokeRow.class_id)
    is_in_use = or_(StrokeRow.class_id.is_(None), ClassRow.class_id.is_not(None) & ClassRow.removed_at.is_(None))
    joined = query.select_from(StrokeRow).outerjoin(ClassRow, same_class)
    return joined.where(StrokeRow.removed_at.is_(None), is_in_use)
