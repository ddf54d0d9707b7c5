"""Cover surveys, their images and points"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "surveys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taught_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("predicted_by", sa.JSON(), nullable=True),
        _refers("surveys", "project_id", "projects.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_surveys")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_surveys_project_id", "surveys", ["project_id", "id"])
    op.create_table(
        "survey_images",
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("stratum", sa.String(), nullable=False),
        sa.Column("shares", sa.JSON(), nullable=True),
        _refers("survey_images", "survey_id", "surveys.id"),
        _refers("survey_images", "image_id", "images.id"),
        sa.PrimaryKeyConstraint("survey_id", "image_id", name=op.f("pk_survey_images")),
    )
    op.create_table(
        "survey_points",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("row", sa.Integer(), nullable=False),
        sa.Column("col", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=True),
        sa.Column("is_unknown", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("predicted", sa.Integer(), nullable=True),
        sa.CheckConstraint("class_id IS NULL OR NOT is_unknown", name=op.f("ck_survey_points_one_answer")),
        _refers("survey_points", "survey_id", "surveys.id"),
        _refers("survey_points", "image_id", "images.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_survey_points")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_survey_points_survey_id", "survey_points", ["survey_id", "id"])
    op.create_table(
        "survey_tabs",
        sa.Column("survey_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        _refers("survey_tabs", "survey_id", "surveys.id"),
        sa.PrimaryKeyConstraint("survey_id", "client_id", name=op.f("pk_survey_tabs")),
    )


def _refers(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))
