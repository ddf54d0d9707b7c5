"""The count of one picture while somebody marks objects in it: points are obeyed, the counter finds the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

from fcnlab.core.counting.marks import Marks
from fcnlab.core.counting.obeying import MarkedObjects, marked_objects
from fcnlab.core.counting.objects import Found, class_map_of
from fcnlab.core.counting.views import View
from fcnlab.core.learner.samples import Clicks
from fcnlab.domain.counting import ClassCount, FoundObject, ImageCount


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


def count_view(view: View, clicks: Clicks, *, is_complete: bool, out_hw: tuple[int, int]) -> Counted:
    """Count what a counter sees; points are obeyed, and where all objects are marked they are all there is.

    Args:
        clicks: of the picture.
        out_hw: size of the class map.
    """
    marks = marks_on(clicks, view, is_complete=is_complete)
    objects = marked_objects(view.heights, view.spacing, view.thresholds, marks, neck=view.neck)
    rows, cols = (
        np.floor((np.arange(out) + 0.5) * (full / out) / cell).astype(int).clip(max=small - 1)
        for out, full, cell, small in zip(out_hw, clicks.image_hw, view.cell, view.heights.shape[1:], strict=True)
    )
    labels = objects.found.labels[rows[:, None], cols]
    class_map = class_map_of(Found(objects.found.blobs, labels), view.class_ids)
    count = _counts(objects, view, is_complete=is_complete)
    return Counted(view.class_ids, class_map, _probabilities(view, clicks.image_hw, out_hw), count)


def with_intervals(count: ImageCount, spread: Mapping[int, float]) -> ImageCount:
    """The count with an interval for each class whose spread is known; see `Calibration.spread`."""
    return replace(count, counts=tuple(_with_interval(one, spread.get(one.class_id)) for one in count.counts))


def _with_interval(one: ClassCount, spread: float | None) -> ClassCount:
    if spread is None or one.is_exact:
        return one
    reach = spread * (one.count + 1) ** 0.5
    return replace(one, low=max(float(one.marked), one.count - reach), high=one.count + reach)


def marks_on(clicks: Clicks, view: View, *, is_complete: bool) -> Marks:
    """The clicks of an image as marks on the maps of a view; clicks of classes it does not name are left out."""
    known = np.isin(clicks.class_ids, view.class_ids)
    rows, cols = (
        ((places[known] + 0.5) / cell - 0.5).astype(np.float32)
        for places, cell in zip((clicks.rows, clicks.cols), view.cell, strict=True)
    )
    places = np.array([view.class_ids.index(int(one)) for one in clicks.class_ids[known]], np.int64)
    return Marks(rows, cols, places, is_complete)


def _probabilities(view: View, image_hw: tuple[int, int], out_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Heights as probabilities (K, H, W): clipped to 0..1, the background has what is left."""
    small_hw = view.heights.shape[1:]
    covered = [
        max(1, round(out * small * cell / full))
        for out, small, cell, full in zip(out_hw, small_hw, view.cell, image_hw, strict=True)
    ]
    size = (covered[1], covered[0])
    grown = np.stack(
        [cv2.resize(one, size, interpolation=cv2.INTER_LINEAR)[: out_hw[0], : out_hw[1]] for one in view.heights]
    )
    np.clip(grown, 0, 1, out=grown)
    grown[0] = 0
    grown /= np.maximum(grown.sum(axis=0), 1)
    grown[0] = 1 - grown[1:].sum(axis=0)
    return grown


def _counts(objects: MarkedObjects, view: View, *, is_complete: bool) -> ImageCount:
    """Objects in pixels of the image, and their numbers; of a density the sum, if that is more than are marked."""
    down, across = view.cell
    boxes = find_objects(objects.found.labels, len(objects.found.blobs))
    found = tuple(
        FoundObject(
            (one.row + 0.5) * down - 0.5,
            (one.col + 0.5) * across - 0.5,
            view.class_ids[one.place],
            one.size * down * across,
            one.score,
            None if box is None else _box(box, view.cell),
            is_marked,
        )
        for one, box, is_marked in zip(objects.found.blobs, boxes, objects.is_marked, strict=True)
    )
    counts = []
    for class_id in view.class_ids[1:]:
        marked = sum(one.class_id == class_id and one.is_marked for one in found)
        number = float(sum(one.class_id == class_id for one in found))
        if not is_complete:
            number = max(float(marked), view.sums.get(class_id, number))
        one = ClassCount(class_id, number, marked=marked, is_exact=is_complete)
        counts.append(replace(one, low=number, high=number) if is_complete else one)
    return ImageCount(tuple(counts), found)


def _box(box: tuple[slice, ...], cell: tuple[float, float]) -> tuple[float, float, float, float]:
    rows, cols = box
    return (
        rows.start * cell[0],
        cols.start * cell[1],
        (rows.stop - rows.start) * cell[0],
        (cols.stop - cols.start) * cell[1],
    )
