"""What changed from one map to the next: the rectangle that has to be sent and painted, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.tiling.tiles import Box

NOTHING = Box(0, 0, 0, 0)
"""The rectangle of a change that changed nothing."""


def changed_box(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Box:
    """The smallest box that holds every pixel in which two maps (H, W) differ; all of it if their sizes do."""
    if before.shape != now.shape:
        return Box(0, 0, *now.shape)
    if before is now:
        return NOTHING
    differs = before != now
    rows = np.flatnonzero(differs.any(axis=1))
    if not len(rows):
        return NOTHING
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    cols = np.flatnonzero(differs[top:bottom].any(axis=0))
    return Box(top, int(cols[0]), bottom, int(cols[-1]) + 1)


def joined(boxes: Iterable[Box]) -> Box:
    """The smallest box that holds all of them; NOTHING of none."""
    full = [box for box in boxes if box != NOTHING]
    if not full:
        return NOTHING
    return Box(
        min(box.top for box in full),
        min(box.left for box in full),
        max(box.bottom for box in full),
        max(box.right for box in full),
    )
