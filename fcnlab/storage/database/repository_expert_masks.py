"""Queries about masks of experts and the points they gave. Each takes a session and returns domain values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Select, Table, case, func, insert, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.events import StoredPoint
from fcnlab.domain.images import ExpertMask, ImageState
from fcnlab.errors import UnknownExpertMask
from fcnlab.storage.database.repository_points import hide_made
from fcnlab.storage.database.tables import ExpertMaskRow, ImageRow, PointRow

UID_START = "expert-"


def point_uid(*, mask_id: int, number: int) -> str:
    """Uid of the point of that number of an expert mask."""
    return f"{UID_START}{mask_id}:{number}"


def is_of_expert_mask(uid: str) -> bool:
    """Whether a point of that uid was drawn from an expert mask."""
    return uid.startswith(UID_START)


def image_sizes(session: Session, *, project_id: int) -> tuple[tuple[str, int, tuple[int, int]], ...]:
    """(name, number, (height, width)) of all images of a project, in import order."""
    query = select(ImageRow.name, ImageRow.id, ImageRow.height, ImageRow.width)
    rows = session.execute(query.where(ImageRow.project_id == project_id).order_by(ImageRow.position))
    return tuple((name, image_id, (height, width)) for name, image_id, height, width in rows)


def add_expert_mask(
    session: Session,
    *,
    project_id: int,
    image_id: int,
    file: str,
    source: str,
    digest: str,
    labeller: str,
    weight: float,
    n_known: int,
    now: datetime,
) -> ExpertMask:
    """Store an expert mask that gave no points yet."""
    row = ExpertMaskRow(
        project_id=project_id,
        image_id=image_id,
        file=file,
        source=source,
        digest=digest,
        labeller=labeller,
        weight=weight,
        n_known=n_known,
        n_points=0,
        created_at=now,
        removed_at=None,
    )
    session.add(row)
    session.flush()
    return _mask(row)


def add_expert_points(session: Session, *, mask: ExpertMask, points: Sequence[StoredPoint]) -> None:
    """Store the points that an expert mask gave, as live ones, and their number with it."""
    rows = [
        {
            "project_id": mask.project_id,
            "image_id": mask.image_id,
            "uid": stored.uid,
            "class_id": stored.point.class_id,
            "row": stored.point.row,
            "col": stored.point.col,
            "labeller": stored.labeller,
            "source": stored.source.value,
            "weight": stored.weight,
            "hidden_by": 0,
            "created_at": stored.created_at,
            "removed_at": None,
        }
        for stored in points
    ]
    if rows:
        table = cast(Table, PointRow.__table__)  # a tenth quicker for the whole import than through the mapped class
        session.execute(insert(table), rows)
    session.execute(update(ExpertMaskRow).where(ExpertMaskRow.id == mask.id).values(n_points=len(rows)))


def expert_mask(session: Session, *, mask_id: int) -> ExpertMask:
    """The live expert mask of that number. Raises UnknownExpertMask."""
    row = session.get(ExpertMaskRow, mask_id) if 0 < mask_id < 2**31 else None
    if row is None or row.removed_at is not None:
        raise UnknownExpertMask(f"there is no expert mask {mask_id}; see `fcnlab labels list`")
    return _mask(row)


def expert_masks(session: Session, *, project_id: int, source: str | None = None) -> tuple[ExpertMask, ...]:
    """The live expert masks of a project, oldest first; of one source when it is named."""
    query = _live().where(ExpertMaskRow.project_id == project_id).order_by(ExpertMaskRow.id)
    if source is not None:
        query = query.where(ExpertMaskRow.source == source)
    return tuple(_mask(row) for row in session.scalars(query))


def of_source(session: Session, *, image_id: int, source: str) -> tuple[ExpertMask, ...]:
    """The live expert masks that an image has from a source."""
    query = _live().where(ExpertMaskRow.image_id == image_id, ExpertMaskRow.source == source)
    return tuple(_mask(row) for row in session.scalars(query.order_by(ExpertMaskRow.id)))


def truth_of(session: Session, *, image_id: int) -> ExpertMask | None:
    """The newest live expert mask of an image that has a file, or None."""
    query = _live().where(ExpertMaskRow.image_id == image_id, ExpertMaskRow.file != "")
    row = session.scalar(query.order_by(ExpertMaskRow.id.desc()).limit(1))
    return None if row is None else _mask(row)


def has_truth(session: Session, *, image_id: int) -> bool:
    """Whether an image has a live expert mask with a file."""
    query = _live().where(ExpertMaskRow.image_id == image_id, ExpertMaskRow.file != "")
    return session.scalar(query.with_only_columns(ExpertMaskRow.id).limit(1)) is not None


def images_with_truth(session: Session, *, project_id: int, besides: ImageState | None = None) -> tuple[int, ...]:
    """Numbers of the images that have an expert mask with a file, in the order of numbers; those in the state `besides`
    are left out."""
    query = select(ExpertMaskRow.image_id).where(
        ExpertMaskRow.project_id == project_id, ExpertMaskRow.removed_at.is_(None), ExpertMaskRow.file != ""
    )
    if besides is not None:
        query = query.join(ImageRow, ImageRow.id == ExpertMaskRow.image_id).where(ImageRow.state != besides.value)
    return tuple(session.scalars(query.distinct().order_by(ExpertMaskRow.image_id)))


def counted_by_source(session: Session, *, project_id: int) -> tuple[tuple[str, int, int], ...]:
    """(source, number of live expert masks, number of points they gave), in the order of the alphabet."""
    query = (
        select(ExpertMaskRow.source, func.count(), func.sum(ExpertMaskRow.n_points))
        .where(ExpertMaskRow.project_id == project_id, ExpertMaskRow.removed_at.is_(None))
        .group_by(ExpertMaskRow.source)
    )
    return tuple(sorted((source, count, int(points)) for source, count, points in session.execute(query)))


def points_by_source(session: Session, *, project_id: int) -> dict[str, int]:
    """Points that the live masks of each source gave, in the order in which sources came first, removed ones too."""
    live = case((ExpertMaskRow.removed_at.is_(None), ExpertMaskRow.n_points), else_=0)
    query = (
        select(ExpertMaskRow.source, func.sum(live))
        .where(ExpertMaskRow.project_id == project_id)
        .group_by(ExpertMaskRow.source)
        .order_by(func.min(ExpertMaskRow.id))
    )
    return {source: int(points) for source, points in session.execute(query)}


def remove_expert_mask(session: Session, *, mask: ExpertMask, now: datetime) -> None:
    """Take a live expert mask and its points away; rows and file stay. Removing twice is removing once."""
    changed = session.execute(
        update(ExpertMaskRow)
        .where(ExpertMaskRow.id == mask.id, ExpertMaskRow.removed_at.is_(None))
        .values(removed_at=now)
        .returning(ExpertMaskRow.id)
    ).all()
    if changed:
        uids = [point_uid(mask_id=mask.id, number=index) for index in range(mask.n_points)]
        hide_made(session, project_id=mask.project_id, uids=uids, now=now)


def expert_files(session: Session, *, project_id: int) -> tuple[str, ...]:
    """Names of the files of all expert masks a project ever had."""
    query = select(ExpertMaskRow.file).where(ExpertMaskRow.project_id == project_id, ExpertMaskRow.file != "")
    return tuple(session.scalars(query.distinct()))


def _live() -> Select[ExpertMaskRow]:
    return select(ExpertMaskRow).where(ExpertMaskRow.removed_at.is_(None))


def _mask(row: ExpertMaskRow) -> ExpertMask:
    return ExpertMask(
        id=row.id,
        project_id=row.project_id,
        image_id=row.image_id,
        file=row.file,
        source=row.source,
        digest=row.digest,
        labeller=row.labeller,
        weight=row.weight,
        n_known=row.n_known,
        n_points=row.n_points,
        created_at=row.created_at,
    )
