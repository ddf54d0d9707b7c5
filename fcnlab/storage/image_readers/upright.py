"""Turning pixels the way EXIF says they were meant."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATION_TAG = 0x0112
SIDEWAYS = 5
"""Orientations from here on swap height and width."""


def upright(pixels: NDArray[Any], *, orientation: int) -> NDArray[Any]:
    """The upright image.

    Args:
        pixels: (H, W) or (H, W, C), as stored.
        orientation: EXIF tag 0x0112, 1 to 8; 5 to 8 swap height and width.
    """
    views = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels[::-1].swapaxes(0, 1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: pixels[:, ::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(views[orientation])


def valid_orientation(value: object) -> int:
    """The orientation a tag names; 1, upright, when it names none."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
