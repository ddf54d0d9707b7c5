"""The count of one picture by the instant counter: objects, their blobs, and how many there are of each class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from fcnlab.core.clicks import Clicks
from fcnlab.core.counting.counting import PEAK_THRESHOLD
from fcnlab.core.counting.instant import CountHead, grid_for, heights_of
from fcnlab.core.counting.marks import Marks
from fcnlab.core.counting.obeying import MarkedObjects, marked_objects
from fcnlab.core.counting.objects import Found, class_map_of
from fcnlab.core.counting.sizing import UNKNOWN
from fcnlab.core.stages import Stages, regridded
from fcnlab.counts import ClassCount, FoundObject, ImageCount


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """What a counter says of a picture.

    Attributes:
        class_ids: the background's, then those of the object classes.
        class_map: (H, W) uint8 of the working picture: class ids in blobs, the background's elsewhere and on a line
            between neighbours.
        probabilities: (K, H, W) float32, how likely each class is; they sum to one.
        count: objects in reading order, in pixels of the image at full size.
    """

    class_ids: tuple[int, ...]
    class_map: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    count: ImageCount


def count_picture(
    stages: Stages, head: CountHead | None, clicks: Clicks, *, class_ids: tuple[int, ...], is_complete: bool
) -> Counted:
    """Count the objects of a working picture; points are obeyed, and all there is where all objects are marked.

    Args:
        head: None finds nothing but what is marked.
        clicks: of the picture.
        class_ids: the background's, then those of the object classes.
    """
    spacing = UNKNOWN if head is None else head.spacing
    grid, hw = grid_for(spacing), stages.hw
    small_hw = (-(-hw[0] // grid), -(-hw[1] // grid))
    heights = np.zeros((len(class_ids), *small_hw), np.float32)
    if head is not None:
        scored = heights_of(stages, head)
        for place, class_id in enumerate(head.class_ids, start=1):
            if class_id in class_ids[1:]:
                heights[class_ids.index(class_id)] = scored[place]
    marks = marks_on(clicks, hw, class_ids, is_complete=is_complete, grid=grid)
    thresholds = np.full(len(class_ids), PEAK_THRESHOLD, np.float32)
    objects = marked_objects(heights, spacing / grid, thresholds, marks)
    labels = np.repeat(np.repeat(objects.found.labels, grid, axis=0), grid, axis=1)[: hw[0], : hw[1]]
    class_map = class_map_of(Found(objects.found.blobs, labels), class_ids)
    count = _counts(objects, clicks, class_ids, grid=grid, working_hw=hw, is_complete=is_complete)
    return Counted(class_ids, class_map, _probabilities(heights, grid, hw), count)


def marks_on(
    clicks: Clicks, hw: tuple[int, int], class_ids: tuple[int, ...], *, is_complete: bool, grid: int = 1
) -> Marks:
    """The clicks of an image as marks on a map of stride `grid` of its working picture of size `hw`."""
    rows, cols = ((place + 0.5) / grid - 0.5 for place in clicks.on(hw))
    known = np.isin(clicks.class_ids, class_ids)
    places = np.array([class_ids.index(int(one)) for one in clicks.class_ids[known]], np.int64)
    return Marks(rows[known].astype(np.float32), cols[known].astype(np.float32), places, is_complete)


def _probabilities(heights: NDArray[np.float32], grid: int, hw: tuple[int, int]) -> NDArray[np.float32]:
    """Heights (K, h, w) as probabilities (K, H, W): clipped to 0..1, the background has what is left."""
    grown = np.stack([regridded(one, grid)[: hw[0], : hw[1]] for one in heights])
    np.clip(grown, 0, 1, out=grown)
    grown[0] = 0
    grown /= np.maximum(grown.sum(axis=0), 1)
    grown[0] = 1 - grown[1:].sum(axis=0)
    return grown


def _counts(
    objects: MarkedObjects,
    clicks: Clicks,
    class_ids: tuple[int, ...],
    *,
    grid: int,
    working_hw: tuple[int, int],
    is_complete: bool,
) -> ImageCount:
    """Objects in pixels of the image, and their numbers."""
    down, across = (full / working for full, working in zip(clicks.image_hw, working_hw, strict=True))
    boxes = [
        None
        if part is None
        else (
            part[0].start * grid * down,
            part[1].start * grid * across,
            (part[0].stop - part[0].start) * grid * down,
            (part[1].stop - part[1].start) * grid * across,
        )
        for part in find_objects(objects.found.labels, len(objects.found.blobs))
    ]
    found = [
        FoundObject(
            (one.row + 0.5) * grid * down - 0.5,
            (one.col + 0.5) * grid * across - 0.5,
            class_ids[one.place],
            one.size * grid**2 * down * across,
            one.score,
            boxes[number],
            objects.is_marked[number],
        )
        for number, one in enumerate(objects.found.blobs)
    ]
    counts = []
    for class_id in class_ids[1:]:
        n_found = sum(one.class_id == class_id for one in found)
        marked = int((clicks.class_ids == class_id).sum())
        count = ClassCount(class_id, float(n_found), marked=marked, is_exact=is_complete)
        counts.append(replace(count, low=float(n_found), high=float(n_found)) if is_complete else count)
    return ImageCount(tuple(counts), tuple(found))
