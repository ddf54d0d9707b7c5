"""The tables: what the database holds. Rows stay inside the package; callers get domain values."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    MetaData,
    UniqueConstraint,
    delete,
    false,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.types import TypeDecorator

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a later migration can change it."""


PERHAPS_JSON = JSON(none_as_null=True)
"""For columns that may hold nothing: NULL then, and not the JSON word null."""


class UtcTime(TypeDecorator[datetime]):
    """A moment: aware of its zone going in, UTC coming out, also from SQLite, which knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """UTC, without the zone where the database has none. Raises ValueError for a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"time {value} does not say its zone")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The stored moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables of fcnlab."""

    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map = {datetime: UtcTime, float: Double(), dict[str, Any]: JSON}  # noqa: RUF012


class ProjectRow(Base):
    """A project.

    `model_id` is a number only: models point here already; NULL stands for the instant learner. `imaging` says how its
    pictures are made from the channels of their files; NULL: as they come. `task` is a Task. `background` is the id of
    one of its classes, or NULL. `demo` is the key of the demo that it is. `revision` rises with every write of points,
    strokes, classes taken out of use or back, and what a learner follows of images: triggers of the database raise it,
    and nothing else writes to it (docs/adr/0026); `tag_revision` likewise, with every write of tags and expert masks.
    `deleted_at`: since then there is no such project for anybody, and
    its rows are going away a few at a time.
    """

    __tablename__ = "projects"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(unique=True)
    learner: Mapped[dict[str, Any]]
    archived_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    model_id: Mapped[int | None]
    imaging: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    task: Mapped[str] = mapped_column(default="masks", server_default="masks")
    background: Mapped[int | None]
    revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    deleted_at: Mapped[datetime | None]
    demo: Mapped[str | None]
    tag_revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class ClassRow(Base):
    """A class of a project; removed ones stay, so that their id is never given again."""

    __tablename__ = "classes"
    __table_args__ = (
        CheckConstraint("class_id BETWEEN 0 AND 254", name="class_id_range"),
        Index(
            "uq_classes_live_name",
            "project_id",
            "name",
            unique=True,
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    class_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    colour: Mapped[str]
    place: Mapped[int]
    removed_at: Mapped[datetime | None]


class ImageRow(Base):
    """An image of a project, with the mask it keeps when done. A reopened one still names it, with `mask_content`, what
    lay on the image when the mask was made: done again with the same, it keeps the same mask.

    `imaging` is the project's when the picture was made; `pixel_size` holds two lengths and their unit, where known.
    `revision` is that of the project when points of the image, or what else a learner follows of it, changed last;
    `painting_revision` when its strokes did. `tag_revision` is that of tags when tags or expert masks of it did.
    """

    __tablename__ = "images"
    __table_args__ = (
        UniqueConstraint("project_id", "content_hash"),
        UniqueConstraint("project_id", "name"),
        UniqueConstraint("project_id", "position"),
        Index("ix_images_project_id_state", "project_id", "state"),
        Index("ix_images_content_hash", "content_hash"),
        Index("ix_images_revision", "project_id", "revision"),
        CheckConstraint("height > 0 AND width > 0", name="not_empty"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    name: Mapped[str]
    content_hash: Mapped[str]
    height: Mapped[int]
    width: Mapped[int]
    dtype: Mapped[str]
    channels: Mapped[int]
    turned: Mapped[bool]
    stretch_low: Mapped[float | None]
    stretch_high: Mapped[float | None]
    state: Mapped[str]
    position: Mapped[int]
    mask_file: Mapped[str | None]
    mask_model: Mapped[str | None]
    mask_points: Mapped[str | None]
    mask_at: Mapped[datetime | None]
    mask_content: Mapped[str | None]
    created_at: Mapped[datetime]
    imaging: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    pixel_size: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)
    is_complete: Mapped[bool] = mapped_column(default=False, server_default=false())
    revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    painting_revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    tag_revision: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")


class PointRow(Base):
    """A labelled pixel. `hidden_by` counts the live events that want it gone; at 0 the point is live.

    A counter instead of a flag makes undo commute: a point that one labeller cleared and another
    took back stays away until both of them changed their minds.
    """

    __tablename__ = "points"
    __table_args__ = (
        UniqueConstraint("project_id", "uid"),
        ForeignKeyConstraint(["project_id", "class_id"], ["classes.project_id", "classes.class_id"]),
        CheckConstraint('"row" >= 0 AND col >= 0', name="inside"),
        CheckConstraint("(hidden_by = 0) = (removed_at IS NULL)", name="live_or_removed"),
        Index("ix_points_image", "image_id", "removed_at", "class_id"),
        Index(
            "ix_points_live",
            "project_id",
            "image_id",
            "row",
            "col",
            "class_id",
            sqlite_where=text("removed_at IS NULL"),
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    uid: Mapped[str]
    class_id: Mapped[int]
    row: Mapped[int]
    col: Mapped[int]
    labeller: Mapped[str]
    source: Mapped[str]
    weight: Mapped[float]
    hidden_by: Mapped[int]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class EventRow(Base):
    """What a labeller did. `undo_state` is live, undone or spent, and empty when undo passes it by."""

    __tablename__ = "events"
    __table_args__ = (
        UniqueConstraint("client_id", "seq"),
        Index("ix_events_undo", "image_id", "labeller", "undo_state", "id"),
        Index("ix_events_project", "project_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    client_id: Mapped[str]
    seq: Mapped[int] = mapped_column(BigInteger)
    labeller: Mapped[str]
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    image_id: Mapped[int | None] = mapped_column(ForeignKey("images.id"))
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    effect: Mapped[dict[str, Any]]
    undo_state: Mapped[str | None]
    created_at: Mapped[datetime]
    undone_at: Mapped[datetime | None]


class FitRow(Base):
    """A finished fit."""

    __tablename__ = "fits"
    __table_args__ = (Index("ix_fits_project_id", "project_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    learner: Mapped[dict[str, Any]]
    point_set_hash: Mapped[str]
    n_points: Mapped[int]
    checkpoint: Mapped[str]
    milliseconds: Mapped[float]
    created_at: Mapped[datetime]


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
    of_project = select(TrainingRow.id).where(TrainingRow.project_id == project_id)
    session.execute(delete(EpochRow).where(EpochRow.training_id.in_(of_project)))
    for table in (ModelRow, TrainingRow, ComparisonRow, LeaseRow):
        session.execute(delete(table).where(table.project_id == project_id))
