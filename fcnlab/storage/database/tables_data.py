"""The tables of masks from experts and of brush strokes, on top of those of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

import fcnlab.storage.database.tables_training  # noqa: F401  ALL_TABLES has its tables too
from fcnlab.storage.database.tables import Base


class ExpertMaskRow(Base):
    """A mask that came from outside: pixel value = class id of the project, 255 where it says nothing.

    The newest live one of an image is its ground truth. `n_known` counts its labelled pixels, `n_points` those sampled
    into training points. A source may give points alone: `file` is empty then. `digest` says what was imported: mask,
    points, how many were wanted and with which weight.
    """

    __tablename__ = "expert_masks"
    __table_args__ = (
        Index("ix_expert_masks_project_id", "project_id", "removed_at"),
        Index("ix_expert_masks_image_id", "image_id", "removed_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    file: Mapped[str]
    source: Mapped[str]
    digest: Mapped[str]
    labeller: Mapped[str]
    weight: Mapped[float]
    n_known: Mapped[int] = mapped_column(BigInteger)
    n_points: Mapped[int]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class StrokeRow(Base):
    """Pixels painted by hand: over every prediction they have `class_id`, or NULL: what is predicted, again.

    `runs` are the lengths of pixels outside and inside by turns, row by row in the box at `top, left`, outside first.
    `uid` and `hidden_by` as with points. `after_point` is the highest number of a point of the image when the stroke
    was made: clicks with a higher one came later, whatever the clock said.
    """

    __tablename__ = "strokes"
    __table_args__ = (
        UniqueConstraint("project_id", "uid"),
        CheckConstraint("(hidden_by = 0) = (removed_at IS NULL)", name="live_or_removed"),
        Index("ix_strokes_image_id", "image_id", "removed_at", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    uid: Mapped[str]
    class_id: Mapped[int | None]
    top: Mapped[int]
    left: Mapped[int]
    height: Mapped[int]
    width: Mapped[int]
    runs: Mapped[list[Any]] = mapped_column(JSON)
    after_point: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    labeller: Mapped[str]
    hidden_by: Mapped[int]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


ALL_TABLES = Base.metadata
"""These tables and those they stand on."""
