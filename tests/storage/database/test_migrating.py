"""A database of an older fcnlab opens in this one, with all it held."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, make_url, text
from sqlalchemy.orm import Session

from fcnlab.storage.database import migrating, repository_projects
from fcnlab.storage.database.all_tables import ALL_TABLES
from fcnlab.storage.database.engine import (
    close_database,
    engine_of,
    make_engine,
    open_database,
    reading,
    writing,
)
from fcnlab.storage.database.repository_images import images_since
from fcnlab.storage.database.repository_projects import NOTHING_READ, project_at

NEWEST = ScriptDirectory.from_config(migrating._config()).get_current_head()
PROJECT = text(
    "INSERT INTO projects (id, name, key, learner, archived_at, created_at) "
    "VALUES (1, 'old', 'key', :learner, NULL, '2026-01-02 03:04:05')"
)
CLASSES = text(
    "INSERT INTO classes VALUES (1, 0, 'background', '#0072B2', 4, NULL), (1, 7, 'soil', '#0072B2', 2, NULL), "
    "(1, 5, 'gone', '#0072B2', 1, '2026-01-02 03:04:05')"
)

IMAGE = text(
    "INSERT INTO images (id, project_id, name, content_hash, height, width, dtype, channels, turned, state, position, "
    "created_at) VALUES (:id, 1, CAST(:id AS TEXT), CAST(:id AS TEXT), 9, 9, 'uint8', 3, false, 'new', :id, "
    "'2026-01-02 03:04:05')"
)
POINT = text(
    'INSERT INTO points (id, project_id, image_id, uid, class_id, "row", col, labeller, source, weight, hidden_by, '
    "created_at) VALUES (:id, 1, :image_id, CAST(:id AS TEXT), 0, 1, 1, 'ann', 'click', 1, 0, '2026-01-02 03:04:05')"
)
STROKE = text(
    'INSERT INTO strokes (id, project_id, image_id, uid, class_id, top, "left", height, width, runs, labeller, '
    "hidden_by, created_at) VALUES (:id, 1, :image_id, CAST(:id AS TEXT), 0, 0, 0, 1, 1, '[0, 1]', 'ann', 0, "
    "'2026-01-02 03:04:05')"
)


@pytest.fixture
def old_engine(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """A database of revision 0001 with a project in it."""
    engine = engine_at("0001", database_url, monkeypatch)
    with engine.begin() as connection:
        connection.execute(PROJECT, {"learner": '{"working_side": 512}'})
        connection.execute(CLASSES)
    assert not set(inspect(engine).get_table_names()) & {"trainings", "leases", "models"}
    engine.dispose()
    return engine


def engine_at(revision: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """An empty database of an older revision."""
    address = make_url(database_url)
    if address.get_backend_name() == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    engine = make_engine(address)
    upgrade = command.upgrade

    def only_to(config: Config, _revision: str) -> None:
        upgrade(config, revision)

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", only_to)
        migrating.migrate(engine)
    return engine


def test_a_database_of_the_first_version_opens_with_all_it_held(old_engine: Engine, database_url: str) -> None:
    sessions = open_database(database_url)

    with reading(sessions) as session:
        (found,) = repository_projects.projects(session)
    assert (found.name, found.learner.working_side, found.model_id) == ("old", 512, None)
    assert [label.name for label in found.classes] == ["soil", "background"]
    assert found.background == 7, "the first of the class bar, as it was meant when nobody could say"
    assert set(ALL_TABLES.tables) <= set(inspect(engine_of(sessions)).get_table_names())
    close_database(sessions)


def changed_since(session: Session, *, project_id: int, revision: int) -> tuple[int, tuple[int, ...]]:
    """The revision of a project now, and the images that changed since a revision."""
    _, now = project_at(session, project_id=project_id)
    read = images_since(session, project_id=project_id, revision=revision, now=now)
    return now, tuple(image_at.image.id for image_at in read)


def painting_revision(session: Session, *, image_id: int) -> int:
    """When strokes of an image changed last."""
    (image_at,) = images_since(session, project_id=1, revision=99, now=99, besides=image_id)
    assert not image_at.is_changed
    return image_at.painting_revision


def test_what_an_old_database_holds_has_a_revision_and_later_writes_raise_it(
    old_engine: Engine, database_url: str
) -> None:
    """Also when a later migration built a table anew, which takes its triggers away on SQLite."""
    with old_engine.begin() as connection:
        for image_id in (1, 2):
            connection.execute(IMAGE, {"id": image_id})
        connection.execute(POINT, {"id": 1, "image_id": 1})

    sessions = open_database(database_url)
    with reading(sessions) as session:
        assert changed_since(session, project_id=1, revision=NOTHING_READ) == (1, (1,))
    with writing(sessions) as session:
        for made in (POINT, STROKE):
            session.execute(made, {"id": 2, "image_id": 2})
        session.execute(text("UPDATE images SET is_complete = true WHERE id = 1"))
        session.execute(text("UPDATE classes SET removed_at = '2026-01-02 03:04:05' WHERE class_id = 0"))
    with reading(sessions) as session:
        assert changed_since(session, project_id=1, revision=1) == (5, (1, 2))
        assert painting_revision(session, image_id=2) == 5
    close_database(sessions)


def test_an_old_stroke_lies_over_the_clicks_that_came_before_it_and_under_the_later_ones(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By time, and in one batch by the numbers of its events."""
    made = "2026-01-02 03:04:05"
    engine = engine_at("0008", database_url, monkeypatch)
    with engine.begin() as connection:
        connection.execute(PROJECT, {"learner": "{}"})
        connection.execute(CLASSES)
        for image_id in (1, 2):
            connection.execute(IMAGE, {"id": image_id})
        for number, image_id, uid, at in [
            (1, 1, "other-tab:9.0", "2026-01-02 03:04:04"),
            (2, 1, "tab:9.1", made),
            (3, 1, "tab:11.0", made),
            (4, 1, "tab:1.0", "2026-01-02 03:04:06"),
            (5, 2, "tab:2.0", "2026-01-02 03:04:04"),
        ]:
            connection.execute(POINT, {"id": number, "image_id": image_id})
            connection.execute(
                text("UPDATE points SET uid = :uid, created_at = :at WHERE id = :id"),
                {"uid": uid, "at": at, "id": number},
            )
        for number, uid, at in [(1, "tab:10", made), (2, "tab:0", "2026-01-02 03:04:03")]:
            connection.execute(STROKE, {"id": number, "image_id": 1})
            connection.execute(
                text("UPDATE strokes SET uid = :uid, created_at = :at WHERE id = :id"),
                {"uid": uid, "at": at, "id": number},
            )
    engine.dispose()

    sessions = open_database(database_url)
    with reading(sessions) as session:
        rows = session.execute(text("SELECT id, after_point FROM strokes ORDER BY id")).all()

    assert [tuple(row) for row in rows] == [(1, 2), (2, 0)]
    close_database(sessions)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_it_is_copied_before(old_engine: Engine, database_url: str, tmp_path: Path) -> None:
    close_database(open_database(database_url))

    with closing(sqlite3.connect(tmp_path / f"lab.before-{NEWEST}-from-0001.db")) as copy:
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        assert copy.execute("SELECT name FROM projects").fetchall() == [("old",)]
