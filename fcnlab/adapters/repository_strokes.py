"""Queries about strokes. Each takes a session and returns domain values, never rows.

A stroke is live when no live event wants it gone and its class is in use; an eraser stroke has no class. Only live
strokes are returned, oldest first.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVarTuple

from sqlalchemy import Select, insert, or_, select
from sqlalchemy.orm import Session

from fcnlab.adapters.tables import ClassRow
from fcnlab.adapters.tables_data import StrokeRow
from fcnlab.strokes import StoredStroke, Stroke

Columns = TypeVarTuple("Columns")


def add_stroke(
    session: Session, *, project_id: int, image_id: int, uid: str, stroke: Stroke, labeller: str, now: datetime
) -> None:
    """Store a new stroke as a live one. Its image and class must be of the project."""
    session.execute(
        insert(StrokeRow).values(
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
    return tuple(
        StoredStroke(
            row.id,
            row.uid,
            Stroke(row.class_id, row.top, row.left, row.height, row.width, tuple(row.runs)),
            row.labeller,
            row.created_at,
        )
        for row in session.scalars(query)
    )


def painted_images(session: Session, *, project_id: int) -> tuple[int, ...]:
    """Ids of the images of a project that have live strokes, in rising order."""
    query = _live(select(StrokeRow.image_id).distinct()).where(StrokeRow.project_id == project_id)
    return tuple(session.scalars(query.order_by(StrokeRow.image_id)))


def live_stroke_ids(session: Session, *, image_id: int) -> tuple[int, ...]:
    """Numbers of the live strokes of an image. Equal numbers mean equal strokes, since a stored one never changes."""
    query = _live(select(StrokeRow.id)).where(StrokeRow.image_id == image_id)
    return tuple(session.scalars(query.order_by(StrokeRow.id)))


def live_stroke_uids(session: Session, *, image_id: int) -> tuple[str, ...]:
    """Uids of the live strokes of an image."""
    query = _live(select(StrokeRow.uid)).where(StrokeRow.image_id == image_id)
    return tuple(session.scalars(query.order_by(StrokeRow.id)))


def _live(query: Select[*Columns]) -> Select[*Columns]:
    same_class = (ClassRow.project_id == StrokeRow.project_id) & (ClassRow.class_id == StrokeRow.class_id)
    is_in_use = or_(StrokeRow.class_id.is_(None), ClassRow.class_id.is_not(None) & ClassRow.removed_at.is_(None))
    joined = query.select_from(StrokeRow).outerjoin(ClassRow, same_class)
    return joined.where(StrokeRow.removed_at.is_(None), is_in_use)
