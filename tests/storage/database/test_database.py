"""Laws of the database: who opens it, who writes, and what a crash leaves."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from fcnlab.domain.project import ClassLabel, LearnerSpec
from fcnlab.errors import DatabaseUnavailable, UnknownProject
from fcnlab.storage.database import migrating, repository_projects
from fcnlab.storage.database.engine import (
    Sessions,
    close_database,
    engine_of,
    open_database,
    reading,
    sqlite_file,
    writing,
)
from fcnlab.storage.database.tables import Base, ClassRow, ProjectRow

NOW = datetime(2026, 5, 4, 3, 2, 1, 678901, tzinfo=UTC)
LABELS = (ClassLabel(0, "background", "#0072B2", 0),)


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    sessions = open_database(database_url)
    yield sessions
    close_database(sessions)


def make_project(sessions: Sessions, name: str) -> int:
    with writing(sessions) as session:
        project = repository_projects.create_project(session, name=name, labels=LABELS, learner=LearnerSpec(), now=NOW)
    return project.id


def names(sessions: Sessions) -> set[str]:
    with reading(sessions) as session:
        return {project.name for project in repository_projects.projects(session)}


def test_migrations_make_the_tables_the_program_uses(sessions: Sessions) -> None:
    with engine_of(sessions).connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Base.metadata)

    assert difference == []


def test_a_database_opened_again_holds_what_it_held(sessions: Sessions, database_url: str) -> None:
    make_project(sessions, "cells")

    again = open_database(database_url)

    assert names(again) == {"cells"}
    close_database(again)


def test_a_transaction_is_kept_whole_or_not_at_all(sessions: Sessions) -> None:
    def fail_halfway() -> None:
        with writing(sessions) as session:
            repository_projects.create_project(session, name="half", labels=LABELS, learner=LearnerSpec(), now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()

    assert names(sessions) == set()


def test_reading_keeps_nothing(sessions: Sessions) -> None:
    with reading(sessions) as session:
        repository_projects.create_project(session, name="lost", labels=LABELS, learner=LearnerSpec(), now=NOW)

    assert names(sessions) == set()


def test_a_reader_sees_one_state_while_others_write(sessions: Sessions) -> None:
    make_project(sessions, "first")
    with reading(sessions) as session:
        before = {project.name for project in repository_projects.projects(session)}
        make_project(sessions, "second")
        after = {project.name for project in repository_projects.projects(session)}

    assert before == after == {"first"}
    assert names(sessions) == {"first", "second"}


def test_writers_take_turns_even_when_they_read_before_they_write(sessions: Sessions) -> None:
    project_id = make_project(sessions, "0")

    def count_up() -> None:
        for _ in range(20):
            with writing(sessions) as session:
                old = repository_projects.project(session, project_id=project_id).name
                repository_projects.rename_project(session, project_id=project_id, name=str(int(old) + 1))

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names(sessions) == {"80"}


def test_times_come_back_in_utc_whatever_zone_they_went_in(sessions: Sessions) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=-7)))
    with writing(sessions) as session:
        repository_projects.create_project(session, name="cells", labels=LABELS, learner=LearnerSpec(), now=elsewhere)

    with reading(sessions) as session:
        stored = session.scalars(select(ProjectRow.created_at)).one()

    assert (stored, stored.utcoffset()) == (NOW, timedelta(0))


def test_a_class_of_no_project_cannot_be_stored(sessions: Sessions) -> None:
    row = ClassRow(project_id=99, class_id=0, name="x", colour="#000000", place=0, removed_at=None)

    with pytest.raises(IntegrityError), writing(sessions) as session:
        session.add(row)


def test_two_live_classes_cannot_share_a_name_even_behind_the_programs_back(sessions: Sessions) -> None:
    project_id = make_project(sessions, "cells")
    row = ClassRow(project_id=project_id, class_id=1, name="background", colour="#000000", place=1, removed_at=None)

    with pytest.raises(IntegrityError), writing(sessions) as session:
        session.add(row)


def test_a_database_of_a_newer_program_is_left_alone(sessions: Sessions, database_url: str) -> None:
    with writing(sessions) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(DatabaseUnavailable, match="newer fcnlab"):
        open_database(database_url)


def test_tables_of_another_program_are_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("CREATE TABLE projects (title)")

    with pytest.raises(DatabaseUnavailable, match="did not make"):
        open_database(tmp_path / "other.db")


@pytest.mark.parametrize(
    "url",
    ["", "lab.db", "sqlite://", "sqlite:///:memory:", "mysql://a@b/c", "postgresql://nobody@127.0.0.1:1/none"],
)
def test_an_address_that_leads_nowhere_is_explained(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        open_database(url)


def test_a_password_is_never_told() -> None:
    with pytest.raises(DatabaseUnavailable) as refusal:
        open_database("postgresql://nobody:geheim@127.0.0.1:1/none")

    assert "geheim" not in str(refusal.value)


def test_a_file_that_is_no_database_is_explained_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "lab.db"
    file.write_bytes(b"these are my holiday notes" * 100)

    with pytest.raises(DatabaseUnavailable):
        open_database(file)

    assert file.read_bytes() == b"these are my holiday notes" * 100


def test_a_path_may_hold_any_letters(tmp_path: Path) -> None:
    file = tmp_path / "100 % of #1? ü" / "lab.db"

    sessions = open_database(file)

    assert sqlite_file(sessions) == file
    assert file.is_file()
    close_database(sessions)


def test_sqlite_waits_for_the_disk_and_checks_references(tmp_path: Path) -> None:
    sessions = open_database(tmp_path / "lab.db")

    with reading(sessions) as session:
        pragmas = {
            name: session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "foreign_keys", "busy_timeout", "synchronous")
        }

    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 5000, "synchronous": 2}
    close_database(sessions)


def test_a_busy_database_is_explained_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcnlab.storage.database.engine.BUSY_TIMEOUT_MS", 50)
    sessions = open_database(tmp_path / "lab.db")
    with closing(sqlite3.connect(tmp_path / "lab.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseUnavailable, match="nothing was saved"):
            make_project(sessions, "late")

    assert names(sessions) == set()
    close_database(sessions)


def test_a_new_database_is_not_copied_and_neither_is_one_that_is_up_to_date(tmp_path: Path) -> None:
    for _ in range(2):
        close_database(open_database(tmp_path / "lab.db"))

    assert [path.name for path in tmp_path.glob("*before*")] == []


@pytest.fixture
def next_migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A later program: the migrations of this one and another, which the test writes to this path."""
    import shutil

    import fcnlab.storage.database.migrations

    folder = tmp_path / "later"
    shutil.copytree(Path(str(fcnlab.storage.database.migrations.__file__)).parent, folder)
    config = migrating._config()
    config.set_main_option("script_location", str(folder))
    monkeypatch.setattr(migrating, "_config", lambda: config)
    return folder / "versions" / "9999_later.py"


NEWEST = ScriptDirectory.from_config(migrating._config()).get_current_head()
HEADER = f'from alembic import op\nrevision, down_revision = "9999", "{NEWEST}"\n\ndef upgrade():\n'


def test_before_a_migration_the_database_is_copied(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    sessions = open_database(tmp_path / "lab.db")
    make_project(sessions, "cells")
    migration: Path = request.getfixturevalue("next_migration")
    migration.write_text(HEADER + "    op.execute('DELETE FROM classes')\n    op.execute('DELETE FROM projects')\n")

    later = open_database(tmp_path / "lab.db")

    with closing(sqlite3.connect(tmp_path / f"lab.before-9999-from-{NEWEST}.db")) as copy:
        assert copy.execute("SELECT name FROM projects").fetchall() == [("cells",)]
    assert names(later) == set()
    close_database(later)
    close_database(sessions)


def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    sessions = open_database(tmp_path / "lab.db")
    make_project(sessions, "cells")
    migration: Path = request.getfixturevalue("next_migration")
    migration.write_text(HEADER + "    op.execute('CREATE TABLE half (x)')\n    op.execute('nonsense')\n")

    with pytest.raises(DatabaseUnavailable):
        open_database(tmp_path / "lab.db")

    with reading(sessions) as session:
        tables = session.scalars(text("SELECT name FROM sqlite_master")).all()
        assert "half" not in tables
        assert session.scalar(text("SELECT version_num FROM alembic_version")) == NEWEST
    assert names(sessions) == {"cells"}
    close_database(sessions)


OPENER = "import sys; from fcnlab.storage.database.engine import open_database; open_database(sys.argv[1])"


def test_processes_that_open_a_new_database_together_all_succeed(database_url: str) -> None:
    openers = [subprocess.Popen([sys.executable, "-c", OPENER, database_url], stderr=subprocess.PIPE) for _ in range(4)]

    outputs = [opener.communicate(timeout=120)[1] for opener in openers]

    assert [opener.returncode for opener in openers] == [0] * 4, outputs
    sessions = open_database(database_url)
    make_project(sessions, "cells")
    close_database(sessions)


def test_an_unknown_project_is_named(sessions: Sessions) -> None:
    with pytest.raises(UnknownProject, match="17"), reading(sessions) as session:
        repository_projects.project(session, project_id=17)
