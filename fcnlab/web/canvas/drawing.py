"""What streamlit-drawable-canvas sends: Fabric.js objects, read as shapes. The only module that knows their form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.scribbles import Shape
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import InvalidEvent

MAX_SHAPES = 200
MAX_CORNERS = 20_000
CURVE_STEPS = 4
"""A curve between two places of the pointer is drawn as so many straight pieces."""

TO_THE_MIDDLE = {"left": 0.5, "top": 0.5, "right": -0.5, "bottom": -0.5}
"""From the place of a shape to its middle, in parts of its size, by what of it lies at its place."""


def inks(classes: Sequence[ClassLabel]) -> dict[str, int]:
    """A colour `#rrggbb` to draw each class with, to its id: the class's own, changed a little where two share one."""
    by_ink: dict[str, int] = {}
    for label in classes:
        value = int(label.colour[1:], 16)
        while f"#{value:06x}" in by_ink:
            value = (value + 1) % 2**24
        by_ink[f"#{value:06x}"] = label.id
    return by_ink


def ink_of(classes: Sequence[ClassLabel], class_id: int) -> str:
    """The colour that `inks` gives a class."""
    return next(ink for ink, label_id in inks(classes).items() if label_id == class_id)


def read_drawing(raw: object, by_ink: Mapping[str, int]) -> list[Shape]:
    """The shapes of a drawing; those in the colour of no class are left out.

    Args:
        raw: `json_data` of the canvas; None is an empty drawing.
        by_ink: from `inks`.

    Raises:
        InvalidEvent: this is no drawing, it holds more than fits, or a shape that was skewed.
    """
    if raw is None:
        return []
    objects = raw.get("objects", []) if isinstance(raw, dict) else None
    if not isinstance(objects, list) or not all(isinstance(drawn, dict) for drawn in objects):
        raise InvalidEvent("the drawing is no list of shapes: draw it again")
    if len(objects) > MAX_SHAPES:
        raise InvalidEvent(f"the drawing has {len(objects)} shapes; at most {MAX_SHAPES} fit: save it in parts")
    shapes = []
    for drawn in objects:
        class_id = by_ink.get(str(drawn.get("stroke")).lower())
        if class_id is not None:
            shapes.append(Shape(_placed(drawn), drawn.get("type") != "Path", class_id))
    return shapes


def _placed(drawn: dict[str, Any]) -> NDArray[np.float64]:
    """The corners of a shape where it lies, moved, turned and scaled: (N, 2) x, y."""
    kind = drawn.get("type")
    if kind == "Path":
        corners = _path(drawn.get("path"))
    elif kind == "Polygon":
        corners = np.array([[_number(at, "x"), _number(at, "y")] for at in _list(drawn, "points")], np.float64)
    elif kind == "Rect":
        width, height = _number(drawn, "width"), _number(drawn, "height")
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float64)
    else:
        raise InvalidEvent(f"a shape of the kind {str(kind)[:40]!r} cannot be read: draw a line, a polygon or a box")
    if not 1 <= len(corners) <= MAX_CORNERS:
        raise InvalidEvent(f"a shape has {len(corners)} corners; wanted 1 to {MAX_CORNERS}: draw it again")
    if drawn.get("skewX") or drawn.get("skewY"):
        raise InvalidEvent("a shape was skewed, and cannot be read: draw it again")
    low, high = corners.min(axis=0), corners.max(axis=0)
    flips = np.array([-1.0 if drawn.get(name) else 1.0 for name in ("flipX", "flipY")])
    scale = np.array([_number(drawn, "scaleX", 1.0), _number(drawn, "scaleY", 1.0)])
    angle = np.radians(_number(drawn, "angle", 0.0))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    position = np.array([_number(drawn, "left"), _number(drawn, "top")])
    away = [TO_THE_MIDDLE.get(str(drawn.get(name)), 0.0) for name in ("originX", "originY")]
    middle = position + (np.array(away) * (high - low) * scale) @ turn
    return np.asarray(((corners - (low + high) / 2) * flips * scale) @ turn + middle, np.float64)


def _path(commands: object) -> NDArray[np.float64]:
    """The points (N, 2) x, y of a free-hand line, its curves in straight pieces."""
    if not isinstance(commands, list) or len(commands) > MAX_CORNERS:
        raise InvalidEvent("a line has no places, or too many: draw it again")
    points: list[tuple[float, float]] = []
    for command in commands:
        name, *values = _listed(command)
        if name not in ("M", "L", "Q") or len(values) != (4 if name == "Q" else 2) or not all(map(_is_number, values)):
            raise InvalidEvent("a line holds something that cannot be read: draw it again")
        numbers = [float(value) for value in values]
        end = (numbers[-2], numbers[-1])
        if name == "Q" and points:
            start, bend = points[-1], (numbers[0], numbers[1])
            parts = [step / CURVE_STEPS for step in range(1, CURVE_STEPS)]
            points += [(_bent(start[0], bend[0], end[0], t), _bent(start[1], bend[1], end[1], t)) for t in parts]
        points.append(end)
    return np.array(points, np.float64).reshape(-1, 2)


def _listed(command: object) -> list[Any]:
    return command if isinstance(command, list) and command else [None]


def _bent(start: float, bend: float, end: float, part: float) -> float:
    return (1 - part) ** 2 * start + 2 * part * (1 - part) * bend + part**2 * end


def _list(drawn: dict[str, Any], name: str) -> list[dict[str, Any]]:
    entries = drawn.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidEvent(f"the {name} of a shape cannot be read: draw it again")
    return entries


def _number(drawn: dict[str, Any], name: str, default: float | None = None) -> float:
    value: Any = drawn.get(name, default)
    if not _is_number(value):
        raise InvalidEvent(f"{name} of a shape is {str(value)[:40]!r}; wanted a number: draw it again")
    return float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e7
