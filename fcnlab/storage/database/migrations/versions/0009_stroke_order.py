"""Which clicks came after a stroke is known by numbers, and not by what the clock said"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STROKES = sa.table("strokes", *(sa.column(name) for name in ("id", "image_id", "uid", "created_at", "after_point")))
POINTS = sa.table("points", *(sa.column(name) for name in ("id", "image_id", "uid", "created_at")))


def upgrade() -> None:
    """Times were rising until now, and those of one batch are told apart by the numbers of its events."""
    op.add_column("strokes", sa.Column("after_point", sa.BigInteger(), nullable=False, server_default="0"))
    connection = op.get_bind()
    for stroke in connection.execute(sa.select(STROKES)).all():
        of_image = sa.select(POINTS.c.id, POINTS.c.uid, POINTS.c.created_at).where(POINTS.c.image_id == stroke.image_id)
        before = [
            point.id
            for point in connection.execute(of_image.where(POINTS.c.created_at <= stroke.created_at))
            if (point.created_at, *_event(point.uid)) < (stroke.created_at, *_event(stroke.uid))
        ]
        last = sa.update(STROKES).where(STROKES.c.id == stroke.id).values(after_point=max(before, default=0))
        connection.execute(last)


def _event(uid: str) -> tuple[str, int]:
    client_id, _, event = uid.rpartition(":")
    seq = event.partition(".")[0]
    return client_id, int(seq) if seq.isdecimal() else 0
