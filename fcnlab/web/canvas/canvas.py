"""The workspace of the label page: a Streamlit component, what it is shown and what it sends.

The only module that knows the component. Its JavaScript is in `assets/`; `types.js` there names the same
shapes. What the browser sends is checked here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal, TypedDict

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.domain.events import MAX_RUNS, Event, EventBatch, EventKind, PointSource
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import MAX_CLASSES
from fcnlab.errors import InvalidEvent
from fcnlab.services.labelling.effects import MAX_ACCEPTED
from fcnlab.services.labelling.events import ShownImage

BATCH_EVENTS = 5_000
"""The browser sends so many events at a time and waits for the answer."""

MAX_EVENTS = 2 * BATCH_EVENTS
"""A longer log is a fault."""

MAX_TEXT = 200
"""Longest name of a class or point a browser may send, in characters."""

LARGEST_NUMBER = 2**53
"""Larger whole numbers are not exact in a browser."""

FROM_BROWSERS = (PointSource.CLICK, PointSource.QUERY, PointSource.RANDOM_QUERY)
"""Sources a browser may name; a point without one is a click."""

_NAME = "fcnlab.workspace"
_MARKUP = '<div class="fcnlab" style="visibility:hidden"></div>'
_PAYLOAD: dict[EventKind, dict[str, type]] = {
    EventKind.ADD: {"row": int, "col": int, "class_id": int},
    EventKind.REMOVE: {"uid": str},
    EventKind.CLEAR: {},
    EventKind.BRUSH: {"top": int, "left": int, "height": int, "width": int},
    EventKind.ACCEPT: {"complete": bool},
    EventKind.TAKE: {"done": bool},
    EventKind.UNDO: {},
    EventKind.REDO: {},
    EventKind.STATE: {"state": str},
    EventKind.COMPLETE: {"complete": bool},
    EventKind.CLASS_ADD: {"name": str, "colour": str},
    EventKind.CLASS_EDIT: {"class_id": int, "name": str, "colour": str},
    EventKind.CLASS_REMOVE: {"class_id": int},
    EventKind.BACKGROUND: {},
}


class ProjectData(TypedDict):
    """The project; `key` is the unguessable part of its routes, `look` names how its pictures are made."""

    id: int
    name: str
    key: str
    look: str
    task: Literal["masks", "counts"]


class ClassData(TypedDict):
    """One class, with its number of points in the whole project; `grade`: its place among the grades, from 0."""

    id: int
    name: str
    colour: str
    n_points: int
    is_background: bool
    grade: int | None


class ImageData(TypedDict):
    """The image to show. `position` counts from 0 in the order of the strip; `levels` is 0 for one shown whole;
    `is_complete`: all its objects are marked; `keeps_mask`: a done image has the mask it keeps; `has_imported`: labels
    of another tool gave it a mask."""

    id: int
    name: str
    width: int
    height: int
    state: Literal["new", "in_progress", "done"]
    is_complete: bool
    keeps_mask: bool
    has_imported: bool
    position: int
    previous_id: int | None
    next_id: int | None
    tile_px: int
    levels: int


class Acknowledged(TypedDict):
    """The highest event number of one browser tab that is stored."""

    client_id: str
    seq: int


class OpenData(TypedDict):
    """The other images that are not done, or, where a project counts, not all marked: how many, and the next one in
    import order, after the last the first."""

    count: int
    next_id: int | None


class ReversibleData(TypedDict):
    """How many stored events of this labeller on the image can be undone and redone once it is not done; and whether
    the one redone first reopens it."""

    undo: int
    redo: int
    redo_reopens: bool


class Constants(TypedDict):
    """Limits and conventions that both sides keep to.

    Most events in a batch; kinds of events that undo takes back; most runs of a stroke; value of a pixel about which
    nothing is said; longer side of a mask; most classes, and characters of their names; pixels suggested at a time;
    most pixels passed over that a browser names; seconds of a long poll.
    """

    batch: int
    undoable: list[str]
    runs: int
    ignore: int
    mask_side: int
    classes: int
    name_chars: int
    queries: int
    avoided: int
    poll_s: float


class SceneData(TypedDict):
    """Everything the workspace is shown; small, sent with every rerun, and in answer to events that change more than a
    browser can know.

    `number`: a later one was read later; `revision` is that of the image, 0 without one. `colours` are the next ones of
    the palette, for new classes; `points` are the stored live points of the image as (uid, row, col, class id); of
    several on one pixel the last counts. `n_strokes` counts its live strokes.
    """

    number: int
    revision: int
    project: ProjectData
    labeller: str
    n_images: int
    classes: list[ClassData]
    colours: list[str]
    image: ImageData | None
    points: list[tuple[str, int, int, int]]
    n_strokes: int
    open: OpenData
    reversible: ReversibleData
    acknowledged: Acknowledged | None
    refusals: list[str]
    object_mode: bool
    notice: str | None
    constants: Constants


def draw(
    scene: SceneData,
    *,
    key: str,
    on_goto: Callable[[object], None],
) -> None:
    """Show the workspace.

    `on_goto` runs before the script's body with the raw value the browser sent: give it to `read_goto`. `key` must stay
    the same while images change, or the component is mounted anew. Its state "tab" says, once an event is stored, under
    which client id this tab sends them.
    """

    _component()(
        key=key,
        data=scene,
        on_goto_change=lambda: on_goto(st.session_state[key].get("goto")),
        on_tab_change=_told,
    )


def _told() -> None:
    """Does nothing: Streamlit keeps a state of a component that has a callback for it, and the page reads it there."""


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use, once per process."""
    return st.components.v2.component(_NAME, html=_MARKUP, css="canvas.css", js="canvas.js")


def read_events(raw: object) -> EventBatch:
    """The events a browser tab sent. Raises InvalidEvent for anything else."""
    client_id, log = read_log(raw, most=MAX_EVENTS, what="the event log")
    return EventBatch(client_id=client_id, events=tuple(_read_event(entry) for entry in log))


def read_log(raw: object, *, most: int, what: str) -> tuple[str, list[object]]:
    """The client id of a tab, and what its log holds, as yet unread. Raises InvalidEvent for anything else."""
    message = mapping(raw, what=what)
    client_id = message.get("client_id")
    log = message.get("log")
    if not isinstance(client_id, str):
        raise InvalidEvent(f"{what} comes from {client_id!r}; wanted the client id of a tab")
    if not isinstance(log, list):
        raise InvalidEvent(f"{what} of {client_id} is a {type(log).__name__}; wanted a list of events")
    if len(log) > most:
        raise InvalidEvent(f"{what} of {client_id} has {len(log)} events; at most {most} fit")
    return client_id, log


def read_sender(raw: object) -> tuple[str, ShownImage | None]:
    """Who labels in a browser tab that sent events, and the image it shows as far as it knows it; None: it shows none.

    Raises:
        InvalidEvent: it says so in no way that is known.
    """
    message = mapping(raw, what="the event log")
    labeller, image = _text(message, "labeller"), message.get("image")
    if image is None:
        return labeller, None
    image = mapping(image, what="the image shown")
    return labeller, ShownImage(integer(image, "id"), integer(image, "revision"))


def read_goto(raw: object) -> int:
    """Id of the image a browser asked for. Raises InvalidEvent for anything else."""
    return integer(mapping(raw, what="the request for an image"), "image_id")


def _read_event(raw: object) -> Event:
    entry = mapping(raw, what="an event")
    name = entry.get("kind")
    if not isinstance(name, str) or name not in set(_PAYLOAD):
        raise InvalidEvent(f"event kind {name!r} is unknown; known: {', '.join(_PAYLOAD)}")
    kind = EventKind(name)
    payload = _read_payload(kind, mapping(entry.get("payload"), what=f"the payload of a {name} event"))
    return Event(seq=integer(entry, "seq"), kind=kind, image_id=integer(entry, "image_id"), payload=payload)


def _read_payload(kind: EventKind, payload: dict[str, Any]) -> dict[str, Any]:
    """The fields this kind documents, of the right types; others are dropped."""
    fields = _PAYLOAD[kind]
    checked: dict[str, Any] = {name: _READ[wanted](payload, name) for name, wanted in fields.items()}
    if kind is EventKind.BRUSH:
        checked |= {"class_id": _class_or_none(payload), "runs": _lengths(payload, "runs")}
    if kind is EventKind.BACKGROUND:
        checked |= {"class_id": _class_or_none(payload)}
    if kind is EventKind.ACCEPT:
        checked["points"] = _points(payload, "points")
    if kind is EventKind.ADD and "source" in payload:
        checked["source"] = _text(payload, "source")
        if checked["source"] not in FROM_BROWSERS:
            raise InvalidEvent(
                f"a browser adds no points from {checked['source']!r}; known: {', '.join(FROM_BROWSERS)}"
            )
    if checked.get("class_id") is not None and not 0 <= checked["class_id"] < MAX_CLASSES:
        raise InvalidEvent(f"class id {checked['class_id']} is outside 0..{MAX_CLASSES - 1}")
    if kind is EventKind.STATE and checked["state"] not in set(ImageState):
        raise InvalidEvent(f"image state {checked['state']!r} is unknown; known: {', '.join(ImageState)}")
    return checked


def mapping(raw: object, *, what: str) -> dict[str, Any]:
    """An object of JSON. Raises InvalidEvent: it is none."""
    if not isinstance(raw, dict):
        raise InvalidEvent(f"{what} is a {type(raw).__name__}; wanted an object")
    return raw


def integer(values: dict[str, Any], name: str) -> int:
    """A whole number that a browser can count to. Raises InvalidEvent: it is none."""
    value = values.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidEvent(f"{name} is {str(value)[:80]!r}; wanted a whole number")
    if abs(value) > LARGEST_NUMBER:
        raise InvalidEvent(f"{name} is larger than any whole number a browser counts to")
    return value


def _class_or_none(values: dict[str, Any]) -> int | None:
    return None if values.get("class_id") is None else integer(values, "class_id")


def _lengths(values: dict[str, Any], name: str) -> list[int]:
    """Whole numbers from 0 on; whether they fit the image is for whoever applies the event."""
    value = values.get(name)
    if not isinstance(value, list):
        raise InvalidEvent(f"{name} is {str(value)[:80]!r}; wanted a list of lengths")
    if len(value) > MAX_RUNS:
        raise InvalidEvent(f"{name} has {len(value)} lengths; at most {MAX_RUNS} fit")
    if not all(type(length) is int and 0 <= length <= LARGEST_NUMBER for length in value):
        raise InvalidEvent(f"{name} holds something that is no length: wanted whole numbers from 0 on")
    return value


def _points(values: dict[str, Any], name: str) -> list[list[int]]:
    """Rows, columns and class ids; whether they fit the image is for whoever applies the event."""
    value = values.get(name)
    if not isinstance(value, list):
        raise InvalidEvent(f"{name} is {str(value)[:80]!r}; wanted a list of points")
    if len(value) > MAX_ACCEPTED:
        raise InvalidEvent(f"{name} holds {len(value)} points; at most {MAX_ACCEPTED} fit")
    for point in value:
        if not isinstance(point, list) or len(point) != 3 or not all(type(part) is int for part in point):
            raise InvalidEvent(f"{name} holds {str(point)[:80]!r}; wanted a row, a column and a class id")
        if any(abs(part) > LARGEST_NUMBER for part in point):
            raise InvalidEvent(f"{name} holds a number larger than any whole number a browser counts to")
    return value


def _truth(values: dict[str, Any], name: str) -> bool:
    value = values.get(name)
    if not isinstance(value, bool):
        raise InvalidEvent(f"{name} is {str(value)[:80]!r}; wanted true or false")
    return value


def _text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    if not isinstance(value, str):
        raise InvalidEvent(f"{name} is {str(value)[:80]!r}; wanted text")
    if len(value) > MAX_TEXT:
        raise InvalidEvent(f"{name} has {len(value)} characters; at most {MAX_TEXT} fit")
    return value


_READ: dict[type, Callable[[dict[str, Any], str], object]] = {int: integer, str: _text, bool: _truth}
