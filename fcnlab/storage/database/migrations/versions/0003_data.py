"""Masks of experts, brush strokes, how pictures are made from channels, sizes of pixels"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("projects", sa.Column("imaging", sa.JSON(), nullable=True))
    op.add_column("images", sa.Column("imaging", sa.JSON(), nullable=True))
    op.add_column("images", sa.Column("pixel_size", sa.JSON(), nullable=True))
    _make_expert_masks()
    _make_strokes()


def _of_image(table: str) -> tuple[sa.ForeignKeyConstraint, sa.ForeignKeyConstraint]:
    return (
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f(f"fk_{table}_image_id")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f(f"fk_{table}_project_id")),
    )


def _make_expert_masks() -> None:
    op.create_table(
        "expert_masks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("file", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("n_known", sa.BigInteger(), nullable=False),
        sa.Column("n_points", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        *_of_image("expert_masks"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expert_masks")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_expert_masks_project_id", "expert_masks", ["project_id", "removed_at"])
    op.create_index("ix_expert_masks_image_id", "expert_masks", ["image_id", "removed_at", "id"])


def _make_strokes() -> None:
    op.create_table(
        "strokes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("uid", sa.String(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("top", sa.Integer(), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("runs", sa.JSON(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("hidden_by", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(hidden_by = 0) = (removed_at IS NULL)", name=op.f("ck_strokes_live_or_removed")),
        *_of_image("strokes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strokes")),
        sa.UniqueConstraint("project_id", "uid", name=op.f("uq_strokes_project_id_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_strokes_image_id", "strokes", ["image_id", "removed_at", "id"])
