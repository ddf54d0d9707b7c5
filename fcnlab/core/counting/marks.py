"""What is marked in a picture, how far apart objects are, and how large they should be shown to a network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from fcnlab.errors import InvalidPoints

SPACING_SEEN = 16.0
"""Pixels between neighbouring objects that networks learn best from; measured on three sets of cells."""

LEAST_SEEN = 6.0
"""Pixels between neighbours below which objects run together at the strides of the networks."""

SMALLEST, LARGEST = 0.25, 3.0
CROWDED = 0.25
"""Part of the objects whose images decide how far apart objects usually are: the most crowded ones. A network has to
see those apart, and where images are of different kinds their objects are small."""

ACROSS = 16
"""Objects along the longer side of a picture when nothing is known of them."""

UNKNOWN_SIDE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The points of one picture, in the frame of the maps they are compared with.

    Attributes:
        rows, cols: (N,) float32; pixel centres are whole numbers.
        classes: (N,) int64, places in the list of classes; 0 is the background: no object here.
        is_complete: every object of the picture has its point.

    Raises:
        InvalidPoints: the arrays differ in length.
    """

    rows: NDArray[np.float32]
    cols: NDArray[np.float32]
    classes: NDArray[np.int64]
    is_complete: bool

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.cols) == len(self.classes):
            raise InvalidPoints(
                f"marks have {len(self.rows)} rows, {len(self.cols)} columns and {len(self.classes)} classes: "
                "give one of each for every point"
            )

    @property
    def n_objects(self) -> int:
        """Points of object classes."""
        return int((self.classes > 0).sum())

    def of(self, place: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows and columns of the points of one class."""
        chosen = self.classes == place
        return self.rows[chosen], self.cols[chosen]

    def resized(self, hw: tuple[int, int], to_hw: tuple[int, int]) -> Marks:
        """The same marks of a map of size `hw` on one of size `to_hw` over the same field of view."""
        rows, cols = (
            ((positions + 0.5) * (new / old) - 0.5).astype(np.float32)
            for positions, old, new in ((self.rows, hw[0], to_hw[0]), (self.cols, hw[1], to_hw[1]))
        )
        return Marks(rows, cols, self.classes, self.is_complete)

    def pixels(self, hw: tuple[int, int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns (N,) of the pixels that hold the points; points outside fall on the border."""
        rows, cols = (
            np.clip(np.floor(np.asarray(positions, np.float64) + 0.5), 0, side - 1).astype(np.int64)
            for positions, side in ((self.rows, hw[0]), (self.cols, hw[1]))
        )
        return rows, cols


def spacing_of(
    objects: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]], image_hw: tuple[int, int] | None = None
) -> float:
    """The usual distance of an object to its nearest neighbour, in pixels.

    Each image says the median of its own; of these the one is taken below which CROWDED of all objects lie.

    Args:
        objects: (rows, cols) of the objects of each image, background left out.
        image_hw: size of a usual image, for when no image has two objects apart: a sixteenth of its longer side then.
    """
    medians, numbers = [], []
    for rows, cols in objects:
        places = np.unique(np.column_stack([rows, cols]).astype(np.float64), axis=0)
        if len(places) > 1:
            distances, _ = cKDTree(places).query(places, k=2)
            medians.append(float(np.median(distances[:, 1])))
            numbers.append(len(places))
    if medians:
        order = np.argsort(medians, kind="stable")
        share = np.cumsum(np.array(numbers)[order]) / sum(numbers)
        return float(medians[int(order[int(np.searchsorted(share, CROWDED))])])
    return max(image_hw or (UNKNOWN_SIDE, UNKNOWN_SIDE)) / ACROSS


def magnification_for(spacing: float, image_hw: tuple[int, int], working_side: int) -> float:
    """By how much a picture is enlarged for a network that counts: neighbours end up about SPACING_SEEN pixels apart.

    Between SMALLEST and LARGEST. The longer side is kept within `working_side` unless objects would then be closer
    than LEAST_SEEN pixels.

    Args:
        spacing: usual distance between neighbours, pixels at full size.
    """
    wanted = float(np.clip(SPACING_SEEN / max(spacing, 1e-6), SMALLEST, LARGEST))
    fitting = max(working_side / max(image_hw), LEAST_SEEN / max(spacing, 1e-6))
    found = min(wanted, fitting)
    return found if math.isfinite(found) else 1.0
