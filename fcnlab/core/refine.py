"""After the head: the guided filter, object mode, and the law that a click is obeyed."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.clicks import Clicks

RADIUS_PX = 4
SMOOTHNESS = 1e-3


def guided_filter(
    values: NDArray[np.float32],
    guide: NDArray[np.float32],
    *,
    radius_px: int = RADIUS_PX,
    smoothness: float = SMOOTHNESS,
) -> NDArray[np.float32]:
    """Filter maps so that their edges follow those of a grey picture.

    Args:
        values: (K, H, W) float32.
        guide: (H, W) float32 in 0..1.

    Reference: He, Sun, Tang 2013, "Guided Image Filtering".
    """
    size = (2 * radius_px + 1, 2 * radius_px + 1)

    def mean(one: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.boxFilter(one, -1, size, borderType=cv2.BORDER_REFLECT)  # type: ignore[return-value]

    mean_guide = mean(guide)
    variance = mean(guide * guide) - mean_guide * mean_guide
    result = np.empty_like(values)
    for k, one in enumerate(values):
        mean_one = mean(one)
        slope = (mean(guide * one) - mean_guide * mean_one) / (variance + smoothness)
        offset = mean_one - slope * mean_guide
        result[k] = mean(slope) * guide + mean(offset)
    return result


def clicked_regions(class_map: NDArray[np.uint8], clicks: Clicks, *, background: int) -> NDArray[np.uint8]:
    """Keep only regions that hold a click of their class; fill holes in them that nobody clicked.

    Args:
        class_map: (H, W) uint8 class ids of the working picture.
        background: class id of what is not an object.

    Returns a new map; without any foreground click the map is returned as it is.
    """
    rows, cols = clicks.pixels_on(class_map.shape[:2])  # type: ignore[arg-type]
    objects = [int(one) for one in np.unique(clicks.class_ids) if one != background]
    if not objects:
        return class_map
    result = np.full_like(class_map, background)
    for class_id in objects:
        _, labels = cv2.connectedComponents((class_map == class_id).astype(np.uint8), connectivity=4)
        own = clicks.class_ids == class_id
        kept = np.setdiff1d(np.unique(labels[rows[own], cols[own]]), [0])
        region = np.isin(labels, kept)
        result[region] = class_id
        _, outside = cv2.connectedComponents((~region).astype(np.uint8), connectivity=8)
        border = np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]])
        others = clicks.class_ids != class_id
        open_ones = np.union1d(np.unique(border), np.unique(outside[rows[others], cols[others]]))
        result[~region & ~np.isin(outside, open_ones)] = class_id
    return result


def obey_clicks(class_map: NDArray[np.uint8], clicks: Clicks) -> NDArray[np.uint8]:
    """Write each click's class onto its own pixel, in place; the map may have any size."""
    rows, cols = clicks.pixels_on(class_map.shape[:2])  # type: ignore[arg-type]
    class_map[rows, cols] = clicks.class_ids
    return class_map
