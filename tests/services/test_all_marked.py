"""Laws of images whose objects are all marked, on SQLite and on PostgreSQL."""

from __future__ import annotations

from fcnlab.adapters import repository_counts, repository_images
from fcnlab.adapters.database import reading, writing
from fcnlab.adapters.tables import ProjectRow
from fcnlab.counts import Task
from fcnlab.domain import EventKind, ImageInfo, ImageState
from fcnlab.services.scenes import marked_objects
from tests.services.tabs import Tab, new_project, other, state_of


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
