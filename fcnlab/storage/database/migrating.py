"""Bringing a database to the tables this program knows, once, whoever starts first."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, NullPool, create_engine, event, inspect, text

from fcnlab.errors import DatabaseUnavailable
from fcnlab.storage.database.all_tables import ALL_TABLES
from fcnlab.storage.files.whole_files import OWNER_ONLY, make_private, replaced_whole

LOCK_TIMEOUT_S = 120
MIGRATION_LOCK = 0x66636D  # PostgreSQL advisory lock, held while the tables change


def migrate(engine: Engine) -> None:
    """Bring the tables up to date, one process at a time; an existing SQLite file is copied before.

    The copy lies beside the database and is named after both revisions. A migration that fails leaves
    the database as it was.

    Raises:
        DatabaseUnavailable: the tables are another program's, or of a newer fcnlab.
    """
    scripts = ScriptDirectory.from_config(_config())
    with _alone(engine) as connection:
        now, head = _revision(connection), scripts.get_current_head()
        if now == head:
            return
        _refuse_strangers(connection, revision=now, scripts=scripts)
        if engine.dialect.name == "sqlite" and now is not None:
            file = Path(str(engine.url.database))
            copy_sqlite(file, to=file.with_name(f"{file.stem}.before-{head}-from-{now}{file.suffix}"))
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def copy_sqlite(file: Path, *, to: Path) -> None:
    """Copy a SQLite database that others may be writing; `to` appears whole or not at all, for its owner alone.

    Raises:
        StorageFull: there is no room for the copy.
        OSError: the database cannot be read, or the copy not be written.
    """
    with replaced_whole(to, mode=OWNER_ONLY) as part:
        try:
            with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(part)) as target:
                source.backup(target)
                target.execute("PRAGMA journal_mode=DELETE")  # one file, without a -wal beside it
        except sqlite3.Error as failure:
            is_full = getattr(failure, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise OSError(errno.ENOSPC if is_full else errno.EIO, str(failure), str(to)) from failure


def tighten_sqlite(file: Path) -> None:
    """Let nobody but their owner read a database, the files beside it and its copies; made, empty, if it is missing.

    SQLite gives the files it makes beside a database the permissions of the database.
    """
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY))
    for path in sqlite_files(file):
        with suppress(PermissionError, FileNotFoundError):  # of another user: `fcnlab doctor` says so
            make_private(path)


def sqlite_files(file: Path) -> list[Path]:
    """The files of a database that are there: itself, those beside it, and copies made before migrations."""
    beside = (file.with_name(file.name + suffix) for suffix in ("", "-wal", "-shm", "-journal"))
    return [*(path for path in beside if path.exists()), *file.parent.glob(f"{file.stem}.before-*{file.suffix}")]


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection nobody else migrates beside: file lock for SQLite, advisory lock for PostgreSQL."""
    if engine.dialect.name == "sqlite":
        with _alone_in_file(engine) as connection:
            yield connection
        return
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        try:
            yield connection
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()


@contextmanager
def _alone_in_file(engine: Engine) -> Iterator[Connection]:
    file = Path(str(engine.url.database))
    file.parent.mkdir(parents=True, exist_ok=True)
    tighten_sqlite(file)
    lock = FileLock(file.with_name(file.name + ".lock"), timeout=LOCK_TIMEOUT_S)
    migrator = create_engine(engine.url, poolclass=NullPool)
    event.listen(migrator, "connect", _set_migration_pragmas)
    event.listen(migrator, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with lock, migrator.connect() as connection:
            yield connection
    except Timeout as failure:
        raise DatabaseUnavailable(
            f"{file} is being migrated by another process for more than {LOCK_TIMEOUT_S} s; wait for it, or end it"
        ) from failure


def _set_migration_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None
    # WAL is a property of the file, and switching to it does not wait for others: hence under the lock.
    # Foreign keys are off because SQLite changes a table by building it anew.
    for pragma in ("busy_timeout=5000", "journal_mode=WAL", "foreign_keys=OFF", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "fcnlab:storage/database/migrations")
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.rollback()
    return revision


def _refuse_strangers(connection: Connection, *, revision: str | None, scripts: ScriptDirectory) -> None:
    revisions = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in revisions:
        raise DatabaseUnavailable(
            f"the database at {connection.engine.url.render_as_string()} has tables of revision {revision}, "
            f"this fcnlab knows up to {scripts.get_current_head()}: it was used by a newer fcnlab. Install "
            "that version, or point FCNLAB_DATABASE_URL or FCNLAB_DATA_DIR at another place"
        )
    foreign = set(inspect(connection).get_table_names()) & set(ALL_TABLES.tables)
    connection.rollback()
    if revision is None and foreign:
        raise DatabaseUnavailable(
            f"the database at {connection.engine.url.render_as_string()} has tables {sorted(foreign)} that "
            "fcnlab did not make; point FCNLAB_DATABASE_URL at another database"
        )
