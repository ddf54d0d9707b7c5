"""The tables of tags; see `tables`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index
from sqlalchemy.orm import Mapped, mapped_column

from fcnlab.storage.database.tables import Base


class ImageTagRow(Base):
    """What somebody answered about a class in an image. It goes with its image; of a class that was removed it stays,
    and counts again when the class is back."""

    __tablename__ = "image_tags"
    __table_args__ = (
        ForeignKeyConstraint(["project_id", "class_id"], ["classes.project_id", "classes.class_id"]),
        CheckConstraint("answer IN ('yes', 'no')", name="yes_or_no"),
        Index("ix_image_tags_project_id", "project_id", "class_id"),
    )

    image_id: Mapped[int] = mapped_column(ForeignKey("images.id", ondelete="CASCADE"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    answer: Mapped[str]
    labeller: Mapped[str]
    answered_at: Mapped[datetime]


class TagTabRow(Base):
    """How far a browser tab came that tags images: the highest number of its answers that is stored."""

    __tablename__ = "tag_tabs"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
