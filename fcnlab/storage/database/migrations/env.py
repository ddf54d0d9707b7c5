"""Alembic's environment: runs the migrations on the connection it is handed, in one transaction."""

from alembic import context

from fcnlab.storage.database.all_tables import ALL_TABLES

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=ALL_TABLES,
    transactional_ddl=True,  # also on SQLite, whose driver leaves BEGIN to us
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
