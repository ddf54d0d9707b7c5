"""Laws of labelling, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random
from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import text

from fcnlab.core.images.painting import painted
from fcnlab.domain.events import Event, EventKind, Point, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import IGNORE, ClassLabel
from fcnlab.errors import InvalidEvent, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import AppliedBatch, acknowledged, add_points, points_of_image
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.services.labelling.painting import painting_of
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading
from tests.conftest import TickingClock
from tests.support.bars import Site
from tests.support.tabs import (
    HEIGHT,
    WIDTH,
    Tab,
    anything,
    new_project,
    picture_of,
    random_change,
    state_of,
)


def test_an_added_point_is_there_with_its_name_and_its_place(tab: Tab) -> None:
    uid = tab.add(HEIGHT - 1, WIDTH - 1, 1)

    (stored,) = points_of_image(tab.lab, image_id=tab.image_id)

    assert (stored.uid, stored.point) == (uid, Point(HEIGHT - 1, WIDTH - 1, 1))
    assert (stored.labeller, stored.source) == ("ann", PointSource.CLICK)
    assert stored.created_at.tzinfo is not None


@pytest.mark.parametrize("seed", range(3))
def test_a_batch_split_anywhere_and_sent_twice_is_the_same_as_whole_and_once(any_lab: Lab, seed: int) -> None:
    rng = random.Random(seed)
    project_id, images = new_project(any_lab, name="whole")
    whole = Tab(any_lab, project_id=project_id, image_id=images[0], client="client-whole")
    project_id, images = new_project(any_lab, name="split")
    split = Tab(any_lab, project_id=project_id, image_id=images[0], client="client-split")
    events = [anything(whole, rng) for _ in range(60)]
    translated = [
        Event(
            event.seq,
            event.kind,
            split.image_id,
            {
                key: value.replace("whole", "split") if isinstance(value, str) else value
                for key, value in event.payload.items()
            },
        )
        for event in events
    ]

    whole.send(*events)
    for start in range(0, 60, 7):
        split.send(*translated[start : start + 7])
        split.send(*translated[: start + 7])

    expected = repr(picture_of(whole)).replace("whole", "split")
    assert repr(picture_of(split)) == expected
    assert acknowledged(any_lab, client_id="client-split") == 60


def test_a_batch_that_comes_twice_counts_once(tab: Tab) -> None:
    events = [tab.event(EventKind.ADD, row=1, col=2, class_id=0), tab.event(EventKind.ADD, row=3, col=4, class_id=1)]

    first, second = tab.send(*events), tab.send(*events)

    assert (first.acknowledged, second.acknowledged) == (2, 2)
    assert first.changed_images == {tab.image_id}
    assert second.changed_images == frozenset()
    assert len(tab.uids()) == 2


def test_events_after_a_gap_are_applied_in_order(tab: Tab) -> None:
    tab.add(1, 1)
    tab.seq = 4

    applied = tab.do(EventKind.ADD, row=2, col=2, class_id=1)

    assert applied.acknowledged == 5
    assert tab.points() == {Point(1, 1, 0), Point(2, 2, 1)}


def test_an_empty_batch_changes_nothing(tab: Tab) -> None:
    tab.add(1, 1)

    assert tab.send() == AppliedBatch(acknowledged=1)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (EventKind.ADD, {"row": HEIGHT, "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": 0, "col": WIDTH, "class_id": 0}),
        (EventKind.ADD, {"row": -1, "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": 0, "col": 0, "class_id": 7}),
        (EventKind.ADD, {"row": 0, "col": 0, "class_id": 255}),
        (EventKind.ADD, {"row": 0, "col": 0, "class_id": -1}),
        (EventKind.ADD, {"row": 0.5, "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": float("nan"), "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": True, "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": 10**30, "col": 0, "class_id": 0}),
        (EventKind.ADD, {"row": 0, "col": 0, "class_id": 0, "source": "dice"}),
        (EventKind.ADD, {"row": "x" * 20_000, "col": 0, "class_id": 0}),
        (EventKind.ADD, {}),
        (EventKind.REMOVE, {"uid": "client-one:99"}),
        (EventKind.REMOVE, {"uid": "nul\0\ud800"}),
        (EventKind.REMOVE, {"uid": None}),
        (EventKind.CLEAR, {}),
        (EventKind.UNDO, {}),
        (EventKind.REDO, {}),
        (EventKind.STATE, {"state": "lost"}),
        (EventKind.STATE, {"state": ["done"]}),
        (EventKind.CLASS_ADD, {"name": "cell", "colour": "#000000"}),
        (EventKind.CLASS_ADD, {"name": "\0", "colour": "#000000"}),
        (EventKind.CLASS_ADD, {"name": "a\ud800", "colour": "#000000"}),
        (EventKind.CLASS_ADD, {"name": " ", "colour": "#000000"}),
        (EventKind.CLASS_ADD, {"name": "x", "colour": "red"}),
        (EventKind.CLASS_EDIT, {"class_id": 9, "name": "x", "colour": "#000000"}),
        (EventKind.CLASS_EDIT, {"class_id": 0, "name": "cell", "colour": "#000000"}),
        (EventKind.CLASS_REMOVE, {"class_id": 9}),
    ],
)
def test_an_event_that_cannot_be_applied_is_named_and_does_not_block_the_next(
    tab: Tab, kind: EventKind, payload: dict[str, object]
) -> None:
    bad = tab.event(kind, **payload)
    good = tab.event(EventKind.ADD, row=5, col=6, class_id=1)

    applied = tab.send(bad, good)

    assert applied.acknowledged == 2
    (refusal,) = applied.refusals
    assert (refusal.seq, refusal.kind) == (1, kind)
    assert refusal.reason
    assert tab.points() == {Point(5, 6, 1)}


def test_an_event_on_another_projects_image_is_refused_and_kept(tab: Tab) -> None:
    _, foreign = new_project(tab.lab, name="other")

    for image_id in (foreign[0], 10**9, 10**25, 0, -3):
        event = tab.event(EventKind.ADD, image_id=image_id, row=1, col=1, class_id=0)
        assert tab.send(event).refusals

    assert acknowledged(tab.lab, client_id=tab.client) == 5
    assert points_of_image(tab.lab, image_id=foreign[0]) == ()


def test_a_point_is_removed_once(tab: Tab) -> None:
    uid = tab.add(1, 1)

    assert not tab.do(EventKind.REMOVE, uid=uid).refusals
    assert tab.do(EventKind.REMOVE, uid=uid).refusals


def test_the_first_point_starts_an_image(tab: Tab) -> None:
    assert state_of(tab) is ImageState.NEW

    tab.add(1, 1)

    assert state_of(tab) is ImageState.IN_PROGRESS


def test_a_done_image_changes_only_after_somebody_reopens_it(tab: Tab) -> None:
    uid = tab.add(1, 1)
    tab.do(EventKind.STATE, state="done")

    refused = [
        tab.do(EventKind.ADD, row=2, col=2, class_id=0),
        tab.do(EventKind.REMOVE, uid=uid),
        tab.do(EventKind.CLEAR),
        tab.do(EventKind.UNDO),
        tab.do(EventKind.REDO),
    ]
    assert {applied.refusals[0].reason for applied in refused} == {"this image is done: reopen it to change it"}
    assert tab.uids() == {uid}
    tab.do(EventKind.STATE, state="in_progress")

    assert not tab.do(EventKind.UNDO).refusals
    assert tab.points() == set()


def test_a_class_id_is_never_given_twice(tab: Tab) -> None:
    tab.do(EventKind.CLASS_ADD, name="spot", colour="#abcdef")
    tab.do(EventKind.CLASS_REMOVE, class_id=2)
    tab.do(EventKind.CLASS_ADD, name="spot", colour="")

    with reading(tab.lab.sessions) as session:
        classes = repository_projects.live_classes(session, project_id=tab.project_id)

    assert [(label.id, label.name) for label in classes] == [(0, "background"), (1, "cell"), (3, "spot")]


def test_points_of_a_removed_class_do_not_count(tab: Tab) -> None:
    tab.add(1, 1, 0)
    tab.add(2, 2, 1)

    applied = tab.do(EventKind.CLASS_REMOVE, class_id=1)

    assert applied.changed_classes
    assert tab.points() == {Point(1, 1, 0)}
    with reading(tab.lab.sessions) as session:
        assert repository_images.image(session, image_id=tab.image_id).n_points == 1


def test_the_last_class_cannot_be_removed(tab: Tab) -> None:
    assert not tab.do(EventKind.CLASS_REMOVE, class_id=0).refusals

    assert tab.do(EventKind.CLASS_REMOVE, class_id=1).refusals


def test_an_edited_class_keeps_its_id_and_its_points(tab: Tab) -> None:
    tab.add(2, 2, 1)

    tab.do(EventKind.CLASS_EDIT, class_id=1, name="  the   nucleus ", colour="#000000", order=-1)

    with reading(tab.lab.sessions) as session:
        first = repository_projects.live_classes(session, project_id=tab.project_id)[0]
    assert first == ClassLabel(1, "the nucleus", "#000000", -1)
    assert tab.points() == {Point(2, 2, 1)}


def test_nothing_is_stored_for_a_project_that_does_not_exist(tab: Tab) -> None:
    tab.project_id += 100

    with pytest.raises(UnknownProject):
        tab.do(EventKind.ADD, row=1, col=1, class_id=0)

    assert acknowledged(tab.lab, client_id=tab.client) == 0


def test_an_event_number_beyond_what_a_browser_can_count_is_refused_as_a_whole(tab: Tab) -> None:
    tab.seq = 2**53

    with pytest.raises(InvalidEvent):
        tab.do(EventKind.ADD, row=1, col=1, class_id=0)


def test_no_row_of_points_or_strokes_is_ever_deleted(tab: Tab) -> None:
    rng = random.Random(5)
    for _ in range(30):
        tab.send(random_change(tab, rng))
    tab.do(EventKind.CLEAR)

    with reading(tab.lab.sessions) as session:
        stored = {table: session.scalar(text(f"SELECT count(*) FROM {table}")) for table in ("points", "strokes")}
        by_kind = dict(session.execute(text("SELECT kind, count(*) FROM events GROUP BY kind")).all())
    assert stored == {"points": by_kind["add"] + 4 * by_kind["scribble"], "strokes": by_kind["brush"]}


@pytest.mark.parametrize("seed", range(4))
def test_order_comes_from_numbers_and_times_from_the_clock(any_lab: Lab, clock: TickingClock, seed: int) -> None:
    """A clock that is years ahead or behind for one click stamps that click alone, and changes no order."""
    rng = random.Random(seed)
    project_id, (image_id, _) = new_project(any_lab)
    tabs = [Tab(any_lab, project_id=project_id, image_id=image_id, client=f"client-{name}") for name in "zab"]
    expected: dict[tuple[int, int], int | None] = {}
    right = clock.now
    for number in range(40):
        tab, place, class_id = rng.choice(tabs), (rng.randrange(3), rng.randrange(3)), rng.randrange(2)
        clock.now = right + timedelta(seconds=number) + rng.choice([0, 0, -5, 10]) * timedelta(days=365)
        asked = clock.now
        if rng.random() < 0.3:
            tab.brush(*place, 1, 1, class_id)
        else:
            uid = tab.add(*place, class_id)
            (made,) = (one for one in points_of_image(any_lab, image_id=image_id) if one.uid == uid)
            assert abs(made.created_at - asked) < timedelta(minutes=1)
        expected[place] = class_id

    with reading(any_lab.sessions) as session:
        layers = painting_of(session, repository_images.image(session, image_id=image_id))
    newest = {
        (one.point.row, one.point.col): one.point.class_id
        for one in newest_per_pixel(points_of_image(any_lab, image_id=image_id))
    }
    below = np.full((HEIGHT, WIDTH), IGNORE, np.uint8)
    for (row, col), class_id in newest.items():
        below[row, col] = class_id
    shown = painted(below, layers)
    assert {place: int(shown[place]) for place in expected} == expected


def test_what_comes_later_is_newer_also_when_the_clock_was_set_back(lab: Lab, clock: TickingClock) -> None:
    site = Site(lab, 1)
    (background, bar) = (label.id for label in site.project.classes)
    add_points(lab, [Point(3, 4, bar)], image_id=site.images[0], labeller="ann", source=PointSource.CLICK)
    clock.now -= timedelta(minutes=5)

    add_points(lab, [Point(3, 4, background)], image_id=site.images[0], labeller="ann", source=PointSource.CLICK)

    (counts,) = newest_per_pixel(points_of_image(lab, image_id=site.images[0]))
    assert counts.point.class_id == background
