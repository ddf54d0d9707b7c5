"""Queries about points, and how what was made is hidden and shown again. Each takes a session, returns domain values.

A point is live when no live event wants it gone and its class is in use. Only live points are returned,
in canonical order: image, row, column, class, uid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, TypeVarTuple

from sqlalchemy import ColumnElement, Select, UnaryExpression, case, false, func, insert, literal, or_, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.events import Point, PointSource, StoredPoint
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.repository_projects import live_classes
from fcnlab.storage.database.tables import ClassRow, PointRow, StrokeRow, UtcTime

Columns = TypeVarTuple("Columns")


def add_point(session: Session, *, project_id: int, stored: StoredPoint, weight: float = 1.0) -> None:
    """Store a new point as a live one. Its image and class must be of the project."""
    session.execute(insert(PointRow).values(_values(project_id, stored, weight)))


def add_points(session: Session, *, project_id: int, stored: Sequence[StoredPoint]) -> None:
    """As `add_point`, for many points in one go."""
    if stored:
        session.execute(insert(PointRow), [_values(project_id, point, point.weight) for point in stored])


def _values(project_id: int, stored: StoredPoint, weight: float) -> dict[str, object]:
    return {
        "project_id": project_id,
        "image_id": stored.image_id,
        "uid": stored.uid,
        "class_id": stored.point.class_id,
        "row": stored.point.row,
        "col": stored.point.col,
        "labeller": stored.labeller,
        "source": stored.source.value,
        "weight": weight,
        "hidden_by": 0,
        "created_at": stored.created_at,
        "removed_at": None,
    }


def live_uids(session: Session, *, image_id: int) -> tuple[str, ...]:
    """Uids of the live points of an image, in the order they were made."""
    query = _live(select(PointRow.uid)).where(PointRow.image_id == image_id).order_by(PointRow.id)
    return tuple(session.scalars(query))


def is_live(session: Session, *, image_id: int, uid: str) -> bool:
    """Whether the image has a live point of that uid."""
    query = _live(select(PointRow.id)).where(PointRow.image_id == image_id, PointRow.uid == uid)
    return session.scalar(query) is not None


def class_at(session: Session, *, project_id: int, image_id: int, row: int, col: int) -> int | None:
    """The class id that counts at a pixel, that of the newest live point there; None where nobody labelled."""
    here = (PointRow.project_id == project_id, PointRow.image_id == image_id, PointRow.row == row, PointRow.col == col)
    query = _live(select(PointRow.class_id)).where(*here)
    return session.scalar(query.order_by(*newest_last(desc=True)).limit(1))


def newest_last(*, desc: bool = False) -> tuple[UnaryExpression[Any], ...]:
    """Of several points on one pixel the last in this order counts: the one stored last, and imported ones give way.

    The same order as `services.newest_points.precedence`: by numbers, for a clock may be set back.
    """
    keys = (PointRow.source != PointSource.IMPORT.value, PointRow.id)
    return tuple(key.desc() if desc else key.asc() for key in keys)


def points_of_image(session: Session, *, image_id: int) -> tuple[StoredPoint, ...]:
    """Live points of an image, in canonical order."""
    return _points(session, PointRow.image_id == image_id)


def points_of_project(session: Session, *, project_id: int) -> tuple[StoredPoint, ...]:
    """Live points of all images of a project, in canonical order."""
    return _points(session, PointRow.project_id == project_id)


def newest_point_id(session: Session, *, project_id: int) -> int:
    """The highest number of a point of a project, live or not: those made later have a higher one. 0 without any."""
    return session.scalar(select(func.max(PointRow.id)).where(PointRow.project_id == project_id)) or 0


def points_as_of(
    session: Session, *, project_id: int, as_of: datetime, newest: int | None = None
) -> tuple[StoredPoint, ...]:
    """The points of a project that were live at a moment, in canonical order, whatever was done since.

    `newest`: the `newest_point_id` of then; without it the clock says which points were made later.
    """
    was_made = PointRow.created_at <= as_of if newest is None else PointRow.id <= newest
    was_made &= PointRow.project_id == project_id
    return _points(session, was_made, gone_after=as_of)


def count_points_by_class(session: Session, *, project_id: int) -> dict[int, int]:
    """Live points per class id in use; classes without a point count 0."""
    query = _live(select(PointRow.class_id, func.count())).where(PointRow.project_id == project_id)
    counts = dict(session.execute(query.group_by(PointRow.class_id)).all())
    return {label.id: counts.get(label.id, 0) for label in live_classes(session, project_id=project_id)}


def count_points_by_image(session: Session, *, project_id: int) -> dict[int, int]:
    """Live points per image id; images without a point are left out."""
    query = _live(select(PointRow.image_id, func.count())).where(PointRow.project_id == project_id)
    return dict(session.execute(query.group_by(PointRow.image_id)).all())


def count_points_by_source(session: Session, *, project_id: int) -> dict[PointSource, int]:
    """Live points per source; every source is named."""
    query = _live(select(PointRow.source, func.count())).where(PointRow.project_id == project_id)
    counts = dict(session.execute(query.group_by(PointRow.source)).all())
    return {source: counts.get(source.value, 0) for source in PointSource}


def count_points_by_labeller(session: Session, *, project_id: int) -> dict[str, int]:
    """Live points per labeller, in alphabetical order."""
    query = _live(select(PointRow.labeller, func.count())).where(PointRow.project_id == project_id)
    return dict(sorted((name, count) for name, count in session.execute(query.group_by(PointRow.labeller))))


def point_set_hash(session: Session, *, project_id: int, without: Collection[int] = ()) -> str:
    """SHA-256 of all that a fit learns from: live points with their weights, and the ids of the classes.

    Two equal hashes mean equal points, whoever made them and in whatever order. `without`: ids of images that are not
    learned from.
    """
    columns = (PointRow.image_id, PointRow.row, PointRow.col, PointRow.class_id, PointRow.weight)
    rows = session.execute(_live(select(*columns)).where(PointRow.project_id == project_id))
    digest = hashlib.sha256()
    for label_id in sorted(label.id for label in live_classes(session, project_id=project_id)):
        digest.update(f"class {label_id}\n".encode())
    for image_id, row, col, class_id, weight in sorted(tuple(record) for record in rows if record[0] not in without):
        digest.update(f"{image_id} {row} {col} {class_id} {weight!r}\n".encode())
    return digest.hexdigest()


def _points(
    session: Session, condition: ColumnElement[bool], *, gone_after: datetime | None = None
) -> tuple[StoredPoint, ...]:
    columns = select(
        PointRow.uid,
        PointRow.image_id,
        PointRow.row,
        PointRow.col,
        PointRow.class_id,
        PointRow.labeller,
        PointRow.source,
        PointRow.created_at,
        PointRow.weight,
        PointRow.id,
    )
    points = [
        StoredPoint(
            uid, image_id, Point(row, col, class_id), labeller, PointSource(source), created_at, weight, point_id
        )
        for uid, image_id, row, col, class_id, labeller, source, created_at, weight, point_id in session.execute(
            _live(columns, gone_after=gone_after).where(condition)
        )
    ]
    # Sorted here, because databases disagree about the order of texts.
    return tuple(sorted(points, key=_canonical))


def _canonical(stored: StoredPoint) -> tuple[int, int, int, int, str]:
    point = stored.point
    return stored.image_id, point.row, point.col, point.class_id, stored.uid


def _live(query: Select[*Columns], *, gone_after: datetime | None = None) -> Select[*Columns]:
    """The query for live points only; with `gone_after` also of those that were taken away after that moment."""
    same_class = (ClassRow.project_id == PointRow.project_id) & (ClassRow.class_id == PointRow.class_id)
    ends = (PointRow.removed_at, ClassRow.removed_at)
    later = [false() if gone_after is None else end > gone_after for end in ends]
    conditions = [or_(end.is_(None), is_later) for end, is_later in zip(ends, later, strict=True)]
    return query.select_from(PointRow).join(ClassRow, same_class).where(*conditions)


Made = type[PointRow] | type[StrokeRow]


def hide_made(session: Session, *, project_id: int, uids: Sequence[str], now: datetime) -> None:
    """One more event wants these points and strokes gone."""
    for made in (PointRow, StrokeRow):
        gone = func.coalesce(made.removed_at, literal(now, UtcTime()))
        _change_hidden(session, made, project_id, uids, by=1, removed_at=gone)


def show_made(session: Session, *, project_id: int, uids: Sequence[str]) -> None:
    """One event less wants these points and strokes gone; those that no event wants gone are live again."""
    for made in (PointRow, StrokeRow):
        back = case((made.hidden_by <= 1, None), else_=made.removed_at)
        _change_hidden(session, made, project_id, uids, by=-1, removed_at=back)


def _change_hidden(
    session: Session, made: Made, project_id: int, uids: Sequence[str], *, by: int, removed_at: object
) -> None:
    for some in chunked(uids):
        session.execute(
            update(made)
            .where(made.project_id == project_id, made.uid.in_(some))
            .values(hidden_by=made.hidden_by + by, removed_at=removed_at)
            .execution_options(synchronize_session=False)
        )
