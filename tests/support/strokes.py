"""Strokes, as a browser makes them of what is painted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.events import Stroke


def stroke_of(mask: NDArray[np.bool_], class_id: int | None, *, top: int = 0, left: int = 0) -> Stroke:
    """The stroke that paints the pixels of a mask (h, w) bool, at least one, whose corner lies at `top, left`.

    Raises:
        InvalidEvent: nothing is painted, or the mask has more runs than a stroke may have.
    """
    flat = mask.ravel()
    ends = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]])).tolist()
    first = [0] if flat.size and flat[0] else []
    return Stroke(class_id, top, left, mask.shape[0], mask.shape[1], (*first, *runs))
