"""Opening the database and the two kinds of transaction: `reading` and `writing`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, sessionmaker

from fcnlab.errors import DatabaseUnavailable, InvalidSetting
from fcnlab.storage.database.migrating import migrate

Sessions = sessionmaker[Session]
Value = TypeVar("Value")

BUSY_TIMEOUT_MS = 5000
VALUES_AT_ONCE = 500
"""Of a list in one statement: far below every database's limit on parameters."""

WRITES = "fcnlab_writes"
WRITER_LOCK = 0x66636E  # PostgreSQL advisory lock: one writer at a time, as in SQLite


def open_database(location: str | Path) -> Sessions:
    """Connect, bring the tables up to date, and return the maker of sessions.

    Args:
        location: path of a SQLite file, or a URL: `sqlite:///path/to/lab.db` or `postgresql://user@host/name`
            (psycopg 3).

    Raises:
        DatabaseUnavailable: the database cannot be opened, belongs to another program, or was written
            by a newer fcnlab.
    """
    address = URL.create("sqlite", database=str(location)) if isinstance(location, Path) else _address(location)
    engine = make_engine(address)
    try:
        migrate(engine)
    except (DatabaseError, InterfaceError, OSError) as failure:
        engine.dispose()
        raise DatabaseUnavailable(
            f"{shown(address)} cannot be opened: {_cause(failure)}; check that its disk has room and may be written, "
            "then try again"
        ) from failure
    except DatabaseUnavailable:
        engine.dispose()
        raise
    return sessionmaker(engine, expire_on_commit=False)


def unchanged_database(file: Path) -> Sessions:
    """Sessions on a SQLite file that are there to read it, whatever its tables are; no connection outlives its use."""
    engine = create_engine(URL.create("sqlite", database=str(file)), poolclass=NullPool)
    return sessionmaker(engine, expire_on_commit=False)


def close_database(sessions: Sessions) -> None:
    """Give back all connections. Closing twice is closing once."""
    engine_of(sessions).dispose()


def engine_of(sessions: Sessions) -> Engine:
    """The engine behind the sessions."""
    bind = sessions.kw["bind"]
    assert isinstance(bind, Engine)
    return bind


def sqlite_file(sessions: Sessions) -> Path | None:
    """The database file, or None when the database is not SQLite."""
    url = engine_of(sessions).url
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """A session that sees one state of the database; nothing it changes is kept.

    Raises:
        DatabaseUnavailable: the database does not answer.
    """
    with _explained(sessions), sessions() as session:
        if engine_of(sessions).dialect.name == "postgresql":
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield session


@contextmanager
def writing(sessions: Sessions) -> Iterator[Session]:
    """A session that is the only writer until it ends; committed whole, or not at all on an exception.

    Raises:
        DatabaseUnavailable: the database does not answer, stays busy for longer than
            BUSY_TIMEOUT_MS, or is full. Nothing was stored.
    """
    with _explained(sessions), sessions.begin() as session:
        connection = session.connection(execution_options={WRITES: True})
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITER_LOCK})
        yield session


def chunked(values: Sequence[Value], count: int = VALUES_AT_ONCE) -> Iterator[Sequence[Value]]:
    """Values, at most `count` at a time, for statements that list them."""
    for start in range(0, len(values), count):
        yield values[start : start + count]


def make_engine(address: URL) -> Engine:
    """An engine with this project's pragmas and transactions; connects to nothing yet."""
    if address.get_backend_name() != "sqlite":
        return create_engine(address, pool_pre_ping=True)
    engine = create_engine(address)
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return engine


def shown(address: URL) -> str:
    """The address without its password, for messages."""
    return f"database {address.render_as_string(hide_password=True)}"


def _address(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as failure:
        raise DatabaseUnavailable(
            f"FCNLAB_DATABASE_URL {url!r} is no database URL; write sqlite:///path/to/lab.db or "
            "postgresql://user@host/name"
        ) from failure
    backend = address.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return address.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise DatabaseUnavailable(f"{shown(address)} is neither SQLite nor PostgreSQL")
    if address.database in (None, "", ":memory:"):
        raise DatabaseUnavailable("SQLite needs a file: write sqlite:///path/to/lab.db")
    return address


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver leaves BEGIN to `_begin`
    for pragma in (f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    # A transaction that starts by reading and then writes fails at once when another one wrote meanwhile.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _explained(sessions: Sessions) -> Iterator[None]:
    try:
        yield
    except (OverflowError, DataError) as failure:
        raise InvalidSetting(
            "a number is larger than any the database holds: check the ids that were given"
        ) from failure
    except (DatabaseError, InterfaceError, PoolTimeout) as failure:
        if not _is_outage(failure):
            raise
        raise DatabaseUnavailable(
            f"{shown(engine_of(sessions).url)} did not answer ({_cause(failure)}); nothing was saved. "
            "Check that its disk has room and that no other program holds it, then try again"
        ) from failure


def _is_outage(failure: Exception) -> bool:
    kinds = (OperationalError, InterfaceError, PoolTimeout)
    return isinstance(failure, kinds) or bool(getattr(failure, "connection_invalidated", False))


def _cause(failure: Exception) -> str:
    return str(getattr(failure, "orig", None) or failure).strip().partition("\n")[0]
