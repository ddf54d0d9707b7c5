"""Laws of labelling. Those that name a lab fixture run on SQLite and on PostgreSQL."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import text

from fcnlab.adapters import repository, repository_images
from fcnlab.adapters.database import reading, writing
from fcnlab.domain import (
    ClassLabel,
    Event,
    EventBatch,
    EventKind,
    ImageState,
    LearnerSpec,
    Point,
    PointSource,
    StoredMask,
)
from fcnlab.errors import InvalidEvent, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.labelling import (
    AppliedBatch,
    acknowledged,
    add_points,
    apply_events,
    points_of_image,
    points_of_project,
    set_image_state,
)

HEIGHT, WIDTH = 40, 70


class Tab:
    """A browser tab: numbers its events and sends them."""

    def __init__(
        self, lab: Lab, *, project_id: int, image_id: int, client: str = "client-one", who: str = "ann"
    ) -> None:
        self.lab, self.project_id, self.image_id = lab, project_id, image_id
        self.client, self.who, self.seq = client, who, 0

    def event(self, kind: EventKind, *, image_id: int | None = None, **payload: object) -> Event:
        self.seq += 1
        shown = self.image_id if image_id is None else image_id
        return Event(seq=self.seq, kind=kind, image_id=shown, payload=payload)

    def send(self, *events: Event) -> AppliedBatch:
        batch = EventBatch(client_id=self.client, events=events)
        return apply_events(self.lab, batch, project_id=self.project_id, labeller=self.who)

    def do(self, kind: EventKind, **payload: object) -> AppliedBatch:
        return self.send(self.event(kind, **payload))

    def add(self, row: int, col: int, class_id: int = 0) -> str:
        applied = self.do(EventKind.ADD, row=row, col=col, class_id=class_id)
        assert not applied.refusals
        return f"{self.client}:{self.seq}"

    def points(self) -> set[Point]:
        return {stored.point for stored in points_of_image(self.lab, image_id=self.image_id)}

    def uids(self) -> frozenset[str]:
        return frozenset(stored.uid for stored in points_of_image(self.lab, image_id=self.image_id))


def new_project(lab: Lab, *, name: str = "cells", n_images: int = 2) -> tuple[int, list[int]]:
    labels = [ClassLabel(0, "background", "#0072B2", 0), ClassLabel(1, "cell", "#E69F00", 1)]
    with writing(lab.sessions) as session:
        project = repository.create_project(session, name=name, labels=labels, learner=LearnerSpec(), now=lab.clock())
        images = [
            repository_images.add_image(
                session,
                project_id=project.id,
                name=f"{number:05}.png",
                content_hash=f"{number:064x}",
                image_hw=(HEIGHT, WIDTH),
                dtype="uint8",
                channels=3,
                turned=False,
                stretch=None,
                now=lab.clock(),
            ).id
            for number in range(n_images)
        ]
    return project.id, images


@pytest.fixture
def tab(any_lab: Lab) -> Tab:
    project_id, images = new_project(any_lab)
    return Tab(any_lab, project_id=project_id, image_id=images[0])


def other(tab: Tab, *, client: str = "client-two", who: str = "bob") -> Tab:
    return Tab(tab.lab, project_id=tab.project_id, image_id=tab.image_id, client=client, who=who)


def state_of(tab: Tab) -> ImageState:
    with reading(tab.lab.sessions) as session:
        return repository_images.image(session, image_id=tab.image_id).state


def random_change(tab: Tab, rng: random.Random) -> Event:
    """An event that surely changes the points of the image."""
    uids = sorted(tab.uids())
    kind = rng.choice([EventKind.ADD, EventKind.ADD, EventKind.ADD, EventKind.REMOVE, EventKind.CLEAR])
    if kind is EventKind.ADD or not uids:
        row, col = rng.randrange(HEIGHT), rng.randrange(WIDTH)
        return tab.event(EventKind.ADD, row=row, col=col, class_id=rng.randrange(2))
    if kind is EventKind.REMOVE:
        return tab.event(EventKind.REMOVE, uid=rng.choice(uids))
    return tab.event(EventKind.CLEAR)


def anything(tab: Tab, rng: random.Random) -> Event:
    """Any event a tab may send, also one that will be refused."""
    kind = rng.choice([*EventKind] + 6 * [EventKind.ADD] + 3 * [EventKind.UNDO] + 2 * [EventKind.REDO])
    payloads: dict[EventKind, dict[str, object]] = {
        EventKind.ADD: {"row": rng.randrange(-2, HEIGHT), "col": rng.randrange(WIDTH), "class_id": rng.randrange(4)},
        EventKind.REMOVE: {"uid": f"{tab.client}:{rng.randrange(1, tab.seq + 2)}"},
        EventKind.STATE: {"state": rng.choice(["in_progress", "in_progress", "done"])},
        EventKind.CLASS_ADD: {"name": rng.choice("abc"), "colour": "#123456"},
        EventKind.CLASS_EDIT: {"class_id": rng.randrange(3), "name": rng.choice("abc"), "colour": "#654321"},
        EventKind.CLASS_REMOVE: {"class_id": rng.randrange(4)},
    }
    return tab.event(kind, **payloads.get(kind, {}))


def picture_of(tab: Tab) -> tuple[object, ...]:
    """All that a labeller can see of the project."""
    with reading(tab.lab.sessions) as session:
        project = repository.project(session, project_id=tab.project_id)
        images = repository_images.images(session, project_id=tab.project_id)
    points = points_of_project(tab.lab, project_id=tab.project_id)
    return (
        project.classes,
        [(image.name, image.state, image.n_points) for image in images],
        [(stored.uid, stored.point, stored.labeller) for stored in points],
    )


def test_an_added_point_is_there_with_its_name_and_its_place(tab: Tab) -> None:
    uid = tab.add(HEIGHT - 1, WIDTH - 1, 1)

    (stored,) = points_of_image(tab.lab, image_id=tab.image_id)

    assert (stored.uid, stored.point) == (uid, Point(HEIGHT - 1, WIDTH - 1, 1))
    assert (stored.labeller, stored.source) == ("ann", PointSource.CLICK)
    assert stored.created_at.tzinfo is not None


@pytest.mark.parametrize("seed", range(4))
def test_undoing_everything_empties_the_image_and_redoing_everything_fills_it_again(tab: Tab, seed: int) -> None:
    rng = random.Random(seed)
    states = [tab.uids()]
    for _ in range(25):
        applied = tab.send(random_change(tab, rng))
        assert not applied.refusals
        states.append(tab.uids())

    for expected in reversed(states[:-1]):
        assert not tab.do(EventKind.UNDO).refusals
        assert tab.uids() == expected
    assert tab.do(EventKind.UNDO).refusals

    for expected in states[1:]:
        assert not tab.do(EventKind.REDO).refusals
        assert tab.uids() == expected
    assert tab.do(EventKind.REDO).refusals


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


def test_reopening_a_done_image_forgets_its_mask_and_only_a_done_image_takes_one(tab: Tab) -> None:
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


def test_a_class_id_is_never_given_twice(tab: Tab) -> None:
    tab.do(EventKind.CLASS_ADD, name="spot", colour="#abcdef")
    tab.do(EventKind.CLASS_REMOVE, class_id=2)
    tab.do(EventKind.CLASS_ADD, name="spot", colour="")

    with reading(tab.lab.sessions) as session:
        classes = repository.live_classes(session, project_id=tab.project_id)

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
        first = repository.live_classes(session, project_id=tab.project_id)[0]
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


def test_no_row_of_points_is_ever_deleted(tab: Tab) -> None:
    rng = random.Random(5)
    for _ in range(30):
        tab.send(random_change(tab, rng))
    tab.do(EventKind.CLEAR)

    with reading(tab.lab.sessions) as session:
        n_points = session.scalar(text("SELECT count(*) FROM points"))
        n_adds = session.scalar(text("SELECT count(*) FROM events WHERE kind = 'add'"))
    assert n_points == n_adds
