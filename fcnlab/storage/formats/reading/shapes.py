"""Polygons, boxes, ellipses and stamps become masks.

One frame: `x, y` run from the top left corner of the image, and the pixel in row r and column c is the square from
(c, r) to (c + 1, r + 1). One rule: a pixel belongs to a shape when its middle (c + 0.5, r + 0.5) lies inside; of a
polygon that crosses itself, inside is what an odd number of its edges surrounds. Later shapes lie over earlier ones.

One law: what was marked never becomes background. `Marks` keeps it for all readers of shapes: a mark without a known
class is unknown pixels, one whose pixels nobody can tell makes unknown all that is outside the other marks, and each is
noted in one line; an image in which nobody marked anything is no background either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE, MAX_CLASSES
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FileClass, FilePoint, LabelledImage, Notes
from fcnlab.storage.formats.reading.values import Rest, name_in, number, shown

BACKGROUND = "background"
UNKNOWN_PIXELS = "its pixels are unknown"
FLAT = 1e-9
"""Polygons narrower than this have no area."""


class NoArea(ImportRefused):
    """A mark that covers no pixel of any image: two corners, a side of length 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """Corners (N, 2) float64 as x, y; closed by itself."""

    class_index: int
    corners: NDArray[np.float64]
    what: str = "a shape"


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """A line from corner to corner (N, 2) float64; the pixels it runs through are of the class."""

    class_index: int
    corners: NDArray[np.float64]
    what: str = "a line"


@dataclass(frozen=True, slots=True)
class Ellipse:
    """Half axes along x and y, turned by `degrees` clockwise."""

    class_index: int
    x: float
    y: float
    x_radius: float
    y_radius: float
    degrees: float = 0.0
    what: str = "a shape"


@dataclass(frozen=True, slots=True, eq=False)
class Stamp:
    """Pixels in a box of `hw`, the first of them in row `top` and column `left`.

    `pixels` decodes them, (h, w) bool, once the box is known to be of the size of the image.
    """

    class_index: int
    top: int
    left: int
    hw: tuple[int, int]
    pixels: Callable[[], NDArray[np.bool_]]
    what: str = "a shape"


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """Pixels of the whole image: given its (H, W), (H, W) bool. `corners` (N, 2) float64 say where they may be."""

    class_index: int
    pixels: Callable[[tuple[int, int]], NDArray[np.bool_]]
    corners: NDArray[np.float64] | None = None
    what: str = "a shape"


Shape = Polygon | Path | Ellipse | Stamp | Painted


@dataclass(frozen=True, slots=True)
class ShapeClasses:
    """The classes of a file of shapes; `ground` is the class index of pixels outside all of them."""

    classes: tuple[FileClass, ...]
    class_indices: dict[str, int]
    ground: int


def shape_classes(named: Iterable[FileClass], *, rest: Rest) -> ShapeClasses:
    """Indices of classes, each name once; where the rest is background and no class is called so, it comes first.

    Raises:
        ImportRefused: more classes than a mask can tell apart.
    """
    classes = list({file_class.name: file_class for file_class in reversed(list(named))}.values())[::-1]
    background_index = next(
        (class_index for class_index, file_class in enumerate(classes) if is_background(file_class.name)), None
    )
    if rest == "background" and background_index is None:
        classes.insert(0, FileClass(BACKGROUND))
        background_index = 0
    if len(classes) > MAX_CLASSES:
        raise ImportRefused(f"{len(classes)} classes: masks tell {MAX_CLASSES} apart; leave some out of the file")
    ground = IGNORE if rest == "unknown" or background_index is None else background_index
    return ShapeClasses(
        tuple(classes), {file_class.name: class_index for class_index, file_class in enumerate(classes)}, ground
    )


def is_background(name: str) -> bool:
    """Whether a class of a file is called background or bg, perhaps between underscores, or behind a number."""
    return re.sub(r"^\d+_", "", name).strip(" _").casefold() in (BACKGROUND, "bg")


class Marks:
    """What was marked in one image, as its label file is read.

    Args:
        name: of the image, as the file has it.
        hw: the size the file claims.
        classes: those of the file.
        in_shares: polygons count in widths and heights of the image.
    """

    def __init__(
        self, name: str, hw: tuple[int, int] | None, classes: ShapeClasses, *, in_shares: bool = False
    ) -> None:
        self.notes = Notes()
        self._name, self._hw, self._classes, self._in_shares = name, hw, classes, in_shares
        self._shapes: list[tuple[int, Shape]] = []
        self._points: list[FilePoint] = []
        self._has_classes, self._has_unread = False, False

    def class_index_of(self, label: object, what: str, *, lacking: str = "which the file does not declare") -> int:
        """The index of the class that a label names; IGNORE, and a note, when it names none.

        Args:
            label: as it stands in the file.
            what: "the label of polygon 3 in a.json".
            lacking: what is said of a name that is no class.
        """
        name = name_in(label)
        if name in self._classes.class_indices:
            return self._classes.class_indices[name]
        self.notes.add(f"{what} is {shown(label)}, {f'{lacking}: ' if name else ''}{UNKNOWN_PIXELS}")
        return IGNORE

    @contextmanager
    def dropping(self) -> Iterator[None]:
        """A block that reads one mark: where that has no area, a note is what remains of it."""
        try:
            yield
        except NoArea as refusal:
            self.notes.add(f"{refusal}: it is dropped")

    def add(self, shape: Shape, *, order: int = 0, says_unknown: bool = False) -> None:
        """Lay a shape over those of the same and of lower order.

        `says_unknown`: its class index is IGNORE because the file says so. Raises NoArea.
        """
        is_flat = isinstance(shape, Polygon) and _is_flat(shape.corners)
        if is_flat or (isinstance(shape, Ellipse) and min(shape.x_radius, shape.y_radius) == 0):
            raise NoArea(f"{shape.what} has no area")
        self._has_classes |= says_unknown or shape.class_index != IGNORE
        self._shapes.append((order, shape))

    def add_point(self, x: float, y: float, class_index: int, what: str) -> None:
        """A labelled position. Raises ImportRefused: outside the image."""
        point = point_at(x, y, class_index, what, self._hw)
        if class_index == IGNORE:
            self._has_unread = True
        else:
            self._points.append(point)

    def add_line(self, corners: Sequence[tuple[float, float]], class_index: int, what: str, *, order: int = 0) -> None:
        """A line: its corners are labelled positions, and of what lies between them nothing is said."""
        for x, y in corners:
            self.add_point(x, y, class_index, what)
        if len(corners) > 1:
            self._shapes.append((order, Path(IGNORE, np.array(corners, np.float64), what)))

    def unread(self, what: str, reason: str) -> None:
        """Note a mark whose pixels nobody can tell: all that is outside the other marks is unknown then."""
        self._has_unread = True
        self.notes.add(f"{what} {reason}: pixels outside the other marks are unknown")

    def image(self) -> LabelledImage:
        """What is known of the image. Raises ImportRefused: nobody marked anything, or nothing that can be read."""
        if not self._has_classes and not self._points:
            raise ImportRefused("; ".join(self.notes.lines[:3]) or "nobody marked anything in it")
        mask = self._mask if self._has_classes else None
        return LabelledImage(self._name, self._hw, mask, tuple(self._points), self.notes)

    def _mask(self, hw: tuple[int, int]) -> NDArray[np.uint8]:
        shapes = [shape for _, shape in sorted(self._shapes, key=lambda pair: pair[0])]
        if self._in_shares:
            shapes = [
                replace(shape, corners=shape.corners * hw[::-1]) for shape in shapes if isinstance(shape, Polygon)
            ]
        ground = IGNORE if self._has_unread else self._classes.ground
        mask = drawn(shapes, hw, ground=ground, notes=self.notes)
        inside = [point for point in self._points if point.row < hw[0] and point.col < hw[1]]
        if ground != IGNORE and any(mask[point.row, point.col] == ground != point.class_index for point in inside):
            self.notes.add(
                "points lie outside all shapes, and how far what they mark reaches is not said: pixels outside the "
                "shapes are unknown"
            )
            mask = drawn(shapes, hw, ground=IGNORE, notes=self.notes)
        for point in inside:  # on a shape of another class both are true of something there
            mask[point.row, point.col] = (
                point.class_index if mask[point.row, point.col] in (IGNORE, point.class_index) else IGNORE
            )
        return mask


def _is_flat(corners: NDArray[np.float64]) -> bool:
    """Whether all corners lie on one line."""
    sides = corners[1:] - corners[0]
    longest = sides[np.argmax((sides**2).sum(axis=1))]
    across = np.abs(sides[:, 0] * longest[1] - sides[:, 1] * longest[0]).max()
    return bool(across <= FLAT * np.hypot(*longest))


def polygon(class_index: int, coordinates: Sequence[Any], what: str) -> Polygon:
    """A polygon from x, y, x, y, ... Raises ImportRefused: no numbers; NoArea: fewer than three corners."""
    values = [number(coordinate, f"a corner of {what}") for coordinate in coordinates]
    if len(values) in (0, 2, 4):
        raise NoArea(f"{what} has {len(values)} coordinates: wanted pairs, at least three")
    if len(values) % 2 or len(values) < 6:
        raise ImportRefused(f"{what} has {len(values)} coordinates: wanted pairs, at least three")
    return Polygon(class_index, np.array(values, np.float64).reshape(-1, 2), what)


def box(class_index: int, x0: float, y0: float, x1: float, y1: float, what: str) -> Polygon:
    """A box between two of its corners. Raises ImportRefused: it ends before it begins."""
    if x1 < x0 or y1 < y0:
        raise ImportRefused(f"{what} has a negative size: from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g})")
    return Polygon(class_index, np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64), what)


def hull(class_index: int, corners: Sequence[tuple[float, float]], what: str) -> Polygon:
    """The smallest convex polygon round some positions. Raises NoArea: they lie on one line."""
    from scipy.spatial import ConvexHull

    at = np.array(corners, np.float64).reshape(-1, 2)
    if len(at) < 3 or _is_flat(at):
        raise NoArea(f"{what} has {len(at)} corners and no area")
    return Polygon(class_index, at[ConvexHull(at).vertices], what)


def turned(shape: Polygon, degrees: float, *, about: tuple[float, float]) -> Polygon:
    """The polygon turned clockwise about a point."""
    angle = np.deg2rad(degrees)
    turn = np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
    return Polygon(shape.class_index, (shape.corners - about) @ turn + about, shape.what)


def point_at(x: float, y: float, class_index: int, what: str, hw: tuple[int, int] | None) -> FilePoint:
    """The pixel that holds a position; on the right and lower edge of an image of `hw`, the last one.

    Raises:
        ImportRefused: left of or above the image.
    """
    if x < 0 or y < 0:
        raise ImportRefused(f"{what} lies at ({x:g}, {y:g}), outside its image")
    row, col = int(y), int(x)
    if hw is not None:
        row, col = row - (y == hw[0]), col - (x == hw[1])
    return FilePoint(row, col, class_index)


def drawn(
    shapes: Sequence[Shape], hw: tuple[int, int], *, ground: int, notes: Notes | None = None
) -> NDArray[np.uint8]:
    """The mask (H, W) uint8 of all shapes, one over the other, `ground` elsewhere.

    What reaches over the border is cut off there. Of a shape between the middles of pixels, the pixel it lies in is
    unknown. Shapes that lie beside the image, and those that cover no pixel, are added to `notes`.

    Raises:
        ImportRefused: a shape lies further outside than the image is wide, as in a file for another image; or, where
            there are notes, none covers a pixel.
    """
    mask = np.full(hw, ground, np.uint8)
    missed: list[Shape] = []
    for kind, group in groupby(shapes, type):
        if kind is Polygon:
            polygons = [shape for shape in group if isinstance(shape, Polygon)]
            _fill_polygons(mask, polygons)
            missed += [shape for shape in polygons if _covers_nothing(shape.corners, hw)]
        else:
            missed += [shape for shape in group if not _lay(mask, shape)]
    said = Notes() if notes is None else notes
    inside = [_note_missed(mask, shape, said) for shape in missed]
    if notes is not None and shapes and len(missed) == len(shapes) and not any(inside):
        raise ImportRefused(f"nothing that was marked lies in the image of {hw[1]} x {hw[0]} pixels: {notes.lines[0]}")
    return mask


def _lay(mask: NDArray[np.uint8], shape: Shape) -> bool:
    """Whether a shape that is no polygon covers a pixel; these are of its class then."""
    if isinstance(shape, Ellipse):
        return _fill_ellipse(mask, shape)
    if isinstance(shape, Stamp):
        return _press(mask, shape)
    if isinstance(shape, Path):
        return _trace(mask, shape)
    if isinstance(shape, Painted):
        pixels = shape.pixels((mask.shape[0], mask.shape[1]))
        mask[pixels] = shape.class_index
        return bool(pixels.any())
    raise TypeError(type(shape))


def _covers_nothing(corners: NDArray[np.float64], hw: tuple[int, int]) -> bool:
    """Whether no middle of a pixel of the image lies in the box round corners."""
    low = np.maximum(np.ceil(corners.min(axis=0) - 0.5), 0)
    high = np.minimum(np.floor(corners.max(axis=0) - 0.5), np.array(hw[::-1]) - 1)
    return bool((low > high).any())


def _note_missed(mask: NDArray[np.uint8], shape: Shape, notes: Notes) -> bool:
    """Note a shape without a pixel; whether it lies in the image: between middles, in a pixel that is unknown now."""
    size = np.array(mask.shape[::-1], np.float64)
    corners = shape.corners if isinstance(shape, Polygon | Painted) else None
    if isinstance(shape, Ellipse):
        reach = np.array([shape.x_radius, shape.y_radius])
        middle = np.array([shape.x, shape.y])
        corners = np.array([middle - reach, middle + reach])
    if corners is not None:
        low, high = np.maximum(corners.min(axis=0), 0), np.minimum(corners.max(axis=0), size)
        if (low < high).all():
            col, row = np.floor((low + high) / 2).astype(int).tolist()
            mask[row, col] = IGNORE
            notes.add(f"{shape.what} covers no middle of a pixel: the one it lies in is unknown")
            return True
    notes.add(f"{shape.what} covers no pixel of the image of {mask.shape[1]} x {mask.shape[0]}: it is dropped")
    return False


def _fill_polygons(mask: NDArray[np.uint8], polygons: list[Polygon]) -> None:
    from rasterio.features import rasterize  # GDAL: the middle of a pixel decides

    shapes = []
    for shape in polygons:
        _refuse_far(shape.corners, (mask.shape[0], mask.shape[1]), shape.what)
        ring = shape.corners.tolist()
        shapes.append(({"type": "Polygon", "coordinates": [[*ring, ring[0]]]}, shape.class_index))
    rasterize(shapes, out=mask)


def _fill_ellipse(mask: NDArray[np.uint8], ellipse: Ellipse) -> bool:
    reach = max(ellipse.x_radius, ellipse.y_radius)
    corners = np.array([(ellipse.x - reach, ellipse.y - reach), (ellipse.x + reach, ellipse.y + reach)])
    _refuse_far(corners, (mask.shape[0], mask.shape[1]), ellipse.what)
    if min(ellipse.x_radius, ellipse.y_radius) <= 0 or (corners[1] <= 0).any():
        return False
    (left, top), (right, bottom) = np.maximum(np.floor(corners), 0).astype(int)
    part = mask[top : bottom + 1, left : right + 1]
    rows, cols = np.ogrid[top : top + part.shape[0], left : left + part.shape[1]]
    x, y, angle = cols + 0.5 - ellipse.x, rows + 0.5 - ellipse.y, np.deg2rad(ellipse.degrees)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    is_inside = (along / ellipse.x_radius) ** 2 + (across / ellipse.y_radius) ** 2 <= 1
    part[is_inside] = ellipse.class_index
    return bool(is_inside.any())


def _press(mask: NDArray[np.uint8], stamp: Stamp) -> bool:
    (height, width), top, left = stamp.hw, stamp.top, stamp.left
    corners = np.array([(left, top), (left + width, top + height)], np.float64)
    _refuse_far(corners, (mask.shape[0], mask.shape[1]), stamp.what)
    first_row, first_col = max(0, -top), max(0, -left)
    part = mask[max(0, top) : max(0, top + height), max(0, left) : max(0, left + width)]
    pixels = stamp.pixels()[first_row : first_row + part.shape[0], first_col : first_col + part.shape[1]]
    part[pixels] = stamp.class_index
    return bool(pixels.any())


def _trace(mask: NDArray[np.uint8], path: Path) -> bool:
    _refuse_far(path.corners, (mask.shape[0], mask.shape[1]), path.what)
    steps = [
        np.linspace(start, end, 2 * int(np.ceil(np.abs(end - start).max())) + 2)
        for start, end in zip(path.corners[:-1], path.corners[1:], strict=True)
    ]
    cols, rows = np.floor(np.concatenate(steps)).astype(int).T
    inside = (rows >= 0) & (rows < mask.shape[0]) & (cols >= 0) & (cols < mask.shape[1])
    mask[rows[inside], cols[inside]] = path.class_index
    return True


def _refuse_far(corners: NDArray[np.float64], hw: tuple[int, int], what: str) -> None:
    size = np.array(hw[::-1], np.float64)
    if ((corners < -size) | (corners > 2 * size)).any():
        x, y = corners[((corners < -size) | (corners > 2 * size)).any(axis=1)][0]
        raise ImportRefused(f"{what} reaches to ({x:g}, {y:g}), far outside the image of {hw[1]} x {hw[0]} pixels")
