"""Masks as regions: the pixels of a class, or its connected parts, with their outlines.

Outlines run along the edges of pixels: the corner (row, col) is the upper left one of the pixel (row, col), so that the
pixel covers row..row+1 and col..col+1. They are exact by one rule: a pixel is inside when its centre is, as pycocotools
and GDAL fill polygons. Outer rings run clockwise on the screen, holes the other way.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from fcnlab.domain.project import IGNORE

CONNECTIVITY = 8
"""Pixels that touch at a corner are of one part, so that a thin slanting line stays whole."""

Ring = NDArray[np.int32]
"""Corners (N, 2), row and col; the last is joined to the first. Two neighbours share their row or their column."""

Box = tuple[slice, slice]

FAR = 1 << 32
"""More than any column."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A connected part of a region: its outer ring and its holes."""

    outer: Ring
    holes: tuple[Ring, ...]


@dataclass(frozen=True, eq=False)
class Region:
    """Some pixels of one class.

    Attributes:
        class_id: their class.
        top, left: the upper left pixel of the smallest box around them.
        inside: (height, width) bool, that box.
        image_hw: the size of the whole mask.
        area: how many pixels.
    """

    class_id: int
    top: int
    left: int
    inside: NDArray[np.bool_]
    image_hw: tuple[int, int]
    area: int

    @property
    def height(self) -> int:
        """Rows of the box."""
        return int(self.inside.shape[0])

    @property
    def width(self) -> int:
        """Columns of the box."""
        return int(self.inside.shape[1])

    @cached_property
    def pieces(self) -> tuple[Piece, ...]:
        """Its connected parts from top to bottom, in corners of the whole mask."""
        return pieces_of(self.inside, top=self.top, left=self.left)

    @cached_property
    def simple_pieces(self) -> tuple[Piece, ...]:
        """Its parts whose pixels are joined by their sides, from top to bottom: each is a valid polygon.

        Where pixels touch at a corner only, a ring of `pieces` may meet itself or cut a part off, which the rules of
        simple features (OGC 06-103r4, 6.1.11) forbid; these rings are simple, and meet in single points at most.
        """
        count, labels = cv2.connectedComponents(self.inside.astype(np.uint8), connectivity=4)
        if count == 2 and len(self.pieces) == 1:
            return self.pieces
        parts = enumerate(find_objects(labels), start=1)
        pieces = [
            piece
            for label, (rows, cols) in parts
            for piece in pieces_of(labels[rows, cols] == label, top=self.top + rows.start, left=self.left + cols.start)
        ]
        return tuple(sorted(pieces, key=lambda piece: piece.outer[0].tolist()))

    @cached_property
    def rings(self) -> tuple[Ring, ...]:
        """One ring per part for formats without holes: `joined` to the outer one by seams without area."""
        return tuple(joined(piece) for piece in self.pieces)

    @cached_property
    def runs(self) -> NDArray[np.int64]:
        """Lengths of pixels outside and inside by turns, column by column of the whole mask, outside first."""
        height, width = self.image_hw
        return _runs(self.inside.T, first=self.left, offset=self.top, hw=(width, height))

    @cached_property
    def row_runs(self) -> NDArray[np.int64]:
        """The same, row by row."""
        return _runs(self.inside, first=self.top, offset=self.left, hw=self.image_hw)


def tidied(
    class_map: NDArray[np.uint8],
    *,
    background: int | None,
    kept: Collection[int] | None = None,
    min_area: int = 0,
    fill_holes: bool = False,
) -> NDArray[np.uint8]:
    """A class map without what is not wanted in it; the argument itself when there is nothing to do.

    Args:
        class_map: (H, W) uint8.
        background: class id of what is not an object; None: there is no such class, and what is not wanted is IGNORE.
        kept: ids of classes that stay; the others become background. None: all.
        min_area: connected parts of fewer pixels become background.
        fill_holes: background that a part of a class encloses becomes of its class; the smallest part wins. What has
            another class stays, so that nothing is filled without a background.
    """
    result = class_map
    nothing = IGNORE if background is None else background
    if kept is not None:
        table = np.full(IGNORE + 1, nothing, np.uint8)
        ids = [*kept, IGNORE]
        table[ids] = ids
        result = table[result]
    if min_area > 1:
        result = _without_small(result, background=nothing, min_area=min_area)
    return _without_holes(result, background=background) if fill_holes and background is not None else result


def semantic_regions(class_map: NDArray[np.uint8], *, background: int | None) -> tuple[Region, ...]:
    """One region per class that occurs, background and IGNORE left out, in the order of class ids."""
    return tuple(
        _region(class_id, box[0].start, box[1].start, inside, class_map)
        for class_id, box, inside in _classes(class_map, background=background)
    )


def instance_regions(class_map: NDArray[np.uint8], *, background: int | None) -> tuple[Region, ...]:
    """One region per connected part of a class, background and IGNORE left out; by class id, then from the top left."""
    regions = []
    for class_id, box, inside in _classes(class_map, background=background):
        labels, parts = _parts(inside)
        for label, part in sorted(
            parts, key=lambda labelled_part: (labelled_part[1][0].start, labelled_part[1][1].start, labelled_part[0])
        ):
            top, left = box[0].start + part[0].start, box[1].start + part[1].start
            regions.append(_region(class_id, top, left, labels[part] == label, class_map))
    return tuple(regions)


def pieces_of(inside: NDArray[np.bool_], *, top: int = 0, left: int = 0) -> tuple[Piece, ...]:
    """The connected parts of (H, W) bool with outlines along the edges of pixels, from top to bottom.

    Args:
        inside: the pixels.
        top, left: added to every corner.
    """
    # Every pixel becomes 2 x 2, so that the border pixels OpenCV follows lie at both sides of every edge:
    # (n + 1) // 2 is then the corner that pixel n stands for, of outer rings and holes alike.
    doubled = cv2.resize(inside.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, tree = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    outer: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for index, contour in enumerate(contours):
        parent = int(tree[0][index][3])
        ring = _corners(contour) + np.array([top, left], np.int32)
        if parent < 0:
            outer[index] = ring
        else:
            holes.setdefault(parent, []).append(ring)
    order = sorted(outer, key=lambda index: (*outer[index][0].tolist(), index))
    return tuple(Piece(outer[index], _sorted(holes.get(index, []))) for index in order)


def joined(piece: Piece) -> Ring:
    """One ring of the same area: each hole is reached and left along one seam, which encloses nothing.

    Filled by the even-odd rule or the non-zero rule it gives the piece.
    """
    ring = piece.outer
    for hole in piece.holes:
        start = int(np.lexsort((hole[:, 1], hole[:, 0]))[0])
        turned = np.roll(hole, -start, axis=0)
        away = np.abs(ring.astype(np.int64) - turned[0]).sum(axis=1)
        gate = int(away.argmin())
        ring = np.concatenate([ring[: gate + 1], turned, turned[:1], ring[gate:]])
    return ring


def _runs(inside: NDArray[np.bool_], *, first: int, offset: int, hw: tuple[int, int]) -> NDArray[np.int64]:
    """Lengths outside and inside by turns, row by row of (H, W); the box begins in row `first`, column `offset`."""
    rows, cols = inside.shape
    padded = np.zeros((rows, cols + 1), np.bool_)  # so that a run ends with its row
    padded[:, :-1] = inside
    flat = padded.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        changes = np.concatenate([[0], changes])
    row, col = np.divmod(changes, cols + 1)
    flat_positions = (row + first) * hw[1] + col + offset
    starts, ends = flat_positions[0::2], flat_positions[1::2]
    goes_on = starts[1:] == ends[:-1]  # at the beginning of the next row
    kept = np.empty(2 * (len(starts) - int(goes_on.sum())), np.int64)
    kept[0::2] = starts[np.concatenate([[True], ~goes_on])]
    kept[1::2] = ends[np.concatenate([~goes_on, [True]])]
    counts = np.diff(kept, prepend=0)
    rest = hw[0] * hw[1] - int(kept[-1])
    return np.append(counts, rest) if rest else counts


def _corners(contour: NDArray[Any]) -> Ring:
    """The corners (N, 2) of a contour of the doubled picture, clockwise for outer rings, first the uppermost left."""
    ring = ((np.asarray(contour, np.int32)[:, 0, ::-1] + 1) >> 1)[::-1]
    step = np.concatenate([ring[1:], ring[:1]]) - ring
    moves = (step[:, 0] | step[:, 1]) != 0
    ring, is_level = ring[moves], step[moves, 0] == 0  # each step changes the row or the column
    turns = is_level != np.concatenate([is_level[-1:], is_level[:-1]])
    ring = ring[turns]
    first = int((ring[:, 0].astype(np.int64) * FAR + ring[:, 1]).argmin())
    return np.concatenate([ring[first:], ring[:first]])


def _sorted(rings: list[Ring]) -> tuple[Ring, ...]:
    return tuple(sorted(rings, key=lambda ring: ring[0].tolist()))


def _without_small(class_map: NDArray[np.uint8], *, background: int, min_area: int) -> NDArray[np.uint8]:
    result = class_map.copy()
    for _, box, inside in _classes(class_map, background=background):
        labels, _ = _parts(inside)
        is_small = np.bincount(labels.ravel()) < min_area
        is_small[0] = False
        result[box][is_small[labels]] = background
    return result


def _without_holes(class_map: NDArray[np.uint8], *, background: int) -> NDArray[np.uint8]:
    result = class_map.copy()
    for region in sorted(instance_regions(class_map, background=background), key=_box_area, reverse=True):
        box = np.s_[region.top : region.top + region.height, region.left : region.left + region.width]
        inside = region.inside.astype(np.uint8)
        outer, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        filled = cv2.drawContours(inside.copy(), outer, -1, 1, cv2.FILLED)
        hole = (filled > inside) & (class_map[box] == background)
        result[box][hole] = region.class_id
    return result


def _box_area(region: Region) -> int:
    return region.height * region.width


def _classes(class_map: NDArray[np.uint8], *, background: int | None) -> Iterator[tuple[int, Box, NDArray[np.bool_]]]:
    """Class ids that occur, the smallest box around each, and where in the box it is."""
    counts = cv2.calcHist([class_map], [0], None, [IGNORE + 1], [0, IGNORE + 1])
    for class_id in np.flatnonzero(counts).tolist():
        if class_id not in (background, IGNORE):
            everywhere = class_map == class_id
            left, top, width, height = cv2.boundingRect(everywhere.astype(np.uint8))
            box = (slice(top, top + height), slice(left, left + width))
            yield class_id, box, everywhere[box]


def _parts(inside: NDArray[np.bool_]) -> tuple[NDArray[np.int32], list[tuple[int, Box]]]:
    """Numbers (H, W) of the connected parts, 0 outside; each number with the box around it."""
    _, labels = cv2.connectedComponents(inside.astype(np.uint8), connectivity=CONNECTIVITY)
    return np.asarray(labels, np.int32), list(enumerate(find_objects(labels), start=1))


def _region(class_id: int, top: int, left: int, inside: NDArray[np.bool_], class_map: NDArray[np.uint8]) -> Region:
    area = int(np.count_nonzero(inside))
    return Region(class_id, int(top), int(left), inside, (class_map.shape[0], class_map.shape[1]), area)
