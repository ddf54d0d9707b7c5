"""The first tables"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _make_projects()
    _make_classes()
    _make_fits()
    _make_images()
    _make_events()
    _make_points()


def _make_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("learner", sa.JSON(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projects")),
        sa.UniqueConstraint("key", name=op.f("uq_projects_key")),
        sa.UniqueConstraint("name", name=op.f("uq_projects_name")),
        sqlite_autoincrement=True,
    )


def _make_classes() -> None:
    op.create_table(
        "classes",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("colour", sa.String(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("class_id BETWEEN 0 AND 254", name=op.f("ck_classes_class_id_range")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_classes_project_id")),
        sa.PrimaryKeyConstraint("project_id", "class_id", name=op.f("pk_classes")),
    )
    op.create_index(
        "uq_classes_live_name",
        "classes",
        ["project_id", "name"],
        unique=True,
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )


def _make_fits() -> None:
    op.create_table(
        "fits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("learner", sa.JSON(), nullable=False),
        sa.Column("point_set_hash", sa.String(), nullable=False),
        sa.Column("n_points", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.String(), nullable=False),
        sa.Column("milliseconds", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_fits_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fits")),
    )
    op.create_index("ix_fits_project_id", "fits", ["project_id", "id"])


def _make_images() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("content_hash", sa.String(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("dtype", sa.String(), nullable=False),
        sa.Column("channels", sa.Integer(), nullable=False),
        sa.Column("turned", sa.Boolean(), nullable=False),
        sa.Column("stretch_low", sa.Double(), nullable=True),
        sa.Column("stretch_high", sa.Double(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("mask_file", sa.String(), nullable=True),
        sa.Column("mask_model", sa.String(), nullable=True),
        sa.Column("mask_points", sa.String(), nullable=True),
        sa.Column("mask_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("height > 0 AND width > 0", name=op.f("ck_images_not_empty")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_images_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_images")),
        sa.UniqueConstraint("project_id", "content_hash", name=op.f("uq_images_project_id_content_hash")),
        sa.UniqueConstraint("project_id", "name", name=op.f("uq_images_project_id_name")),
        sa.UniqueConstraint("project_id", "position", name=op.f("uq_images_project_id_position")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_images_content_hash", "images", ["content_hash"])
    op.create_index("ix_images_project_id_state", "images", ["project_id", "state"])


def _make_events() -> None:
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("effect", sa.JSON(), nullable=False),
        sa.Column("undo_state", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_events_image_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_events_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("client_id", "seq", name=op.f("uq_events_client_id_seq")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_project", "events", ["project_id"])
    op.create_index("ix_events_undo", "events", ["image_id", "labeller", "undo_state", "id"])


def _make_points() -> None:
    op.create_table(
        "points",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("col", sa.Integer(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("hidden_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint('"row" >= 0 AND col >= 0', name=op.f("ck_points_inside")),
        sa.CheckConstraint("(hidden_by = 0) = (removed_at IS NULL)", name=op.f("ck_points_live_or_removed")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_points_image_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "class_id"],
            ["classes.project_id", "classes.class_id"],
            name=op.f("fk_points_project_id_class_id"),
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_points_project_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_points")),
        sa.UniqueConstraint("project_id", "uid", name=op.f("uq_points_project_id_uid")),
    )
    op.create_index("ix_points_image", "points", ["image_id", "removed_at", "class_id"])
    op.create_index(
        "ix_points_live",
        "points",
        ["project_id", "image_id", "row", "col", "class_id"],
        sqlite_where=sa.text("removed_at IS NULL"),
        postgresql_where=sa.text("removed_at IS NULL"),
    )
