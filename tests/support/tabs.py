"""Browser tabs for tests of labelling."""

from __future__ import annotations

import random

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventBatch, EventKind, Point
from fcnlab.domain.images import ImageState, Recipe
from fcnlab.domain.project import ClassLabel, LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import AppliedBatch, apply_events, points_of_image, points_of_project
from fcnlab.storage.database import repository_images, repository_projects, repository_strokes
from fcnlab.storage.database.engine import reading, writing

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

    def brush(self, top: int, left: int, height: int, width: int, class_id: int | None = 1) -> str:
        """Paint a whole box."""
        applied = self.send(self.stroke(top, left, height, width, class_id))
        assert not applied.refusals
        return f"{self.client}:{self.seq}"

    def stroke(self, top: int, left: int, height: int, width: int, class_id: int | None = 1) -> Event:
        box = {"top": top, "left": left, "height": height, "width": width}
        return self.event(EventKind.BRUSH, class_id=class_id, runs=[0, height * width], **box)

    def strokes(self) -> tuple[str, ...]:
        """Uids of the live strokes, oldest first."""
        with reading(self.lab.sessions) as session:
            return repository_strokes.live_stroke_uids(session, image_id=self.image_id)

    def made(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """All that lies on the image: points and strokes."""
        return self.uids(), self.strokes()

    def uids(self) -> frozenset[str]:
        return frozenset(stored.uid for stored in points_of_image(self.lab, image_id=self.image_id))


def new_project(lab: Lab, *, name: str = "cells", n_images: int = 2, task: Task = Task.MASKS) -> tuple[int, list[int]]:
    labels = [ClassLabel(0, "background", "#0072B2", 0), ClassLabel(1, "cell", "#E69F00", 1)]
    with writing(lab.sessions) as session:
        project = repository_projects.create_project(
            session, name=name, labels=labels, learner=LearnerSpec(), now=lab.clock(), task=task, background=0
        )
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
                recipe=Recipe(),
                pixel_size=None,
                position=number,
                now=lab.clock(),
            ).id
            for number in range(n_images)
        ]
    return project.id, images


def other(tab: Tab, *, client: str = "client-two", who: str = "bob") -> Tab:
    return Tab(tab.lab, project_id=tab.project_id, image_id=tab.image_id, client=client, who=who)


def state_of(tab: Tab) -> ImageState:
    with reading(tab.lab.sessions) as session:
        return repository_images.image(session, image_id=tab.image_id).state


def random_change(tab: Tab, rng: random.Random) -> Event:
    """An event that surely changes the points of the image."""
    uids = sorted(tab.uids())
    kinds = [*3 * [EventKind.ADD], EventKind.REMOVE, EventKind.CLEAR, EventKind.BRUSH, EventKind.SCRIBBLE]
    kind = rng.choice(kinds)
    if kind is EventKind.SCRIBBLE:
        return tab.event(
            kind, points=[[rng.randrange(HEIGHT), rng.randrange(WIDTH), rng.randrange(2)] for _ in range(4)]
        )
    if kind is EventKind.BRUSH:
        return tab.stroke(rng.randrange(9), rng.randrange(9), 3, 5, rng.choice([0, 1, None]))
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
        EventKind.BRUSH: {
            "top": rng.randrange(HEIGHT),
            "left": rng.randrange(WIDTH),
            "height": 5,
            "width": 2,
            "class_id": rng.choice([0, 1, 3, None]),
            "runs": [1, 4, 3, 2],
        },
        EventKind.SCRIBBLE: {"points": [[rng.randrange(HEIGHT), rng.randrange(WIDTH), rng.randrange(3)]] * 2},
        EventKind.STATE: {"state": rng.choice(["in_progress", "in_progress", "done"])},
        EventKind.COMPLETE: {"complete": rng.choice([True, False, None])},
        EventKind.CLASS_ADD: {"name": rng.choice("abc"), "colour": "#123456"},
        EventKind.CLASS_EDIT: {"class_id": rng.randrange(3), "name": rng.choice("abc"), "colour": "#654321"},
        EventKind.CLASS_REMOVE: {"class_id": rng.randrange(4)},
    }
    return tab.event(kind, **payloads.get(kind, {}))


def picture_of(tab: Tab) -> tuple[object, ...]:
    """All that a labeller can see of the project."""
    with reading(tab.lab.sessions) as session:
        project = repository_projects.project(session, project_id=tab.project_id)
        images = repository_images.images(session, project_id=tab.project_id)
        strokes = [
            (stored.uid, stored.stroke)
            for image in images
            for stored in repository_strokes.strokes_of_image(session, image_id=image.id)
        ]
    points = points_of_project(tab.lab, project_id=tab.project_id)
    return (
        project.classes,
        [(image.name, image.state, image.n_points, image.is_complete) for image in images],
        [(stored.uid, stored.point, stored.labeller) for stored in points],
        strokes,
    )
