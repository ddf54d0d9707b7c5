"""The last step of the learner on a large picture: opinions at its full size, some rows at a time."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.learner import WALKER_SHARE, WALKER_STRIDE
from fcnlab.core.learner.refine import Guide, guide_of, local_lines, small_hw
from fcnlab.core.tiling.strips import area_rows, covered_rows, linear_rows, neighbour_rows

STRIP_ROWS = 512
"""Rows that are made at once."""


def reduced(
    rgb: NDArray[np.uint8], out_hw: tuple[int, int], made: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """What `made` makes of every pixel of a picture, averaged onto a smaller grid, strip by strip."""
    height = rgb.shape[0]
    rows = max(1, STRIP_ROWS * out_hw[0] // height)
    parts = []
    for start in range(0, out_hw[0], rows):
        stop = min(start + rows, out_hw[0])
        low, high = covered_rows(height, out_hw[0], start, stop)
        parts.append(area_rows(made(rgb[low:high]), low, height, out_hw, start, stop))
    return np.concatenate(parts)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)


def refined_rows(
    rgb: NDArray[np.uint8], walked: NDArray[np.float32], plain: NDArray[np.float16] | None
) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows of opinions (M, n, W) whose borders follow the picture: the guided filter, its last step in strips."""
    hw = (rgb.shape[0], rgb.shape[1])
    half = small_hw(hw)
    guide: Guide = guide_of(np.empty((0, 0), np.float32), reduced(rgb, half, _grey))
    lines = []
    method = cv2.INTER_LINEAR if walked.shape[1] < half[0] else cv2.INTER_AREA
    for k, one in enumerate(walked):
        opinion = np.asarray(cv2.resize(one, half[::-1], interpolation=method), np.float32)
        if plain is not None:
            opinion = WALKER_SHARE * opinion + np.float32(1 - WALKER_SHARE) * plain[k].astype(np.float32)
        lines.append(local_lines(opinion, guide))

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        first, last = neighbour_rows(half[0], hw[0], start, stop)
        grey = _grey(rgb[start:stop])
        found = np.empty((len(lines), *grey.shape), np.float32)
        for k, (slope, level) in enumerate(lines):
            np.multiply(linear_rows(slope[first:last], first, half[0], hw, start, stop), grey, out=found[k])
            found[k] += linear_rows(level[first:last], first, half[0], hw, start, stop)
        return found

    return rows_of


def enlarged_rows(hw: tuple[int, int], maps: NDArray[np.float32]) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows (M, n, W) of maps (M, h, w) over the same field of view as a picture of size `hw`."""
    height = maps.shape[1]

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        first, last = neighbour_rows(height, hw[0], start, stop)
        return np.stack([linear_rows(one[first:last], first, height, hw, start, stop) for one in maps])

    return rows_of


def grown_rows(
    rgb: NDArray[np.uint8], walked: NDArray[np.float32], plain: NDArray[np.float16] | None
) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows of opinions (M, n, W) without sharpened borders."""
    enlarged = enlarged_rows((walked.shape[1] * WALKER_STRIDE, walked.shape[2] * WALKER_STRIDE), walked)
    width = rgb.shape[1]

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        found = enlarged(start, stop)[:, :, :width]
        if plain is None:
            return found
        return np.asarray(WALKER_SHARE * found + np.float32(1 - WALKER_SHARE) * plain[:, start:stop], np.float32)

    return rows_of
