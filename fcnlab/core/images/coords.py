"""Picture frames: full size, working size, learner's positions. Nothing else converts coordinates.

Full size: integer `row, col` of the upright image. Working: the same picture scaled down so that its longer side is
at most `working_side`, or as the learner's resolution says; positions there are floats whose pixel centres are whole
numbers.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import ClickOutsideImage


def working_hw(image_hw: tuple[int, int], working_side: int) -> tuple[int, int]:
    """Height and width of the working picture: never larger than the image, never smaller than one pixel."""
    height, width = image_hw
    scale = min(1.0, working_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


COARSEST = 4.0
LONG_SIDE = 6144
"""An automatic learner looks at no image longer than LONG_SIDE coarser than COARSEST pixels to one: small things would
vanish. At the default working size, images of that length are just as coarse."""


def learner_hw(image_hw: tuple[int, int], spec: LearnerSpec) -> tuple[int, int]:
    """Height and width of the working picture of the instant learner.

    Without a resolution, as in projects older than it, the longer side is at most `working_side`. An automatic one is
    the same up to images of LONG_SIDE.
    """
    if spec.resolution is None:
        return working_hw(image_hw, spec.working_side)
    longer = max(image_hw)
    if spec.resolution == "auto":
        finest = math.ceil(longer / COARSEST) if longer > LONG_SIDE else 1
        return working_hw(image_hw, max(spec.working_side, finest))
    return working_hw(image_hw, max(1, round(longer / float(spec.resolution))))


def check_inside(rows: NDArray[np.int64], cols: NDArray[np.int64], image_hw: tuple[int, int]) -> None:
    """Raises ClickOutsideImage for the first point outside the image."""
    height, width = image_hw
    outside = (rows < 0) | (rows >= height) | (cols < 0) | (cols >= width)
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ClickOutsideImage(
            f"point {first} at row {rows[first]}, column {cols[first]} is outside the image: "
            f"rows run from 0 to {height - 1}, columns from 0 to {width - 1}"
        )


def to_working(
    positions: NDArray[np.int64], *, full: int, working: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Full-size pixel numbers along one axis -> (float position, pixel number) in the working picture."""
    exact = np.asarray((positions + 0.5) * (working / full), np.float64)
    return exact - 0.5, np.clip(np.floor(exact).astype(np.int64), 0, working - 1)


def to_full(positions: NDArray[np.int64], *, full: int, working: int) -> NDArray[np.int64]:
    """Pixel numbers in the working picture along one axis -> the full-size pixels in their middle.

    `to_working` of these gives the same numbers back.
    """
    return np.asarray(np.clip(np.floor((positions + 0.5) * (full / working)), 0, full - 1), np.int64)


def working_picture(rgb: NDArray[np.uint8], working_side: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 reduced by area averaging until its longer side is at most `working_side`."""
    return reduced_to(rgb, working_hw((rgb.shape[0], rgb.shape[1]), working_side))


def learner_picture(rgb: NDArray[np.uint8], spec: LearnerSpec) -> NDArray[np.uint8]:
    """The working picture of the instant learner, of a picture (H, W, 3) uint8 at full size."""
    return reduced_to(rgb, learner_hw((rgb.shape[0], rgb.shape[1]), spec))


def reduced_to(rgb: NDArray[np.uint8], hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 reduced to a size by area averaging."""
    height, width = hw
    if (height, width) == rgb.shape[:2]:
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
