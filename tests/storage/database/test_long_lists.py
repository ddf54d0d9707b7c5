"""No list is too long for a statement: SQLite takes 32,766 values in one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import text

from fcnlab.domain.events import Point, PointSource, StoredPoint
from fcnlab.storage.database import (
    repository_comparisons,
    repository_counts,
    repository_images,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import Sessions, chunked, reading, writing
from tests.support.tables import NOW, make_project

MANY = 33_000
STORAGE = Path(repository_projects.__file__).parents[1]
IMAGE = text(
    "INSERT INTO images (id, project_id, name, content_hash, height, width, dtype, channels, turned, state, position, "
    "created_at) VALUES (1, 1, 'a', 'a', 9, 9, 'uint8', 3, false, 'new', 1, '2026-01-02 03:04:05')"
)
SUBQUERIES = {"few", "of_project"}
SHORT = {"objects", "counted.class_ids()", "FOR_A_WORKER", "sorted(OPEN_STATES)"}
SHORT |= {"[UndoState.LIVE.value, UndoState.UNDONE.value]"}
"""Class ids, of which there are 255, and states."""


def test_lists_longer_than_a_statement_takes_are_asked_in_parts(sessions: Sessions, project_id: int) -> None:
    with reading(sessions) as session:
        assert repository_images.images_by_ids(session, image_ids=range(1, MANY)) == ()
        hashes = [f"{number:064x}" for number in range(MANY)]
        assert repository_images.images_by_hashes(session, project_id=project_id, content_hashes=hashes) == {}
        assert repository_images.contents_in_use(session, content_hashes=hashes) == frozenset()
        found = repository_counts.objects_per_image(session, project_id=project_id, image_ids=range(1, MANY))
        assert found == {}


def test_what_many_events_made_is_hidden_at_once(sessions: Sessions, project_id: int) -> None:
    uids = [f"uid-{number}" for number in range(MANY)]
    with writing(sessions) as session:
        session.execute(IMAGE)
        made = [
            StoredPoint(uid, 1, Point(1, 2, 5), "ann", PointSource.CLICK, NOW)
            for uid in (uids[0], uids[-1], "of another event")
        ]
        repository_points.add_points(session, project_id=project_id, stored=made)
        repository_points.hide_made(session, project_id=project_id, uids=uids, now=NOW)

        live = repository_points.points_of_image(session, image_id=1)

    assert [point.uid for point in live] == ["of another event"]


def test_parts_are_all_values_in_order() -> None:
    assert [list(part) for part in chunked(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunked([], 3)) == []


@pytest.mark.parametrize("path", sorted(STORAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_every_list_in_a_statement_is_a_part_of_one_or_known_to_be_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("in_", "not_in"):
            assert ast.unparse(node.args[0]) in {"some"} | SUBQUERIES | SHORT, ast.unparse(node)


def test_many_projects_are_listed(sessions: Sessions) -> None:
    for number in range(3):
        make_project(sessions, f"project {number}")
    with reading(sessions) as session:
        assert all(project.classes for project in repository_projects.projects(session))
        assert repository_comparisons.comparisons(session, project_id=1) == ()
