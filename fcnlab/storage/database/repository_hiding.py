"""How what labellers made goes away and comes back: points and strokes, by the uids of the events that made them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, func, literal, update
from sqlalchemy.orm import Session

from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.tables import PointRow, UtcTime
from fcnlab.storage.database.tables_data import StrokeRow

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
