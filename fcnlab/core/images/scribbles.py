"""From lines and shapes drawn on a small picture to points of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.events import Point

MOST_PER_SHAPE = 50
"""Points of one line or shape: more of the same thing add little."""

MOST_PER_CLASS = 100
"""Points of one class from one drawing, so that a class drawn larger does not outweigh the others."""

EVERY_PX = 10.0
"""Points along a line are so far apart on the drawn picture, if that many fit."""

SEARCH_STEPS = 12
DOT_PX = 3


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """One thing drawn.

    Attributes:
        corners: (N, 2) float64 x, y on the drawn picture, where 0.5, 0.5 is the middle of its first pixel.
        is_area: what lies inside is meant; else the line itself.
        class_id: what it is drawn as.
    """

    corners: NDArray[np.float64]
    is_area: bool
    class_id: int


def points_of_shapes(shapes: Sequence[Shape], *, drawn_hw: tuple[int, int], image_hw: tuple[int, int]) -> list[Point]:
    """Points evenly along lines and evenly inside areas, one per pixel; where shapes overlap, the last one counts.

    Args:
        shapes: in the order in which they were drawn.
        drawn_hw: height and width of the picture they were drawn on.
        image_hw: of the image, at full size.

    Returns them by row and column. What was drawn outside the picture is left out.
    """
    wanted = _counts(shapes)
    class_at: dict[tuple[int, int], int] = {}
    for shape, count in zip(shapes, wanted, strict=True):
        positions = _inside(shape.corners, count, drawn_hw) if shape.is_area else _along(shape.corners, count)
        within = (positions >= 0).all(axis=1) & (positions[:, 0] < drawn_hw[1]) & (positions[:, 1] < drawn_hw[0])
        scale = np.array([image_hw[1] / drawn_hw[1], image_hw[0] / drawn_hw[0]])
        for col, row in np.floor(positions[within] * scale).astype(int).tolist():
            class_at[min(row, image_hw[0] - 1), min(col, image_hw[1] - 1)] = shape.class_id
    return [Point(row, col, class_id) for (row, col), class_id in sorted(class_at.items())]


def dotted(
    rgb: NDArray[np.uint8], points: Sequence[Point], palette: NDArray[np.uint8], *, image_hw: tuple[int, int]
) -> NDArray[np.uint8]:
    """A copy of a small picture (H, W, 3) uint8 of an image, with its points as dots in the colour of their class."""
    result = rgb.copy()
    height, width = rgb.shape[:2]
    for point in points:
        at = int((point.col + 0.5) * width / image_hw[1]), int((point.row + 0.5) * height / image_hw[0])
        cv2.circle(result, at, DOT_PX + 1, (255, 255, 255), -1, cv2.LINE_AA)
        cv2.circle(result, at, DOT_PX, palette[point.class_id].tolist(), -1, cv2.LINE_AA)
    return result


def _counts(shapes: Sequence[Shape]) -> list[int]:
    """How many points each shape gets at most: a line by its length, fewer when its class has many; never none."""
    fitting = [MOST_PER_SHAPE if shape.is_area else 1 + int(_length(shape.corners) / EVERY_PX) for shape in shapes]
    limited = [min(MOST_PER_SHAPE, count) for count in fitting]
    total: dict[int, int] = {}
    for shape, count in zip(shapes, limited, strict=True):
        total[shape.class_id] = total.get(shape.class_id, 0) + count
    return [
        max(1, int(count * min(1.0, MOST_PER_CLASS / total[shape.class_id])))
        for shape, count in zip(shapes, limited, strict=True)
    ]


def _length(corners: NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(corners, axis=0).T).sum())


def _along(corners: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """(count, 2) places at equal distances along a line, both ends among them when there are several."""
    steps = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    at = np.linspace(0, steps[-1], count) if count > 1 else np.array([steps[-1] / 2])
    return np.stack([np.interp(at, steps, corners[:, axis]) for axis in (0, 1)], axis=1)


def _inside(corners: NDArray[np.float64], count: int, drawn_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(N, 2) places on a grid inside a polygon, at most `count`: the middles of pixels; at least one if it has any."""
    mask = np.zeros(drawn_hw, np.uint8)
    cv2.fillPoly(mask, [np.floor(corners).astype(np.int32)], 1)
    area = int(mask.sum())
    if area == 0:
        return np.zeros((0, 2))
    step = max(1.0, float(np.sqrt(area / count)))
    for _ in range(SEARCH_STEPS):
        nodes = _grid(mask, step)
        if 0 < len(nodes) <= count:
            return nodes
        step *= 1.08 if len(nodes) else 0.8
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 3)
    row, col = np.unravel_index(int(depth.argmax()), mask.shape)
    return np.array([[col + 0.5, row + 0.5]])


def _grid(mask: NDArray[np.uint8], step: float) -> NDArray[np.float64]:
    """Nodes (x, y) of a grid over the box of a mask that lie in it, every second row moved by half a step."""
    rows, cols = np.nonzero(mask)
    nodes = []
    for row_index, y in enumerate(np.arange(rows.min() + step / 2, rows.max() + 1, step)):
        shift = step / 2 if row_index % 2 else 0.0
        x = np.arange(cols.min() + step / 4 + shift, cols.max() + 1, step)
        inside = mask[int(y), x.astype(int)] == 1
        nodes += [(float(node_x), float(y)) for node_x in x[inside]]
    return np.array(nodes, np.float64).reshape(-1, 2)
