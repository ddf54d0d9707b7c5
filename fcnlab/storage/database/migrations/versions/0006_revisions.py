"""Revisions: numbers that rise with every write a learner follows, raised by triggers that no write passes by"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PICTURE = ("content_hash", "height", "width", "turned", "stretch_low", "stretch_high", "imaging", "is_complete")
"""Columns of an image that a learner follows: how its picture is made, and whether all its objects are marked."""

MADE = (("points", "revision"), ("strokes", "painting_revision"))
"""What labellers make, and the column of their image that rises with it."""


def upgrade() -> None:
    _add_columns()
    if op.get_bind().dialect.name == "sqlite":
        _make_sqlite_triggers()
    else:
        _make_postgresql_triggers()


def _add_columns() -> None:
    """A database of before starts at revision 1, with every image that has anything to follow."""
    op.add_column("projects", sa.Column("revision", sa.BigInteger(), nullable=False, server_default="0"))
    for _, column in MADE:
        op.add_column("images", sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))
    op.execute("UPDATE projects SET revision = 1")
    op.execute("UPDATE images SET revision = 1 WHERE is_complete OR id IN (SELECT image_id FROM points)")
    op.execute("UPDATE images SET painting_revision = 1 WHERE id IN (SELECT image_id FROM strokes)")
    op.create_index("ix_images_revision", "images", ["project_id", "revision"])


def _make_sqlite_triggers() -> None:
    for table, column in MADE:
        for event, rows in (("INSERT", ("NEW",)), ("UPDATE", ("OLD", "NEW")), ("DELETE", ("OLD",))):
            row = rows[-1]
            images = ", ".join(f"{alias}.image_id" for alias in rows)
            op.execute(
                f"CREATE TRIGGER revise_{table}_{event.lower()} AFTER {event} ON {table} BEGIN "
                f"UPDATE projects SET revision = revision + 1 WHERE id = {row}.project_id; "
                f"UPDATE images SET {column} = (SELECT revision FROM projects WHERE id = {row}.project_id) "
                f"WHERE id IN ({images}); END"
            )
    of_class = "WHERE project_id = NEW.project_id AND class_id = NEW.class_id"
    changes = "".join(
        f"UPDATE images SET {column} = (SELECT revision FROM projects WHERE id = NEW.project_id) "
        f"WHERE id IN (SELECT image_id FROM {table} {of_class}); "
        for table, column in MADE
    )
    op.execute(
        "CREATE TRIGGER revise_classes_update AFTER UPDATE OF removed_at ON classes "
        "WHEN (OLD.removed_at IS NULL) <> (NEW.removed_at IS NULL) BEGIN "
        f"UPDATE projects SET revision = revision + 1 WHERE id = NEW.project_id; {changes}END"
    )
    update_image = (
        "UPDATE images SET revision = (SELECT revision FROM projects WHERE id = NEW.project_id) WHERE id = NEW.id; "
    )
    raised = f"UPDATE projects SET revision = revision + 1 WHERE id = NEW.project_id; {update_image}"
    differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in PICTURE)
    op.execute(
        f"CREATE TRIGGER revise_images_update AFTER UPDATE OF {', '.join(PICTURE)} ON images "
        f"WHEN {differs} BEGIN {raised}END"
    )
    op.execute(f"CREATE TRIGGER revise_images_insert AFTER INSERT ON images WHEN NEW.is_complete BEGIN {raised}END")


def _make_postgresql_triggers() -> None:
    """Per statement where many rows change at once: a row that one statement raised often would grow slow."""
    for table, column in MADE:
        op.execute(
            f"CREATE FUNCTION fcnlab_revise_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "UPDATE projects SET revision = revision + 1 WHERE id IN (SELECT project_id FROM changed); "
            f"UPDATE images SET {column} = projects.revision FROM projects WHERE projects.id = images.project_id "
            "AND images.id IN (SELECT image_id FROM changed); RETURN NULL; END $$"
        )
        for event, rows in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            op.execute(
                f"CREATE TRIGGER revise_{table}_{event.lower()} AFTER {event} ON {table} "
                f"REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION fcnlab_revise_{table}()"
            )
    of_class = "WHERE project_id = NEW.project_id AND class_id = NEW.class_id"
    changes = "".join(
        f"UPDATE images SET {column} = (SELECT revision FROM projects WHERE id = NEW.project_id) "
        f"WHERE id IN (SELECT image_id FROM {table} {of_class}); "
        for table, column in MADE
    )
    op.execute(
        "CREATE FUNCTION fcnlab_revise_classes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"UPDATE projects SET revision = revision + 1 WHERE id = NEW.project_id; {changes}RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER revise_classes_update AFTER UPDATE OF removed_at ON classes FOR EACH ROW "
        "WHEN ((OLD.removed_at IS NULL) <> (NEW.removed_at IS NULL)) EXECUTE FUNCTION fcnlab_revise_classes()"
    )
    op.execute(
        "CREATE FUNCTION fcnlab_revise_image() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE projects SET revision = revision + 1 WHERE id = NEW.project_id RETURNING revision INTO NEW.revision; "
        "RETURN NEW; END $$"
    )
    differs = " OR ".join(f"OLD.{column}::text IS DISTINCT FROM NEW.{column}::text" for column in PICTURE)
    for event, condition in (("UPDATE", differs), ("INSERT", "NEW.is_complete")):
        op.execute(
            f"CREATE TRIGGER revise_images_{event.lower()} BEFORE {event} ON images FOR EACH ROW "
            f"WHEN ({condition}) EXECUTE FUNCTION fcnlab_revise_image()"
        )
