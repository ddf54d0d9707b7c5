"""Polygons, boxes, ellipses and stamps become masks.

One frame: `x, y` run from the top left corner of the image, and the pixel in row r and column c is the square from
(c, r) to (c + 1, r + 1). One rule: a pixel belongs to a shape when its middle (c + 0.5, r + 0.5) lies inside; of a
polygon that crosses itself, inside is what an odd number of its edges surrounds. Later shapes lie over earlier ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.imports.labelled import FileClass, FilePoint
from fcnlab.adapters.imports.reading import Rest, number
from fcnlab.domain import IGNORE, MAX_CLASSES
from fcnlab.errors import ImportRefused

BACKGROUND = "background"


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """Corners (N, 2) float64 as x, y; closed by itself."""

    place: int
    corners: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Half axes along x and y, turned by `degrees` clockwise."""

    place: int
    x: float
    y: float
    x_radius: float
    y_radius: float
    degrees: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """Pixels in a box of `hw`, the first of them in row `top` and column `left`.

    `pixels` decodes them, (h, w) bool, once the box is known to be of the size of the image.
    """

    place: int
    top: int
    left: int
    hw: tuple[int, int]
    pixels: Callable[[], NDArray[np.bool_]]


Shape = Polygon | Ellipse | Stamp


@dataclass(frozen=True, slots=True)
class ShapeClasses:
    """The classes of a file of shapes; `ground` is the place of pixels outside all of them."""

    classes: tuple[FileClass, ...]
    places: dict[str, int]
    ground: int

    def place_of(self, name: str, what: str) -> int:
        """The place of a class. Raises ImportRefused: the file does not declare it."""
        if name not in self.places:
            raise ImportRefused(f"{what} is of class {name!r}, which the file does not declare")
        return self.places[name]


def shape_classes(named: Iterable[FileClass], *, rest: Rest) -> ShapeClasses:
    """Places of classes, each name once; background comes first unless the file has a class of that name.

    Raises:
        ImportRefused: more classes than a mask can tell apart.
    """
    classes = list({one.name: one for one in reversed(list(named))}.values())[::-1]
    own = next((place for place, one in enumerate(classes) if is_background(one.name)), None)
    if rest == "background" and own is None:
        classes.insert(0, FileClass(BACKGROUND))
        own = 0
    if len(classes) > MAX_CLASSES:
        raise ImportRefused(f"{len(classes)} classes: masks tell {MAX_CLASSES} apart; leave some out of the file")
    ground = IGNORE if rest == "unknown" or own is None else own
    return ShapeClasses(tuple(classes), {one.name: place for place, one in enumerate(classes)}, ground)


def is_background(name: str) -> bool:
    """Whether a class is called background, perhaps between underscores, or behind the number of its folder."""
    return re.sub(r"^\d+_", "", name).strip(" _").casefold() == BACKGROUND


def polygon(place: int, numbers: Sequence[Any], what: str) -> Polygon:
    """A polygon from x, y, x, y, ... Raises ImportRefused: no numbers, or fewer than three corners."""
    values = [number(one, f"a corner of {what}") for one in numbers]
    if len(values) % 2 or len(values) < 6:
        raise ImportRefused(f"{what} has {len(values)} coordinates: wanted pairs, at least three")
    return Polygon(place, np.array(values, np.float64).reshape(-1, 2))


def box(place: int, x0: float, y0: float, x1: float, y1: float, what: str) -> Polygon:
    """A box between two of its corners. Raises ImportRefused: it ends before it begins."""
    if x1 < x0 or y1 < y0:
        raise ImportRefused(f"{what} has a negative size: from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})")
    return Polygon(place, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64))


def turned(shape: Polygon, degrees: float, *, about: tuple[float, float]) -> Polygon:
    """The polygon turned clockwise about a point."""
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return Polygon(shape.place, (shape.corners - about) @ turn + about)


def point_at(x: float, y: float, place: int, what: str, hw: tuple[int, int] | None) -> FilePoint:
    """The pixel that holds a position; on the right and lower edge of an image of `hw`, the last one.

    Raises:
        ImportRefused: left of or above the image.
    """
    if x < 0 or y < 0:
        raise ImportRefused(f"{what} lies at ({x:g}, {y:g}), outside its image")
    row, col = int(y), int(x)
    if hw is not None:
        row, col = row - (y == hw[0]), col - (x == hw[1])
    return FilePoint(row, col, place)


def drawn(shapes: Sequence[Shape], hw: tuple[int, int], *, ground: int) -> NDArray[np.uint8]:
    """The mask (H, W) uint8 of all shapes, one over the other, `ground` elsewhere.

    What reaches over the border is cut off there.

    Raises:
        ImportRefused: a shape lies further outside than the image is wide, as in a file for another image.
    """
    mask = np.full(hw, ground, np.uint8)
    for kind, group in groupby(shapes, type):
        if kind is Polygon:
            _fill_polygons(mask, [one for one in group if isinstance(one, Polygon)])
            continue
        for one in group:
            if isinstance(one, Ellipse):
                _fill_ellipse(mask, one)
            elif isinstance(one, Stamp):
                _press(mask, one)
    return mask


def _fill_polygons(mask: NDArray[np.uint8], polygons: list[Polygon]) -> None:
    from rasterio.features import rasterize  # GDAL: the middle of a pixel decides

    shapes = []
    for one in polygons:
        _refuse_far(one.corners, (mask.shape[0], mask.shape[1]))
        ring = one.corners.tolist()
        shapes.append(({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, one.place))
    rasterize(shapes, out=mask)


def _fill_ellipse(mask: NDArray[np.uint8], one: Ellipse) -> None:
    reach = max(one.x_radius, one.y_radius)
    corners = np.array([(one.x - reach, one.y - reach), (one.x + reach, one.y + reach)])
    _refuse_far(corners, (mask.shape[0], mask.shape[1]))
    if min(one.x_radius, one.y_radius) <= 0:
        return
    (left, top), (right, bottom) = np.maximum(np.floor(corners), 0).astype(int)
    part = mask[top : bottom + 1, left : right + 1]
    rows, cols = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    x, y, angle = cols + 0.5 - one.x, rows + 0.5 - one.y, np.deg2rad(one.degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    part[(along / one.x_radius) ** 2 + (across / one.y_radius) ** 2 <= 1] = one.place


def _press(mask: NDArray[np.uint8], one: Stamp) -> None:
    (height, width), top, left = one.hw, one.top, one.left
    _refuse_far(np.array([(left, top), (left + width, top + height)], np.float64), (mask.shape[0], mask.shape[1]))
    first_row, first_col = max(0, -top), max(0, -left)
    part = mask[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    pixels = one.pixels()[first_row : first_row + part.shape[0], first_col : first_col + part.shape[1]]
    part[pixels] = one.place


def _refuse_far(corners: NDArray[np.float64], hw: tuple[int, int]) -> None:
    size = np.array(hw[::-1], np.float64)
    if ((corners < -size) | (corners > 2 * size)).any():
        x, y = corners[((corners < -size) | (corners > 2 * size)).any(axis=1)][0]
        raise ImportRefused(f"a shape reaches to ({x:g}, {y:g}), far outside the image of {hw[1]} x {hw[0]} pixels")
