"""Tags of images, and a revision that rises with them and with expert masks"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

FOLLOWED = ("image_tags", "expert_masks")
"""Tables with a project_id and an image_id whose writes raise the revision of tags."""


def upgrade() -> None:
    for table in ("projects", "images"):
        op.add_column(table, sa.Column("tag_revision", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "image_tags",
        sa.Column("image_id", sa.Integer(), nullable=False),
        sa.Column("class_id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("answer", sa.String(), nullable=False),
        sa.Column("labeller", sa.String(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("answer IN ('yes', 'no')", name=op.f("ck_image_tags_yes_or_no")),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name=op.f("fk_image_tags_image_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_image_tags_project_id")),
        sa.ForeignKeyConstraint(
            ["project_id", "class_id"],
            ["classes.project_id", "classes.class_id"],
            name=op.f("fk_image_tags_project_id_class_id"),
        ),
        sa.PrimaryKeyConstraint("image_id", "class_id", name=op.f("pk_image_tags")),
    )
    op.create_index("ix_image_tags_project_id", "image_tags", ["project_id", "class_id"])
    op.create_table(
        "tag_tabs",
        sa.Column("project_id", sa.Integer(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_tag_tabs_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "client_id", name=op.f("pk_tag_tabs")),
    )
    make = _make_sqlite_triggers if op.get_bind().dialect.name == "sqlite" else _make_postgresql_triggers
    make()


def _make_sqlite_triggers() -> None:
    for table in FOLLOWED:
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            of_image = (
                "UPDATE images SET tag_revision = (SELECT tag_revision FROM projects WHERE id = "
                f"{row}.project_id) WHERE id = {row}.image_id; "
            )
            op.execute(
                f"CREATE TRIGGER revise_{table}_{event.lower()} AFTER {event} ON {table} BEGIN "
                f"UPDATE projects SET tag_revision = tag_revision + 1 WHERE id = {row}.project_id; {of_image}END"
            )


def _make_postgresql_triggers() -> None:
    op.execute(
        "CREATE FUNCTION fcnlab_revise_tags() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE projects SET tag_revision = tag_revision + 1 WHERE id IN (SELECT project_id FROM changed); "
        "UPDATE images SET tag_revision = projects.tag_revision FROM projects WHERE projects.id = images.project_id "
        "AND images.id IN (SELECT image_id FROM changed); RETURN NULL; END $$"
    )
    for table in FOLLOWED:
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER revise_{table}_{event.lower()} AFTER {event} ON {table} "
                f"REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION fcnlab_revise_tags()"
            )
