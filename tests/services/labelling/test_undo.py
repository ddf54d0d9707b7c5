"""Laws of undo and redo, on SQLite and on PostgreSQL."""

from __future__ import annotations

import random

import pytest

from fcnlab.domain.events import EventKind, Point, PointSource
from fcnlab.domain.images import ImageState, StoredMask
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import add_points, claim_events, points_of_image, set_image_state
from fcnlab.storage.database import repository_events, repository_images
from fcnlab.storage.database.engine import reading, writing
from tests.support.tabs import HEIGHT, WIDTH, Tab, new_project, other, random_change, state_of


@pytest.mark.parametrize("seed", range(4))
def test_undoing_everything_empties_the_image_and_redoing_everything_fills_it_again(tab: Tab, seed: int) -> None:
    rng = random.Random(seed)
    states = [tab.made()]
    for _ in range(25):
        applied = tab.send(random_change(tab, rng))
        assert not applied.refusals
        states.append(tab.made())

    for expected in reversed(states[:-1]):
        assert not tab.do(EventKind.UNDO).refusals
        assert tab.made() == expected
    assert tab.do(EventKind.UNDO).refusals

    for expected in states[1:]:
        assert not tab.do(EventKind.REDO).refusals
        assert tab.made() == expected
    assert tab.do(EventKind.REDO).refusals


def test_undo_takes_back_only_ones_own_events(tab: Tab) -> None:
    bob = other(tab)
    tab.add(1, 1)
    bob.add(2, 2)
    tab.add(3, 3)

    bob.do(EventKind.UNDO)
    assert tab.points() == {Point(1, 1, 0), Point(3, 3, 0)}
    assert bob.do(EventKind.UNDO).refusals
    tab.do(EventKind.UNDO)
    tab.do(EventKind.UNDO)
    assert tab.points() == set()
    bob.do(EventKind.REDO)

    assert tab.points() == {Point(2, 2, 0)}


def test_what_was_clicked_before_a_name_is_undone_by_its_labeller_alone(any_lab: Lab) -> None:
    project_id, (image_id, _) = new_project(any_lab)
    place = {"project_id": project_id, "image_id": image_id}
    nameless = Tab(any_lab, **place, client="client_one", who="anonymous")
    stranger = Tab(any_lab, **place, client="clientXone", who="anonymous")
    nameless.add(1, 1)
    stranger.add(2, 2)
    nameless.add(3, 3)
    nameless.brush(5, 5, 4, 4)

    assert claim_events(any_lab, client_id="client_one", before="anonymous", labeller=" Ada ") == 3

    labellers = {stored.point: stored.labeller for stored in points_of_image(any_lab, image_id=image_id)}
    assert labellers == {Point(1, 1, 0): "Ada", Point(2, 2, 0): "anonymous", Point(3, 3, 0): "Ada"}
    ada = Tab(any_lab, **place, client="client-two", who="Ada")
    for _ in range(3):
        assert not ada.do(EventKind.UNDO).refusals
    assert ada.points() == {Point(2, 2, 0)}
    assert not ada.strokes()
    assert ada.do(EventKind.UNDO).refusals


def test_a_point_stays_away_until_everybody_who_wanted_it_gone_changed_their_mind(tab: Tab) -> None:
    bob = other(tab)
    tab.add(1, 1)
    bob.do(EventKind.CLEAR)
    tab.do(EventKind.UNDO)

    bob.do(EventKind.UNDO)
    assert tab.points() == set()
    tab.do(EventKind.REDO)

    assert tab.points() == {Point(1, 1, 0)}


@pytest.mark.parametrize("seed", range(3))
def test_what_one_undoes_never_depends_on_when_the_other_undoes(any_lab: Lab, seed: int) -> None:
    pictures = []
    for order in ("ann first", "bob first"):
        rng = random.Random(seed)
        project_id, images = new_project(any_lab, name=order)
        ann = Tab(any_lab, project_id=project_id, image_id=images[0], client=f"ann-{seed}-{order[:3]}")
        bob = other(ann, client=f"bob-{seed}-{order[:3]}")
        for _ in range(20):
            who = rng.choice([ann, bob])
            row, col = rng.randrange(HEIGHT), rng.randrange(WIDTH)
            what = rng.choice([EventKind.ADD, EventKind.ADD, EventKind.ADD, EventKind.CLEAR])
            who.do(what, row=row, col=col, class_id=0)
        undos = [ann] * 4 + [bob] * 3
        for who in undos if order == "ann first" else reversed(undos):
            who.do(EventKind.UNDO)
        pictures.append(ann.points())

    assert pictures[0] == pictures[1]


def test_undo_reaches_events_of_another_tab_of_the_same_labeller(tab: Tab) -> None:
    tab.add(1, 1)
    again = other(tab, client="client-after-restart", who="ann")

    applied = again.do(EventKind.UNDO)

    assert not applied.refusals
    assert tab.points() == set()


def test_undo_stays_on_the_image_shown(tab: Tab) -> None:
    tab.add(1, 1)
    second = Tab(tab.lab, project_id=tab.project_id, image_id=tab.image_id + 1, client="client-two")
    second.add(2, 2)

    tab.do(EventKind.UNDO)

    assert (tab.points(), second.points()) == (set(), {Point(2, 2, 0)})


def test_a_new_event_ends_redo_also_for_what_was_undone_before_it(tab: Tab) -> None:
    tab.add(1, 1)
    tab.add(2, 2)
    tab.do(EventKind.UNDO)
    tab.add(3, 3)
    assert tab.do(EventKind.REDO).refusals
    tab.do(EventKind.UNDO)

    assert not tab.do(EventKind.REDO).refusals
    assert tab.do(EventKind.REDO).refusals
    assert tab.points() == {Point(1, 1, 0), Point(3, 3, 0)}


def test_a_refused_event_does_not_end_redo(tab: Tab) -> None:
    tab.add(1, 1)
    tab.do(EventKind.UNDO)
    tab.do(EventKind.ADD, row=-1, col=0, class_id=0)

    assert not tab.do(EventKind.REDO).refusals


def test_clear_removes_everybodys_points_and_undo_brings_them_all_back(tab: Tab) -> None:
    bob = other(tab)
    tab.add(1, 1)
    bob.add(2, 2, 1)
    before = tab.uids()

    bob.do(EventKind.CLEAR)
    assert tab.uids() == frozenset()
    bob.do(EventKind.UNDO)

    assert tab.uids() == before


def test_clearing_thousands_of_points_can_be_undone(tab: Tab) -> None:
    points = [Point(number // WIDTH, number % WIDTH, 0) for number in range(1300)]
    add_points(tab.lab, points, image_id=tab.image_id, labeller="import", source=PointSource.IMPORT)

    tab.do(EventKind.CLEAR)
    assert tab.points() == set()
    tab.do(EventKind.UNDO)

    assert tab.points() == set(points)


def test_a_reopened_image_shows_no_mask_and_only_a_done_image_takes_one(tab: Tab) -> None:
    mask = StoredMask("7.png", "instant", "ab" * 32, tab.lab.clock())
    with writing(tab.lab.sessions) as session:
        assert not repository_images.store_mask(session, image_id=tab.image_id, mask=mask)
    set_image_state(tab.lab, image_id=tab.image_id, state=ImageState.DONE, labeller="ann")
    with writing(tab.lab.sessions) as session:
        assert repository_images.store_mask(session, image_id=tab.image_id, mask=mask)
    set_image_state(tab.lab, image_id=tab.image_id, state=ImageState.DONE, labeller="ann")
    with reading(tab.lab.sessions) as session:
        assert repository_images.stored_mask(session, image_id=tab.image_id) == mask

    set_image_state(tab.lab, image_id=tab.image_id, state=ImageState.IN_PROGRESS, labeller="ann")

    with reading(tab.lab.sessions) as session:
        assert repository_images.stored_mask(session, image_id=tab.image_id) is None
        assert repository_images.image(session, image_id=tab.image_id).mask_model is None


def kept(tab: Tab) -> StoredMask | None:
    with reading(tab.lab.sessions) as session:
        return repository_images.stored_mask(session, image_id=tab.image_id)


def done_with_mask(tab: Tab) -> StoredMask:
    """Mark the image done, and store the mask that it keeps."""
    tab.do(EventKind.STATE, state="done")
    mask = StoredMask("7.png", "instant", "ab" * 32, tab.lab.clock())
    with writing(tab.lab.sessions) as session:
        assert repository_images.store_mask(session, image_id=tab.image_id, mask=mask)
    return mask


def test_undo_takes_a_reopening_back_with_the_mask_and_redo_makes_it_again(tab: Tab) -> None:
    tab.add(1, 1)
    mask = done_with_mask(tab)
    tab.do(EventKind.STATE, state="in_progress")
    tab.add(2, 2)
    assert kept(tab) is None

    for _ in range(2):
        assert not tab.do(EventKind.UNDO).refusals
    assert (state_of(tab), kept(tab), tab.points()) == (ImageState.DONE, mask, {Point(1, 1, 0)})
    assert tab.do(EventKind.UNDO).refusals  # a done image changes only after it was reopened
    for _ in range(2):
        assert not tab.do(EventKind.REDO).refusals

    assert (state_of(tab), kept(tab)) == (ImageState.IN_PROGRESS, None)
    assert tab.points() == {Point(1, 1, 0), Point(2, 2, 0)}


@pytest.mark.parametrize("change", ["nothing", "and back", "point", "removed", "stroke", "others"])
def test_a_reopened_image_done_again_keeps_its_mask_unless_points_or_strokes_changed(tab: Tab, change: str) -> None:
    uid = tab.add(1, 1)
    tab.brush(3, 3, 2, 2)
    mask = done_with_mask(tab)
    tab.do(EventKind.STATE, state="in_progress")
    if change == "and back":
        tab.do(EventKind.REMOVE, uid=uid)
        tab.do(EventKind.UNDO)
        tab.do(EventKind.REMOVE, uid=tab.add(9, 9))
    elif change == "point":
        tab.add(9, 9)
    elif change == "removed":
        tab.do(EventKind.REMOVE, uid=uid)
    elif change == "stroke":
        tab.brush(5, 5, 2, 2)
    elif change == "others":
        other(tab).add(9, 9)

    tab.do(EventKind.STATE, state="done")

    assert kept(tab) == (mask if change in ("nothing", "and back") else None)


def test_undo_of_a_reopening_after_somebody_else_clicked_keeps_no_mask_without_that_click(tab: Tab) -> None:
    done_with_mask(tab)
    tab.do(EventKind.STATE, state="in_progress")
    other(tab).add(9, 9)

    tab.do(EventKind.UNDO)

    assert (state_of(tab), kept(tab)) == (ImageState.DONE, None)


def test_the_file_of_a_mask_put_aside_is_still_named(tab: Tab) -> None:
    done_with_mask(tab)
    tab.do(EventKind.STATE, state="in_progress")

    with reading(tab.lab.sessions) as session:
        assert repository_images.mask_files(session, project_id=tab.project_id) == ("7.png",)


def test_what_undo_and_redo_reach_is_known_before_they_are_asked(tab: Tab) -> None:
    def reach(who: str = "ann") -> tuple[int, int, bool]:
        with reading(tab.lab.sessions) as session:
            found = repository_events.reversible(session, image_id=tab.image_id, labeller=who)
        return found.undo, found.redo, found.redo_reopens

    assert reach() == (0, 0, False)
    tab.add(1, 1)
    tab.add(2, 2)
    tab.do(EventKind.UNDO)
    assert (reach(), reach("bob")) == ((1, 1, False), (0, 0, False))
    tab.do(EventKind.REDO)
    done_with_mask(tab)
    tab.do(EventKind.STATE, state="in_progress")
    assert reach() == (3, 0, False)
    tab.do(EventKind.UNDO)

    assert reach() == (2, 1, True)
