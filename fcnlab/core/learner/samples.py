"""The points of one image as arrays, in canonical order, and the samples of each click."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.stages import Stages, sample_stages
from fcnlab.core.images.coords import check_inside, to_working
from fcnlab.core.learner.head import Samples
from fcnlab.domain.events import Point
from fcnlab.threads import on_one_thread

RINGS_PX = (4.0, 9.0)
"""Radii, in working pixels, at which a click brings its neighbours."""

SAME_COLOUR = 8.0
"""CIELAB distance below which a neighbour is taken for the same thing as the click."""

BORDER_POINTS = 48
BORDER_WEIGHT = 1.0
"""The border of the picture counts as this many background clicks, in object mode."""

BORDER_CLEARANCE = 0.08
"""A border point this near (part of the longer side) to a foreground click is left out."""

NEIGHBOURS_UP_TO = 64
"""Points in a project above which neighbours bring nothing and are left out."""


class Colours(Protocol):
    """CIELAB (H, W, 3) float32 of a picture that is read in single places: an array, or what behaves like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""

    def __getitem__(self, pixels: Any) -> NDArray[np.float32]:
        """Colours (..., 3) at (rows, cols)."""


@dataclass(frozen=True, slots=True)
class Clicks:
    """rows, cols (N,) int64 in pixels of the full-size image, class_ids (N,) int64; sorted.

    `weights` (N,) float32 say how much each counts in a fit; masks obey all alike.
    """

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    class_ids: NDArray[np.int64]
    image_hw: tuple[int, int]
    weights: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def are_weighted(self) -> bool:
        """Whether some count more than others, or all of them more or less than one."""
        return bool((self.weights != 1).any())

    def on(self, hw: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Float positions (N,) rows and cols in a working picture of size `hw`."""
        return (
            to_working(self.rows, full=self.image_hw[0], working=hw[0])[0],
            to_working(self.cols, full=self.image_hw[1], working=hw[1])[0],
        )

    def pixels_on(self, hw: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Pixel numbers (N,) rows and cols in a working picture of size `hw`."""
        return (
            to_working(self.rows, full=self.image_hw[0], working=hw[0])[1],
            to_working(self.cols, full=self.image_hw[1], working=hw[1])[1],
        )


def canonical_clicks(
    points: Iterable[Point], image_hw: tuple[int, int], weights: Iterable[float] | None = None
) -> Clicks:
    """Points of one image sorted by row, column, class, so that no result depends on the order of clicking.

    Args:
        points: of the image.
        image_hw: its size.
        weights: of the points, in their order; None weighs all alike.

    Raises:
        ClickOutsideImage: a point lies outside the image.
    """
    table = np.array([(point.row, point.col, point.class_id) for point in points], np.int64).reshape(-1, 3)
    column = np.ones(len(table)) if weights is None else np.array(list(weights), np.float64)
    if len(column) != len(table):
        raise ValueError(f"{len(column)} weights for {len(table)} points")
    order = np.lexsort((column, table[:, 2], table[:, 1], table[:, 0]))
    rows, cols, class_ids = np.ascontiguousarray(table[order].T)
    clicks = Clicks(rows, cols, class_ids, image_hw, column[order].astype(np.float32))
    check_inside(clicks.rows, clicks.cols, image_hw)
    return clicks


def neighbour_positions(
    clicks: Clicks, lab: Colours
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Pixels on two rings round each click whose colour is that of the click.

    Args:
        lab: (H, W, 3) CIELAB of the working picture.

    Returns rows and cols (M,) in working pixels, and the number (M,) of the click each belongs to.
    """
    angles = np.arange(8) * (np.pi / 4)
    rings = np.array([(r * np.sin(a), r * np.cos(a)) for r in RINGS_PX for a in angles])
    rows, cols = clicks.on((lab.shape[0], lab.shape[1]))
    around_rows = (rows[:, None] + rings[:, 0]).ravel()
    around_cols = (cols[:, None] + rings[:, 1]).ravel()
    height, width = lab.shape[:2]
    near_rows = np.rint(around_rows).astype(int)
    near_cols = np.rint(around_cols).astype(int)
    inside = (near_rows >= 0) & (near_rows < height) & (near_cols >= 0) & (near_cols < width)
    own_rows, own_cols = clicks.pixels_on((height, width))
    clicked_colours = np.repeat(lab[own_rows, own_cols], len(rings), axis=0)
    near = lab[np.clip(near_rows, 0, height - 1), np.clip(near_cols, 0, width - 1)]
    alike = inside & (((clicked_colours - near) ** 2).sum(axis=1) <= SAME_COLOUR**2)
    return around_rows[alike], around_cols[alike], np.repeat(np.arange(len(clicks)), len(rings))[alike]


def border_positions(
    clicks: Clicks, hw: tuple[int, int], background: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and cols (M,) along the border of a working picture of size `hw`, none near a foreground click."""
    height, width = hw
    n_across, n_down = (max(1, round(BORDER_POINTS / 2 * side / (height + width))) for side in (width, height))
    across = (np.arange(n_across) + 0.5) / n_across * width - 0.5
    down = (np.arange(n_down) + 0.5) / n_down * height - 0.5
    rows = np.concatenate([np.zeros(n_across), np.full(n_across, height - 1.0), down, down])
    cols = np.concatenate([across, across, np.zeros(n_down), np.full(n_down, width - 1.0)])
    foreground = clicks.class_ids != background
    own_rows, own_cols = clicks.on(hw)
    distance = np.hypot(rows[:, None] - own_rows[foreground], cols[:, None] - own_cols[foreground])
    clear = (distance > BORDER_CLEARANCE * max(height, width)).all(axis=1)
    return rows[clear], cols[clear]


def grid_positions(hw: tuple[int, int], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and cols (M,) of about `count` positions spread evenly over a working picture of size `hw`."""
    step = (hw[0] * hw[1] / count) ** 0.5
    rows, cols = (
        (np.arange(n) + 0.5) / n * side - 0.5 for side, n in ((length, max(1, round(length / step))) for length in hw)
    )
    grid = np.meshgrid(rows, cols, indexing="ij")
    return grid[0].ravel(), grid[1].ravel()


@on_one_thread
def samples_at(stages: Stages, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
    """Standardised features (N, D) at float positions of the working picture."""
    device = stages.maps[0].device
    positions = torch.from_numpy(np.stack([rows, cols])).to(device, torch.float32)
    with torch.no_grad():
        return sample_stages(stages, positions[0], positions[1]).cpu().numpy()


def join_samples(parts: list[Samples]) -> Samples:
    """All samples behind one another."""
    return Samples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.class_ids for part in parts]),
        np.concatenate([part.weights for part in parts]),
    )


MOST_SPARE = 1000
"""Rows of a SampleTable that may be empty, however few samples there are."""


class SampleTable:
    """Samples behind one another, as of `join_samples`, in memory that is kept from one time to the next.

    Parts at the beginning that are the same objects as the last time are there already: put what changes last.
    """

    def __init__(self) -> None:
        self._parts: list[Samples] = []
        self._features = np.empty((0, 0), np.float32)

    def joined(self, parts: list[Samples]) -> Samples:
        """All samples; their features are good until the next call."""
        width = parts[0].features.shape[1]
        count = sum(len(part.class_ids) for part in parts)
        if self._features.shape[1] != width or not count <= len(self._features) <= max(MOST_SPARE, 4 * count):
            self._features, self._parts = np.empty((count + count // 4, width), np.float32), []
        start, is_same = 0, True
        for index, part in enumerate(parts):
            stop = start + len(part.class_ids)
            is_same = is_same and index < len(self._parts) and self._parts[index] is part
            if not is_same:
                self._features[start:stop] = part.features
            start = stop
        self._parts = list(parts)
        return Samples(
            self._features[:count],
            np.concatenate([part.class_ids for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )


FeaturesByPosition = dict[tuple[float, float], NDArray[np.float32]]
"""Standardised features (D,) at float positions (row, col) of a working picture."""

POSITIONS_REMEMBERED = 8192
"""Of a picture; they take 35 MB at most."""


def samples_by_position(
    remembered: FeaturesByPosition,
    extract: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float32]],
    rows: NDArray[np.float64],
    cols: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Standardised features (N, D) at float positions (N,): those remembered, and the others by `extract`.

    A click more asks for few new ones. These are remembered, unless they are too many.
    """
    positions = list(zip(rows.tolist(), cols.tolist(), strict=True))
    new = sorted(set(positions) - remembered.keys())
    fresh = dict(zip(new, extract(*np.array(new).T), strict=True)) if new else {}
    rows_at = [fresh[at] if at in fresh else remembered[at] for at in positions]
    features = np.concatenate(rows_at).reshape(len(positions), -1) if rows_at else extract(rows, cols)
    if len(remembered) + len(new) > POSITIONS_REMEMBERED:
        remembered.clear()
    if len(new) <= POSITIONS_REMEMBERED:  # copies, for a row that is a part of a table would keep all of it
        remembered.update((at, row.copy()) for at, row in fresh.items())
    return features
