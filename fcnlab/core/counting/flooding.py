"""Connected parts and watersheds: what losses and counters both stand on. Pixels touch along their edges only."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed


def components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Numbers (H, W) of the connected parts of a mask, from 1 on, 0 elsewhere; and how many there are."""
    n_labels, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), n_labels - 1


def basins_of(
    heights: NDArray[Any], markers: NDArray[np.int32], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.int32]:
    """The watershed of `heights` (H, W) that floods from `markers`: the marker of every pixel.

    All markers start at once, first those above and to the left: what a connected part becomes does not depend on
    what lies elsewhere, nor on the numbers of the markers.

    Args:
        heights: lowest where a marker belongs, such as a probability negated.
        markers: positive at the seeds, 0 elsewhere.
        mask: stay inside; what no seed reaches there, and everything outside, is 0.
    """
    started = heights.astype(np.float64)
    at = np.nonzero(markers)
    if len(at[0]):
        started[at] = started.min() - np.arange(len(at[0]), 0, -1)
    return np.asarray(watershed(started, markers, mask=mask), np.int32)  # type: ignore[no-untyped-call]


def boundary_of(
    basins: NDArray[np.int32], likely: NDArray[np.floating], kept: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Pixels (H, W) between two basins: of every two neighbours the one that is less likely an object.

    Args:
        likely: (H, W), how likely each pixel belongs to an object.
        kept: pixels that are never boundary; the boundary passes on their other side, or has a gap between two.
    """
    found = np.zeros(basins.shape, bool)
    for first, second in (
        ((slice(-1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(-1)), (slice(None), slice(1, None))),
    ):
        differ = (basins[first] != basins[second]) & (basins[first] > 0) & (basins[second] > 0)
        of_first = likely[first] <= likely[second]
        if kept is not None:
            of_first = (of_first & ~kept[first]) | kept[second]
        found[first] |= differ & of_first
        found[second] |= differ & ~of_first
    return found if kept is None else np.asarray(found & ~kept, np.bool_)
