"""Strokes over predictions: the last one over a pixel decides, whatever any model says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import to_full, to_working
from fcnlab.domain.events import MAX_RUNS, Point, Stroke
from fcnlab.domain.project import IGNORE

UNPAINTED = -1

Layer = Stroke | Point
"""A stroke, or a click that came after one: it has the last word on its own pixel."""


@dataclass(frozen=True, slots=True)
class Painting:
    """What was painted on an image of height and width `image_hw`: its layers, oldest first."""

    layers: tuple[Layer, ...]
    image_hw: tuple[int, int]


def painted(class_map: NDArray[np.uint8], painting: Painting) -> NDArray[np.uint8]:
    """A prediction with what was painted laid over it.

    A pixel has the class of the last layer over it; an eraser stroke gives it back to the prediction, and so does
    nothing at all. A smaller map takes from each stroke the full-size pixels in the middle of its own, and from each
    click the pixel that holds it.

    Args:
        class_map: (H, W) uint8 class ids of the whole image, at full or at any smaller size.
        painting: of the same image.

    Returns (H, W) uint8: a new map, or the same one when nothing was painted.
    """
    if not painting.layers:
        return class_map
    (height, width), (full_height, full_width) = class_map.shape, painting.image_hw
    painted_ids = np.full(class_map.shape, UNPAINTED, np.int16)
    rows = to_full(np.arange(height), full=full_height, working=height)
    cols = to_full(np.arange(width), full=full_width, working=width)
    for layer in painting.layers:
        if isinstance(layer, Point):
            row, col = np.array([layer.row]), np.array([layer.col])
            at_row = to_working(row, full=full_height, working=height)[1]
            painted_ids[at_row, to_working(col, full=full_width, working=width)[1]] = layer.class_id
            continue
        down = _between(rows, layer.top, layer.height)
        across = _between(cols, layer.left, layer.width)
        inside = pixels_of(layer)[np.ix_(rows[down] - layer.top, cols[across] - layer.left)]
        painted_ids[down, across][inside] = UNPAINTED if layer.class_id is None else layer.class_id
    return np.where(painted_ids == UNPAINTED, class_map, painted_ids).astype(np.uint8)


def visible_classes(painting: Painting) -> frozenset[int]:
    """Ids of the classes of strokes of which a pixel is still to be seen, at full size."""
    visible: set[int] = set()
    for place, layer in enumerate(painting.layers):
        if isinstance(layer, Stroke) and layer.class_id is not None and layer.class_id not in visible:
            left = pixels_of(layer)
            for later in painting.layers[place + 1 :]:
                _take_away(left, layer, later)
            if left.any():
                visible.add(layer.class_id)
    return frozenset(visible)


def _take_away(left: NDArray[np.bool_], stroke: Stroke, later: Layer) -> None:
    """Clear the pixels in the box of a stroke (height, width) that a later layer lies over."""
    if isinstance(later, Point):
        row, col = later.row - stroke.top, later.col - stroke.left
        if 0 <= row < stroke.height and 0 <= col < stroke.width:
            left[row, col] = False
        return
    top, bottom = max(stroke.top, later.top), min(stroke.top + stroke.height, later.top + later.height)
    first, last = max(stroke.left, later.left), min(stroke.left + stroke.width, later.left + later.width)
    if top < bottom and first < last:
        over = pixels_of(later)[top - later.top : bottom - later.top, first - later.left : last - later.left]
        left[top - stroke.top : bottom - stroke.top, first - stroke.left : last - stroke.left][over] = False


def pixels_of(stroke: Stroke) -> NDArray[np.bool_]:
    """The pixels of a stroke in its box, (height, width) bool."""
    is_inside = np.arange(len(stroke.runs)) % 2 == 1
    return np.repeat(is_inside, stroke.runs).reshape(stroke.height, stroke.width)


def strokes_over(mask: NDArray[np.uint8]) -> tuple[Stroke, ...]:
    """Strokes that together paint a mask: one per class, or several bands of it where one would have too many runs.

    Args:
        mask: (H, W) uint8 class ids; pixels that are IGNORE are not painted.
    """
    class_ids = (int(class_id) for class_id in np.unique(mask) if class_id != IGNORE)
    return tuple(stroke for class_id in class_ids for stroke in _bands(mask == class_id, class_id, top=0))


def _bands(is_inside: NDArray[np.bool_], class_id: int, *, top: int) -> list[Stroke]:
    """Strokes of one class over rows (H, W) bool that begin at row `top` of the image."""
    rows, cols = np.flatnonzero(is_inside.any(axis=1)), np.flatnonzero(is_inside.any(axis=0))
    if not len(rows):
        return []
    first, left = int(rows[0]), int(cols[0])
    box = is_inside[first : int(rows[-1]) + 1, left : int(cols[-1]) + 1]
    flat = box.ravel()
    ends = np.concatenate([[0] if flat[0] else [], np.flatnonzero(np.diff(flat)) + 1, [flat.size]]).astype(np.int64)
    if len(ends) > MAX_RUNS and len(box) > 1:
        half = len(box) // 2
        return [
            *_bands(is_inside[: first + half], class_id, top=top),
            *_bands(is_inside[first + half :], class_id, top=top + first + half),
        ]
    runs = tuple(np.diff(ends, prepend=0).tolist())
    height, width = box.shape
    return [Stroke(class_id, top + first, left, height, width, runs)]


def _between(full: NDArray[np.int64], start: int, length: int) -> slice:
    """Places in a rising list of full-size pixel numbers that lie in start .. start + length - 1."""
    low, high = np.searchsorted(full, [start, start + length])
    return slice(int(low), int(high))
