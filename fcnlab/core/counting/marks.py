"""What is marked in a picture, how far apart and how large the objects are, and how large a picture has to be shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
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
class MarkedPoints:
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

    def of(self, class_index: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Rows and columns of the points of one class."""
        chosen = self.classes == class_index
        return self.rows[chosen], self.cols[chosen]

    def resized(self, hw: tuple[int, int], to_hw: tuple[int, int]) -> MarkedPoints:
        """The same marks of a map of size `hw` on one of size `to_hw` over the same field of view."""
        rows, cols = (
            ((positions + 0.5) * (new / old) - 0.5).astype(np.float32)
            for positions, old, new in ((self.rows, hw[0], to_hw[0]), (self.cols, hw[1], to_hw[1]))
        )
        return MarkedPoints(rows, cols, self.classes, self.is_complete)

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
    medians, counts = [], []
    for rows, cols in objects:
        positions = np.unique(np.column_stack([rows, cols]).astype(np.float64), axis=0)
        if len(positions) > 1:
            distances, _ = cKDTree(positions).query(positions, k=2)
            medians.append(float(np.median(distances[:, 1])))
            counts.append(len(positions))
    if medians:
        order = np.argsort(medians, kind="stable")
        share = np.cumsum(np.array(counts)[order]) / sum(counts)
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
    magnification = min(wanted, fitting)
    return magnification if math.isfinite(magnification) else 1.0


FIRST_WIDTH = 1.0
WIDTHS_PER_OCTAVE = 2
N_WIDTHS = 11
"""Widths (sigma) at which an object may stand out: 1 to 32 pixels of the picture."""

SPACING_OF_WIDTH = 2.5
"""Spacing of objects that touch, as a multiple of the width at which one stands out; measured on four sets of cells."""

STEPS_PER_OCTAVE = 4
"""Spacings are rounded to so many values per doubling: what was learned serves until the spacing changes by more."""

LEAST, MOST = 4.0, 256.0
UNKNOWN = 32.0


@dataclass(frozen=True, slots=True, eq=False)
class Sizes:
    """rows, cols (N,) float of the marked objects of one picture, and the width (N,) at which each stands out."""

    rows: NDArray[np.float64]
    cols: NDArray[np.float64]
    widths: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ScaleSpace:
    """The curvature of a picture's lightness at rising widths.

    Attributes:
        factors: pixels of the picture, along one side, to one of each map.
        maps: (h, w) float32 each, the scale-normalised Laplacian, without its sign.
    """

    factors: tuple[int, ...]
    maps: tuple[NDArray[np.float32], ...]


def scale_space(lightness: NDArray[np.float32]) -> ScaleSpace:
    """The scale space of a picture's lightness (H, W).

    Wider Gaussians are taken on the picture made smaller, a doubling at a time.

    Reference: Lindeberg 1998, "Feature detection with automatic scale selection".
    """
    factors, maps = [], []
    small, factor = lightness, 1
    for step in range(N_WIDTHS):
        width = FIRST_WIDTH * 2 ** (step / WIDTHS_PER_OCTAVE)
        if step and width > min(lightness.shape) / 4:
            break
        while width / factor >= 4 and min(small.shape) >= 8:
            factor *= 2
            halved = (small.shape[1] // 2, small.shape[0] // 2)
            small = np.asarray(cv2.resize(small, halved, interpolation=cv2.INTER_AREA), np.float32)
        smooth = cv2.GaussianBlur(small, (0, 0), width / factor, borderType=cv2.BORDER_REFLECT)
        bent = np.abs(cv2.Laplacian(smooth, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)) * (width / factor) ** 2
        factors.append(factor)
        maps.append(np.asarray(bent, np.float32))
    return ScaleSpace(tuple(factors), tuple(maps))


def sizes_at(space: ScaleSpace, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> Sizes:
    """The width at which each place (N,) of a picture, in float pixels, stands out most."""
    strengths = np.zeros((len(space.maps), len(rows)), np.float32)
    for index, (factor, bent) in enumerate(zip(space.factors, space.maps, strict=True)):
        at = [
            np.clip(np.rint((coordinates + 0.5) / factor - 0.5).astype(int), 0, side - 1)
            for coordinates, side in zip((rows, cols), bent.shape, strict=True)
        ]
        strengths[index] = bent[at[0], at[1]]
    best = strengths.argmax(axis=0)
    return Sizes(rows, cols, np.asarray(FIRST_WIDTH * 2.0 ** (best / WIDTHS_PER_OCTAVE), np.float64))


def usual_width(pictures: Sequence[Sizes]) -> float:
    """The median width of all marked objects; 0 without any."""
    widths = np.concatenate([sizes.widths for sizes in pictures]) if pictures else np.zeros(0)
    return float(np.median(widths)) if len(widths) else 0.0


def spacing_from(pictures: Sequence[Sizes]) -> float:
    """The distance at which objects of this size touch, pixels, rounded to a quarter of a doubling.

    Neighbours say it where they are marked; where few are, their distances are too long, and the width at which
    objects stand out says more. The smaller of the two counts.
    """
    nearest = []
    for sizes in pictures:
        positions = np.unique(np.column_stack([sizes.rows, sizes.cols]), axis=0)
        if len(positions) > 1:
            nearest.append(float(np.median(cKDTree(positions).query(positions, k=2)[0][:, 1])))
    width = usual_width(pictures)
    spacing = SPACING_OF_WIDTH * width if width else UNKNOWN
    if nearest:
        spacing = min(spacing, float(np.median(nearest)))
    exponent = round(math.log2(float(np.clip(spacing, LEAST, MOST))) * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE
    return float(2**exponent)
