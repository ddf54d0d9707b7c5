"""Fixtures shared by all tests: an installation in a folder of its own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Generator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from fcnlab.lab import Lab, open_lab
from fcnlab.settings import Settings

POSTGRES_VARIABLE = "FCNLAB_TEST_POSTGRES"
REQUIRED_VARIABLE = "FCNLAB_TEST_REQUIRE"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped test fails when one of its marks is named in FCNLAB_TEST_REQUIRE (commas between)."""
    report = yield
    required = os.environ.get(REQUIRED_VARIABLE, "").split(",")
    if report.skipped and not hasattr(report, "wasxfail"):
        for mark in item.iter_markers():
            if mark.name in required:
                report.outcome = "failed"
                report.longrepr = f"{REQUIRED_VARIABLE} names {mark.name}, and this was skipped: {report.longrepr}"
    return report


class TickingClock:
    """A clock that moves one second every time it is read."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def clock() -> TickingClock:
    return TickingClock()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", device="cpu", demo=False)


@pytest.fixture
def lab(settings: Settings, clock: TickingClock) -> Iterator[Lab]:
    """An empty installation on SQLite."""
    lab = open_lab(settings, clock=clock)
    yield lab
    lab.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lab.db'}"
    return str(request.getfixturevalue("postgres_database"))


@pytest.fixture
def any_lab(settings: Settings, clock: TickingClock, database_url: str) -> Iterator[Lab]:
    """An empty installation, once on SQLite and once on PostgreSQL."""
    lab = open_lab(settings.model_copy(update={"database_url": database_url}), clock=clock)
    yield lab
    lab.close()


@pytest.fixture
def postgres_database(postgres_server: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped after the test."""
    name = f"fcnlab_test_{uuid.uuid4().hex}"
    admin = create_engine(make_url(postgres_server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_server).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server: the one named by FCNLAB_TEST_POSTGRES, or one of our own."""
    if named := os.environ.get(POSTGRES_VARIABLE):
        yield named
        return
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = str(binaries[-1]) if binaries else shutil.which("initdb")
    if found is None:
        pytest.skip(f"no PostgreSQL: install postgresql, or name a server in {POSTGRES_VARIABLE}")
    as_user = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="fcnlab-postgres-"))
    if as_user:
        shutil.chown(folder, "postgres")
    port = _free_port()
    try:
        _run([*as_user, found, "-D", str(folder / "db"), "-U", "lab", "-A", "trust", "-E", "UTF8", "--no-sync"])
        control = [*as_user, str(Path(found).with_name("pg_ctl")), "-D", str(folder / "db")]
        options = f"-c listen_addresses=127.0.0.1 -p {port} -k {folder} -c fsync=off"
        _run([*control, "-w", "-l", str(folder / "log"), "-o", options, "start"])
        try:
            yield f"postgresql://lab@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-w", "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged() -> list[str]:
    """What to put before a command that refuses to run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        pytest.skip(f"PostgreSQL refuses to run as root: name a server in {POSTGRES_VARIABLE}")
    return ["runuser", "-u", "postgres", "--"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, timeout=120)
    assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
