"""Laws of images whose objects are all marked, on SQLite and on PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.labelling.point_import import Addition, add_points_at_once
from fcnlab.services.labelling.scenes import marked_objects, scene
from fcnlab.storage.database import repository_counts, repository_images, repository_points
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.tables import ProjectRow
from tests.conftest import TickingClock
from tests.support.tabs import Tab, new_project, other, state_of


def info(tab: Tab) -> ImageInfo:
    with reading(tab.lab.sessions) as session:
        return repository_images.image(session, image_id=tab.image_id)


def test_saying_it_twice_is_saying_it_once_and_it_can_be_taken_back(tab: Tab) -> None:
    said = tab.event(EventKind.COMPLETE, complete=True)

    first, again = tab.send(said), tab.send(said)

    assert (first.changed_images, again.changed_images) == ({tab.image_id}, frozenset())
    assert info(tab).is_complete
    assert not tab.do(EventKind.COMPLETE, complete=True).refusals
    assert info(tab).is_complete
    tab.do(EventKind.COMPLETE, complete=False)
    assert not info(tab).is_complete


def test_an_image_without_points_can_be_empty_and_is_begun_then(tab: Tab) -> None:
    tab.do(EventKind.COMPLETE, complete=True)

    assert (tab.points(), state_of(tab)) == (set(), ImageState.IN_PROGRESS)
    with reading(tab.lab.sessions) as session:
        assert repository_counts.complete_images(session, project_id=tab.project_id) == {tab.image_id}


def test_undo_and_redo_pass_it_by(tab: Tab) -> None:
    tab.add(3, 60, 1)
    tab.do(EventKind.COMPLETE, complete=True)

    tab.do(EventKind.UNDO)

    assert (tab.points(), info(tab).is_complete) == (set(), True)
    tab.do(EventKind.COMPLETE, complete=False)
    assert tab.do(EventKind.REDO).refusals == ()
    assert (len(tab.points()), info(tab).is_complete) == (1, False)


def test_points_may_still_come_and_go_and_the_image_stays_all_marked(tab: Tab) -> None:
    tab.do(EventKind.COMPLETE, complete=True)

    uid = tab.add(39, 0, 1)
    tab.do(EventKind.REMOVE, uid=uid)

    assert info(tab).is_complete


def test_images_of_another_project_and_those_that_are_gone_refuse_it(tab: Tab) -> None:
    _, (elsewhere, *_) = new_project(tab.lab, name="elsewhere")

    applied = tab.send(
        tab.event(EventKind.COMPLETE, image_id=elsewhere, complete=True),
        tab.event(EventKind.COMPLETE, image_id=999_999, complete=True),
    )

    assert [one.reason for one in applied.refusals] == ["this image is not in the project any more"] * 2
    assert applied.acknowledged == 2
    with reading(tab.lab.sessions) as session:
        assert not repository_images.image(session, image_id=elsewhere).is_complete


def test_anything_but_yes_and_no_is_refused(tab: Tab) -> None:
    for wrong in (None, 1, "true", []):
        (refusal,) = tab.do(EventKind.COMPLETE, complete=wrong).refusals
        assert "all marked or not" in refusal.reason
    assert not info(tab).is_complete


def test_the_strip_counts_objects_and_no_background_in_projects_that_count(tab: Tab) -> None:
    for row, class_id in enumerate((0, 1, 1, 1)):
        tab.add(row, 60 - row, class_id)
    other(tab).do(EventKind.REMOVE, uid=f"{tab.client}:{tab.seq}")
    shown = info(tab)

    assert marked_objects(tab.lab, project_id=tab.project_id, images=[shown]) == {}
    with writing(tab.lab.sessions) as session:
        session.get_one(ProjectRow, tab.project_id).task = Task.COUNTS.value

    assert marked_objects(tab.lab, project_id=tab.project_id, images=[shown]) == {tab.image_id: 2}


def counting_tab(tab: Tab) -> Tab:
    """A tab on an image of a project that counts."""
    project_id, (image_id, *_) = new_project(tab.lab, name="counts", task=Task.COUNTS)
    return Tab(tab.lab, project_id=project_id, image_id=image_id, client="client-three")


def n_objects(tab: Tab) -> dict[int, int]:
    return marked_objects(tab.lab, project_id=tab.project_id, images=[info(tab)])


def test_a_second_point_of_a_class_on_a_pixel_is_no_second_object_whoever_makes_it(tab: Tab) -> None:
    counted = counting_tab(tab)
    counted.add(3, 60, 1)

    assert not other(counted).do(EventKind.ADD, row=3, col=60, class_id=1).refusals
    counted.do(EventKind.ACCEPT, points=[[3, 60, 1], [4, 4, 1], [4, 4, 1]], complete=False)
    twice = Addition(counted.image_id, Point(3, 60, 1), "table", PointSource.IMPORT, "line 1")
    add_points_at_once(tab.lab, [twice, twice], project_id=counted.project_id)

    assert n_objects(counted) == {counted.image_id: 2}
    assert len(counted.uids()) == 2
    tab.add(1, 1, 1)
    tab.add(1, 1, 1)
    assert len(tab.uids()) == 2  # where masks are made nothing is counted


def test_on_a_pixel_labelled_twice_the_newest_point_counts_also_within_one_batch(tab: Tab) -> None:
    counted = counting_tab(tab)
    for _ in range(8):
        counted.add(9, counted.seq, 1)
    counted.send(  # events 9 and 10: as texts, these numbers would be sorted the other way round
        counted.event(EventKind.ADD, row=3, col=60, class_id=0),
        counted.event(EventKind.ADD, row=3, col=60, class_id=1),
    )

    shown = scene(counted.lab, project_id=counted.project_id, image_id=counted.image_id, client_id=None, labeller="ann")
    there = [one for one in shown.points if (one.point.row, one.point.col) == (3, 60)]
    assert [one.point.class_id for one in there] == [0, 1]
    assert n_objects(counted) == {counted.image_id: 9}
    counted.add(3, 60, 0)
    assert n_objects(counted) == {counted.image_id: 8}
    assert sum(one.point.class_id == 1 for one in newest_per_pixel(shown.points)) == 9


def test_the_count_follows_the_order_of_points_also_when_the_clock_was_set_back(tab: Tab, clock: TickingClock) -> None:
    counted = counting_tab(tab)
    counted.add(3, 60, 1)
    clock.now -= timedelta(days=365)

    counted.add(3, 60, 0)
    assert n_objects(counted) == {counted.image_id: 0}
    counted.add(3, 60, 1)
    assert n_objects(counted) == {counted.image_id: 1}


def test_points_stored_twice_by_older_versions_are_one_object(tab: Tab) -> None:
    counted = counting_tab(tab)
    first = counted.add(3, 60, 1)
    stored = next(one for one in points_of_image(tab.lab, image_id=counted.image_id) if one.uid == first)
    with writing(tab.lab.sessions) as session:
        repository_points.add_point(session, project_id=counted.project_id, stored=replace(stored, uid="old-client:7"))

    assert len(counted.uids()) == 2
    assert n_objects(counted) == {counted.image_id: 1}


def test_objects_accepted_at_once_go_and_come_back_at_once_with_what_was_said_of_them(tab: Tab) -> None:
    counted = counting_tab(tab)
    counted.add(3, 60, 1)

    applied = counted.do(EventKind.ACCEPT, points=[[5, 5, 1], [6, 6, 1], [7, 7, 1]], complete=True)

    assert not applied.refusals
    assert (n_objects(counted), info(counted).is_complete) == ({counted.image_id: 4}, True)
    sources = [one.source for one in points_of_image(tab.lab, image_id=counted.image_id)]
    assert sources.count(PointSource.ACCEPTED) == 3
    counted.do(EventKind.UNDO)
    assert (n_objects(counted), info(counted).is_complete) == ({counted.image_id: 1}, False)
    counted.do(EventKind.REDO)
    assert (n_objects(counted), info(counted).is_complete) == ({counted.image_id: 4}, True)


@pytest.mark.parametrize("points", [None, [], [[1, 2]], [[1, 2, True]], [[0, 0, 9]], [[5, 5, 1], [99, 0, 1]]], ids=repr)
def test_a_list_with_one_wrong_object_changes_nothing(tab: Tab, points: object) -> None:
    counted = counting_tab(tab)

    assert counted.do(EventKind.ACCEPT, points=points, complete=True).refusals

    assert (counted.uids(), info(counted).is_complete) == (frozenset(), False)


@pytest.mark.parametrize("task", list(Task))
def test_the_scene_knows_how_many_other_images_are_open_and_which_comes_next(tab: Tab, task: Task) -> None:
    project_id, image_ids = new_project(tab.lab, name="open", n_images=4, task=task)

    def left(image_id: int) -> tuple[int, int | None]:
        found = scene(tab.lab, project_id=project_id, image_id=image_id, client_id=None)
        return found.n_open, found.next_open_id

    def finish(image_id: int) -> None:
        made = Tab(tab.lab, project_id=project_id, image_id=image_id, client=f"client-of-{image_id}")
        made.do(EventKind.COMPLETE, complete=True) if task is Task.COUNTS else made.do(EventKind.STATE, state="done")

    first, second, third, last = image_ids
    assert left(last) == (3, first)
    finish(first)
    finish(last)
    assert (left(last), left(second), left(third)) == ((2, second), (1, third), (1, second))
    finish(second)
    assert (left(third), left(last)) == ((0, None), (1, third))
