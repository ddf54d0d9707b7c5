"""The tables of trainings, models and workers, on top of those of projects."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fcnlab.storage.database.tables import PERHAPS_JSON, Base


class ComparisonRow(Base):
    """Networks compared on the same points."""

    __tablename__ = "comparisons"
    __table_args__ = (Index("ix_comparisons_project_id", "project_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    spec: Mapped[dict[str, Any]]
    state: Mapped[str]
    results: Mapped[dict[str, Any]]
    labeller: Mapped[str]
    created_at: Mapped[datetime]


class TrainingRow(Base):
    """A training. `model_id` is a number only: models point here already."""

    __tablename__ = "trainings"
    __table_args__ = (
        Index("ix_trainings_project_id", "project_id", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    network: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any]]
    image_ids: Mapped[list[Any] | None] = mapped_column(PERHAPS_JSON)
    comparison_id: Mapped[int | None] = mapped_column(ForeignKey("comparisons.id"))
    state: Mapped[str]
    wanted: Mapped[str]
    labeller: Mapped[str]
    message: Mapped[str]
    epoch: Mapped[int]
    epochs: Mapped[int]
    network_now: Mapped[str]
    seconds: Mapped[float]
    seconds_left: Mapped[float]
    images_per_second: Mapped[float]
    model_id: Mapped[int | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class EpochRow(Base):
    """One epoch of a training: a point of its curves."""

    __tablename__ = "training_epochs"

    training_id: Mapped[int] = mapped_column(ForeignKey("trainings.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epochs: Mapped[int]
    network: Mapped[str]
    loss: Mapped[float]
    seconds: Mapped[float]
    images_per_second: Mapped[float]
    seconds_left: Mapped[float]
    score: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    is_best: Mapped[bool]
    created_at: Mapped[datetime]


class ModelRow(Base):
    """A model that a project may use."""

    __tablename__ = "models"
    __table_args__ = (Index("ix_models_project_id", "project_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    kind: Mapped[str]
    spec: Mapped[dict[str, Any]]
    training: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    classes: Mapped[list[Any]] = mapped_column(JSON)
    point_set_hash: Mapped[str]
    n_points: Mapped[int]
    score: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    training_id: Mapped[int | None] = mapped_column(ForeignKey("trainings.id"))
    labeller: Mapped[str]
    file: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    seconds: Mapped[float]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class LeaseRow(Base):
    """Which process trains for a project."""

    __tablename__ = "leases"

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True, autoincrement=False)
    host: Mapped[str]
    pid: Mapped[int]
    started: Mapped[float]
    heartbeat_at: Mapped[datetime]


def forget_trainings(session: Session, *, project_id: int) -> None:
    """Delete all rows of these tables that belong to a project."""
    own = select(TrainingRow.id).where(TrainingRow.project_id == project_id)
    session.execute(delete(EpochRow).where(EpochRow.training_id.in_(own)))
    for table in (ModelRow, TrainingRow, ComparisonRow, LeaseRow):
        session.execute(delete(table).where(table.project_id == project_id))
