"""What labellers do: points, strokes, and the events they come in. Frozen values, checked when built.

`row, col` are always pixels of the upright image (EXIF orientation applied) at full size, 0 = top, left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fcnlab.domain.project import MAX_CLASSES
from fcnlab.errors import ClickOutsideImage, InvalidEvent


class PointSource(StrEnum):
    """Where a point came from: QUERY answers an uncertain pixel, RANDOM_QUERY one that was drawn at random, ACCEPTED is
    the centre of an object that was counted, taken over with all others at once."""

    CLICK = "click"
    QUERY = "query"
    RANDOM_QUERY = "random_query"
    SCRIBBLE = "scribble"
    IMPORT = "import"
    SIMULATION = "simulation"
    ACCEPTED = "accepted"


class EventKind(StrEnum):
    """What a labeller did. Only those in UNDOABLE can be undone, and of STATE what took an image its kept mask.

    Undo never takes back that an image is done: it has to be reopened first.
    """

    ADD = "add"
    REMOVE = "remove"
    CLEAR = "clear"
    BRUSH = "brush"
    SCRIBBLE = "scribble"
    ACCEPT = "accept"
    TAKE = "take"
    UNDO = "undo"
    REDO = "redo"
    STATE = "state"
    COMPLETE = "complete"
    CLASS_ADD = "class_add"
    CLASS_EDIT = "class_edit"
    CLASS_REMOVE = "class_remove"
    BACKGROUND = "background"


UNDOABLE = frozenset(
    {
        EventKind.ADD,
        EventKind.REMOVE,
        EventKind.CLEAR,
        EventKind.BRUSH,
        EventKind.SCRIBBLE,
        EventKind.ACCEPT,
        EventKind.TAKE,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One labelled pixel."""

    row: int
    col: int
    class_id: int


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A point as the database knows it; `uid` names the event that made it and never changes.

    `id` is higher than that of every earlier point of its project; 0 before it is stored.
    """

    uid: str
    image_id: int
    point: Point
    labeller: str
    source: PointSource
    created_at: datetime
    weight: float = 1.0
    id: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a labeller did, numbered by the browser that saw it.

    `image_id` is the image shown when it happened. `payload` per kind: ADD {row, col, class_id}
    and, unless it is a click, {source}; REMOVE {uid}; CLEAR, UNDO, REDO {}; BRUSH {class_id, top, left, height, width,
    runs}, see Stroke; SCRIBBLE {points: [[row, col, class_id], ...]}; ACCEPT {points, complete}, whether all objects
    are marked with these; TAKE {done}: the imported mask of the image becomes strokes, and the image is done with them
    or not; STATE {state}; COMPLETE {complete}; CLASS_ADD {name, colour}; CLASS_EDIT {class_id, name, colour};
    CLASS_REMOVE {class_id}; BACKGROUND {class_id}, None for none.
    """

    seq: int
    kind: EventKind
    image_id: int
    payload: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.seq < 1:
            raise InvalidEvent(f"event number {self.seq} must be 1 or more")


@dataclass(frozen=True, slots=True)
class EventBatch:
    """The events of one browser tab that were not acknowledged yet, in order."""

    client_id: str
    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{8,64}", self.client_id):
            raise InvalidEvent(f"client id {self.client_id!r} must be 8 to 64 letters, digits, '-' or '_'")
        sequence = [event.seq for event in self.events]
        if sequence != sorted(set(sequence)):
            raise InvalidEvent(f"event numbers {sequence[:20]} of {self.client_id} do not rise")


MAX_RUNS = 100_000
"""A stroke of more runs is refused: one over a whole large image, drawn back and forth, has some ten thousand."""

MAX_SIDE = 2**31 - 1
"""The largest row or column all databases hold."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """Pixels that have a class because somebody painted them.

    Attributes:
        class_id: the class; None is the eraser: these pixels are what is predicted, again.
        top, left, height, width: the box of the stroke.
        runs: lengths of pixels outside and inside the stroke by turns, row by row in the box, outside first. Only the
            first may be 0.
    """

    class_id: int | None
    top: int
    left: int
    height: int
    width: int
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        sizes = (self.top, self.left, self.height, self.width, *self.runs)
        if not all(isinstance(size, int) and not isinstance(size, bool) for size in sizes):
            raise InvalidEvent("a stroke has a box and runs that are no whole numbers")
        if self.class_id is not None and not 0 <= self.class_id < MAX_CLASSES:
            raise InvalidEvent(f"class id {self.class_id} of a stroke is outside 0..{MAX_CLASSES - 1}")
        if len(self.runs) > MAX_RUNS:
            raise InvalidEvent(f"a stroke has {len(self.runs)} runs; at most {MAX_RUNS} fit: paint it in parts")
        if min(self.top, self.left) < 0 or min(self.height, self.width) < 1 or max(sizes[:4]) > MAX_SIDE:
            raise InvalidEvent(
                f"the box of a stroke has {self.height} rows and {self.width} columns at {self.top}, {self.left}; "
                "wanted some pixels of the image"
            )
        if len(self.runs) < 2 or self.runs[0] < 0 or min(self.runs[1:]) < 1:
            raise InvalidEvent("the runs of a stroke are lengths: 1 or more pixels each, but for the first")
        if sum(self.runs) != self.height * self.width:
            raise InvalidEvent(
                f"the runs of a stroke sum to {sum(self.runs)} pixels; its box has {self.height * self.width}"
            )

    def check_inside(self, image_hw: tuple[int, int]) -> None:
        """Raises ClickOutsideImage when the box leaves an image of that height and width."""
        height, width = image_hw
        if self.top + self.height > height or self.left + self.width > width:
            raise ClickOutsideImage(
                f"the stroke reaches row {self.top + self.height - 1}, column {self.left + self.width - 1}; the image "
                f"has {height} rows and {width} columns"
            )


@dataclass(frozen=True, slots=True)
class StoredStroke:
    """A stroke as the database knows it: `id` rises with every stroke, `uid` names the event that made it.

    `after_point`: points of the image with a higher number came later.
    """

    id: int
    uid: str
    stroke: Stroke
    labeller: str
    created_at: datetime
    after_point: int = 0
