"""After the head: the guided filter, object mode, and the law that a click is obeyed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.samples import Clicks, Colours

RADIUS_PX = 4
SMOOTHNESS = 1e-3
GUIDE_STEP = 2
"""The filter works on a picture this many times smaller; only its last step is at full size."""

OBEYED_PX = 3
OBEYED_COLOUR = 6.0
"""A click is obeyed this far round, where the picture's CIELAB colour is this near to the click's."""


@dataclass(frozen=True, slots=True)
class Guide:
    """A picture made ready for the guided filter.

    Attributes:
        grey: (H, W) float32 in 0..1.
        small, mean, spread: (h, w) float32 at one `GUIDE_STEP`-th of its size: the picture, its local mean, and its
            local variance plus the smoothness.
    """

    grey: NDArray[np.float32]
    small: NDArray[np.float32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]


def make_guide(grey: NDArray[np.float32]) -> Guide:
    """Everything about a grey picture (H, W) in 0..1 that the guided filter needs."""
    return guide_of(grey, np.asarray(cv2.resize(grey, small_hw(grey.shape)[::-1], interpolation=cv2.INTER_AREA)))


def small_hw(hw: tuple[int, ...]) -> tuple[int, int]:
    """Height and width at which the filter works on a picture of size `hw`."""
    return -(-hw[0] // GUIDE_STEP), -(-hw[1] // GUIDE_STEP)


def guide_of(grey: NDArray[np.float32], small: NDArray[np.floating]) -> Guide:
    """The guide of a grey picture (H, W) that was made smaller already, (h, w)."""
    small = np.asarray(small, np.float32)
    mean, square = _local_mean(small), _local_mean(np.square(small))
    return Guide(grey, small, mean, square - mean * mean + np.float32(SMOOTHNESS))


def guided_filter(values: NDArray[np.float32], guide: Guide) -> NDArray[np.float32]:
    """Filter maps so that their edges follow those of a grey picture, at the size of the picture.

    Args:
        values: (K, h, w) float32 over the same field of view, of any size.

    Returns (K, H, W) float32. Reference: He, Sun 2015, "Fast Guided Filter", arXiv:1505.00996.
    """
    small_size, size = guide.small.shape[::-1], guide.grey.shape[::-1]
    result = np.empty((len(values), *guide.grey.shape), np.float32)
    for k, full in enumerate(values):
        small = full
        if full.shape != guide.small.shape:
            finer = full.shape[0] < guide.small.shape[0]
            method = cv2.INTER_LINEAR if finer else cv2.INTER_AREA
            small = np.asarray(cv2.resize(full, small_size, interpolation=method), np.float32)
        slope, level = local_lines(small, guide)
        cv2.multiply(cv2.resize(slope, size, interpolation=cv2.INTER_LINEAR), guide.grey, dst=result[k])
        result[k] += cv2.resize(level, size, interpolation=cv2.INTER_LINEAR)
    return result


def local_lines(values: NDArray[np.float32], guide: Guide) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Slope and level (h, w) of the line that, near each pixel, tells a map (h, w) from the small grey picture."""
    mean_values = _local_mean(values)
    slope = (_local_mean(guide.small * values) - guide.mean * mean_values) / guide.spread
    level = _local_mean(mean_values - slope * guide.mean)
    return _local_mean(slope), level


def _local_mean(values: NDArray[np.floating]) -> NDArray[np.float32]:
    side = 2 * (RADIUS_PX // GUIDE_STEP) + 1
    return np.asarray(cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


def clicked_regions(class_map: NDArray[np.uint8], clicks: Clicks, *, background: int) -> NDArray[np.uint8]:
    """Keep only regions that hold a click of their class; fill holes in them that nobody clicked.

    Args:
        class_map: (H, W) uint8 class ids of the working picture.
        background: class id of what is not an object.

    Returns a new map; without any foreground click the map is returned as it is.
    """
    rows, cols = clicks.pixels_on((class_map.shape[0], class_map.shape[1]))
    objects = [int(class_id) for class_id in np.unique(clicks.class_ids) if class_id != background]
    if not objects:
        return class_map
    result = np.full_like(class_map, background)
    for class_id in objects:
        of_class = clicks.class_ids == class_id
        n_labels, labels = cv2.connectedComponents((class_map == class_id).astype(np.uint8), connectivity=4)
        is_kept = np.zeros(n_labels, np.uint8)
        is_kept[labels[rows[of_class], cols[of_class]]] = 1
        is_kept[0] = 0
        region = is_kept[labels]
        n_labels, outside = cv2.connectedComponents(1 - region, connectivity=8)
        is_hole = np.ones(n_labels, np.uint8)
        for border in (
            outside[0],
            outside[-1],
            outside[:, 0],
            outside[:, -1],
            outside[rows[~of_class], cols[~of_class]],
        ):
            is_hole[border] = 0
        is_hole[0] = 1  # the region itself
        result[is_hole[outside] == 1] = class_id
    return result


def obey_clicks(class_map: NDArray[np.uint8], clicks: Clicks) -> NDArray[np.uint8]:
    """Write each click's class onto its own pixel, in place; the map may have any size."""
    rows, cols = clicks.pixels_on((class_map.shape[0], class_map.shape[1]))
    class_map[rows, cols] = clicks.class_ids
    return class_map


def obey_nearby(class_map: NDArray[np.uint8], clicks: Clicks, lab: Colours) -> NDArray[np.uint8]:
    """Write each click's class onto its own pixel and what is connected to it, close by and of its colour; in place.

    A pixel within reach of several clicks belongs to the nearest, the lowest class id among equals.

    Args:
        class_map: (H, W) uint8. lab: (H, W, 3) float32 CIELAB of the same picture.
    """
    height, width = class_map.shape
    rows, cols = clicks.pixels_on((height, width))
    reach = np.arange(-OBEYED_PX, OBEYED_PX + 1)
    side, distance = len(reach), reach[:, None] ** 2 + reach**2
    down, across = np.nonzero(distance <= OBEYED_PX**2)
    near_rows, near_cols = rows[:, None] + reach[down], cols[:, None] + reach[across]  # (N, n) of a disc
    inside = (near_rows >= 0) & (near_rows < height) & (near_cols >= 0) & (near_cols < width)
    near_rows, near_cols = np.clip(near_rows, 0, height - 1), np.clip(near_cols, 0, width - 1)
    gap = lab[near_rows, near_cols] - lab[rows, cols][:, None]
    is_alike = inside & (np.einsum("nic,nic->ni", gap, gap) <= OBEYED_COLOUR**2)
    bits = is_alike.astype(np.uint32) << across.astype(np.uint32)
    alike = np.add.reduceat(bits, np.searchsorted(down, np.arange(side)), axis=1)  # a row of pixels is a number
    reached = np.zeros_like(alike)
    reached[:, OBEYED_PX] = 1 << OBEYED_PX
    for _ in range(3 * OBEYED_PX):  # long enough for a path round a corner
        wider = reached | reached << np.uint32(1) | reached >> np.uint32(1)
        wider[:, 1:] |= reached[:, :-1]
        wider[:, :-1] |= reached[:, 1:]
        before, reached = reached, wider & alike
        if np.array_equal(before, reached):
            break
    which = np.nonzero(reached[:, down] >> across.astype(np.uint32) & 1)
    class_ids = clicks.class_ids[which[0]]
    rank = (OBEYED_PX**2 - distance[down, across][which[1]]) * 256 + 255 - class_ids
    order = np.argsort(rank.astype(np.int16), kind="stable")  # the nearest, then the lowest class, is written last
    class_map[near_rows[which][order], near_cols[which][order]] = class_ids[order]
    return obey_clicks(class_map, clicks)
