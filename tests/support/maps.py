"""Marks and maps for the tests of counting. No map is square."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.marks import MarkedPoints


def marks_of(*points: tuple[float, float, int], is_complete: bool = True) -> MarkedPoints:
    """Marks at (row, col, class)."""
    table = np.array(points, np.float64).reshape(-1, 3)
    rows, cols = table[:, 0].astype(np.float32), table[:, 1].astype(np.float32)
    return MarkedPoints(rows, cols, table[:, 2].astype(np.int64), is_complete)


def discs(hw: tuple[int, int], centres: list[tuple[float, float]], radius: float) -> NDArray[np.bool_]:
    """(H, W): inside one of the discs."""
    rows, cols = np.mgrid[: hw[0], : hw[1]]
    inside = np.zeros(hw, bool)
    for row, col in centres:
        inside |= np.hypot(rows - row, cols - col) <= radius
    return inside
