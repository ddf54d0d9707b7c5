"""Masks at the size of the image, from what is known at the learner's resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.learner import Segmentation
from fcnlab.core.learner.refine import obey_clicks
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.learner.signed_scores import winning_class
from fcnlab.core.tiling.strips import linear_rows, neighbour_rows

ROWS = 2048
"""Rows of a mask that are made at once."""


def full_size(segmentation: Segmentation, image_hw: tuple[int, int], clicks: Clicks) -> NDArray[np.uint8]:
    """Class ids (H, W) uint8 at the size of the image; every clicked pixel has its class."""
    if segmentation.class_map.shape == image_hw:
        return obey_clicks(segmentation.class_map.copy(), clicks)
    strips = range(0, image_hw[0], ROWS)
    rows = [_full_rows(segmentation, image_hw, start, min(start + ROWS, image_hw[0])) for start in strips]
    return obey_clicks(np.concatenate(rows), clicks)


def _full_rows(segmentation: Segmentation, image_hw: tuple[int, int], start: int, stop: int) -> NDArray[np.uint8]:
    """Rows start..stop - 1 of the class map at the size of the image, before clicks are obeyed."""
    height = segmentation.class_map.shape[0]
    first, last = neighbour_rows(height, image_hw[0], start, stop)
    class_map, probabilities = segmentation.class_map[first:last], segmentation.probabilities[:, first:last]
    own_ids = np.asarray(segmentation.class_ids, np.uint8)
    changed = winning_class(segmentation.class_ids, probabilities) != class_map
    class_ids = np.union1d(own_ids, np.unique(class_map[changed]))
    best = np.zeros((stop - start, image_hw[1]), np.float32)
    result = np.full(best.shape, class_ids[0], np.uint8)
    for class_id in class_ids:
        shown = (class_map == class_id).astype(np.float32)
        if class_id in segmentation.class_ids:
            shown = np.where(changed, shown, probabilities[segmentation.class_ids.index(int(class_id))])
        grown = linear_rows(shown, first, height, image_hw, start, stop)
        result[grown > best] = class_id
        np.maximum(best, grown, out=best)
    return result
