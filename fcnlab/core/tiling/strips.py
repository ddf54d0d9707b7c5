"""Resizing in strips: some rows of what OpenCV makes of a whole map, without the rest of it in memory."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

AVERAGED_ROWS = 64
"""Rows that `area_rows` makes at once; more only multiply by more zeros."""


def neighbour_rows(height: int, out_height: int, start: int, stop: int) -> tuple[int, int]:
    """Rows of a map of `height` rows that `linear_rows` needs for rows start..stop - 1 of `out_height`."""
    factor = height / out_height
    low, high = ((row + 0.5) * factor - 0.5 for row in (start, stop - 1))
    return int(np.clip(np.floor(low), 0, height - 1)), int(np.clip(np.floor(high), 0, height - 1)) + 2


def linear_rows(
    held_rows: NDArray[np.floating], first: int, height: int, hw: tuple[int, int], start: int, stop: int
) -> NDArray[np.float32]:
    """Rows start..stop - 1 of a map brought to size `hw` by bilinear interpolation.

    Args:
        held_rows: (n, w), rows of the whole map from row `first` on; see `neighbour_rows`.
        height: rows of the whole map.
        hw: size to which the whole map is brought.

    Returns (stop - start, W) float32.
    """
    positions = np.clip((np.arange(start, stop) + 0.5) * (height / hw[0]) - 0.5, 0, height - 1)
    above = np.floor(positions).astype(np.int64)
    low = int(above[0])
    rows = np.asarray(held_rows[low - first : int(above[-1]) + 2 - first], np.float32)
    if rows.shape[1] != hw[1]:
        rows = np.asarray(cv2.resize(rows, (hw[1], len(rows)), interpolation=cv2.INTER_LINEAR), np.float32)
    part = (positions - above).astype(np.float32)[:, None]
    result: NDArray[np.float32] = rows[above - low]
    result += part * (rows[np.minimum(above - low + 1, len(rows) - 1)] - result)
    return result


def covered_rows(height: int, out_height: int, start: int, stop: int) -> tuple[int, int]:
    """Rows of a map of `height` rows that `area_rows` needs for rows start..stop - 1 of `out_height`."""
    factor = height / out_height
    return int(np.floor(start * factor + 1e-9)), min(height, int(np.ceil(stop * factor - 1e-9)))


def area_rows(
    held_rows: NDArray[np.float32], first: int, height: int, hw: tuple[int, int], start: int, stop: int
) -> NDArray[np.float32]:
    """Rows start..stop - 1 of a map made smaller by averaging what each pixel covers.

    Args:
        held_rows: (n, W) or (n, W, C) float32, rows of the whole map from row `first` on; see `covered_rows`.
        height: rows of the whole map.
        hw: size to which the whole map is brought; not larger than the map.

    Returns (stop - start, w) or (stop - start, w, C) float32.
    """
    factor = height / hw[0]
    parts = []
    for begin in range(start, stop, AVERAGED_ROWS):
        end = min(stop, begin + AVERAGED_ROWS)
        low, high = covered_rows(height, hw[0], begin, end)
        rows = np.ascontiguousarray(held_rows[low - first : high - first])
        narrow = np.asarray(cv2.resize(rows, (hw[1], len(rows)), interpolation=cv2.INTER_AREA), np.float32)
        upper = (np.arange(begin, end) * factor)[:, None]
        cells = np.arange(low, high)[None]
        shares = np.clip(np.minimum(upper + factor, cells + 1) - np.maximum(upper, cells), 0, 1) / factor
        parts.append(np.tensordot(shares.astype(np.float32), narrow, axes=1))
    return np.concatenate(parts)
