"""How large objects are, told from the points on them: how close they lie, and at which scale each stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

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
    """How strongly each place of a picture bends at rising widths.

    Attributes:
        factors: pixels of the picture, along one side, to one of each map.
        maps: (h, w) float32 each, the scale-normalised Laplacian, without its sign.
    """

    factors: tuple[int, ...]
    maps: tuple[NDArray[np.float32], ...]


def scale_space(lightness: NDArray[np.float32]) -> ScaleSpace:
    """Of a picture (H, W). Wider Gaussians are taken on the picture made smaller, a doubling at a time.

    Reference: Lindeberg 1998, "Feature detection with automatic scale selection".
    """
    factors, maps = [], []
    small, factor = lightness, 1
    for number in range(N_WIDTHS):
        width = FIRST_WIDTH * 2 ** (number / WIDTHS_PER_OCTAVE)
        if number and width > min(lightness.shape) / 4:
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
    for number, (factor, bent) in enumerate(zip(space.factors, space.maps, strict=True)):
        at = [
            np.clip(np.rint((place + 0.5) / factor - 0.5).astype(int), 0, side - 1)
            for place, side in zip((rows, cols), bent.shape, strict=True)
        ]
        strengths[number] = bent[at[0], at[1]]
    best = strengths.argmax(axis=0)
    return Sizes(rows, cols, np.asarray(FIRST_WIDTH * 2.0 ** (best / WIDTHS_PER_OCTAVE), np.float64))


def usual_width(pictures: Sequence[Sizes]) -> float:
    """The median width of all marked objects; 0 without any."""
    widths = np.concatenate([one.widths for one in pictures]) if pictures else np.zeros(0)
    return float(np.median(widths)) if len(widths) else 0.0


def spacing_from(pictures: Sequence[Sizes]) -> float:
    """The distance at which objects of this size touch, pixels, rounded to a quarter of a doubling.

    Neighbours say it where they are marked; where few are, their distances are too long, and the width at which
    objects stand out says more. The smaller of the two counts.
    """
    nearest = []
    for one in pictures:
        places = np.unique(np.column_stack([one.rows, one.cols]), axis=0)
        if len(places) > 1:
            nearest.append(float(np.median(cKDTree(places).query(places, k=2)[0][:, 1])))
    width = usual_width(pictures)
    found = SPACING_OF_WIDTH * width if width else UNKNOWN
    if nearest:
        found = min(found, float(np.median(nearest)))
    exponent = round(math.log2(float(np.clip(found, LEAST, MOST))) * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE
    return float(2**exponent)
