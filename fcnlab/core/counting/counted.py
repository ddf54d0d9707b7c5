"""The count of one picture while somebody marks objects in it: every point is obeyed, the others are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.spatial import cKDTree

from fcnlab.core.counting.count_maps import CountMaps
from fcnlab.core.counting.density import sigma_for
from fcnlab.core.counting.marks import MarkedPoints
from fcnlab.core.counting.objects import Blob, Detections, basins_of, class_map_of, joined_at_necks, local_maxima
from fcnlab.core.learner.samples import Clicks
from fcnlab.domain.counting import ClassCount, FoundObject, ImageCount

NEAREST_SHARE = 0.25
"""Two objects that were found are at least this part of the spacing apart."""

MERGED_SHARE = 0.5
"""An object found nearer than this part of the spacing to a marked one is that one."""

CLEARED_SHARE = 0.35
"""No object is found nearer than this part of the spacing to a background point."""

REACH = 0.5
"""An object reaches as far as its map is at least this part of its peak."""


@dataclass(frozen=True, slots=True, eq=False)
class MarkedObjects:
    """Objects of a map in reading order; `is_marked` (N,) says which of them somebody marked."""

    detected: Detections
    is_marked: tuple[bool, ...]


def marked_objects(
    heights: NDArray[np.float32],
    spacing: float,
    thresholds: NDArray[np.float32],
    marks: MarkedPoints,
    *,
    neck: float | None = None,
) -> MarkedObjects:
    """Every marked object, and the peaks of the map that are none of them; the peaks only where not all are marked.

    Args:
        heights: (K, H, W), about 1 at objects of the class of that place; channel 0 is not used.
        spacing: distance of touching objects, pixels of the map.
        thresholds: (K,) least height of a peak.
        marks: in the frame of the map.
        neck: two peaks are one object where the map between them is at least this part of the lower one. None: never.
    """
    relative = heights[1:] / np.asarray(thresholds, np.float32)[1:, None, None]
    top, winner = relative.max(axis=0), relative.argmax(axis=0) + 1
    is_object = marks.classes > 0
    positions = np.column_stack([marks.rows, marks.cols]).astype(np.float64)
    objects, background = positions[is_object], positions[~is_object]
    peaks = np.zeros((0, 2), np.int64)
    if not marks.is_complete:
        peaks = _peaks(top, spacing, objects, background, neck)
    seeds = np.concatenate([_pixels(objects, top.shape), peaks])
    class_indices = np.concatenate([marks.classes[is_object], winner[peaks[:, 0], peaks[:, 1]]])
    lifted = _lifted(top, objects, sigma_for(spacing))
    markers = np.zeros(top.shape, np.int32)
    markers[seeds[::-1, 0], seeds[::-1, 1]] = np.arange(len(seeds), 0, -1)  # of two in one pixel the first has it
    basins = basins_of(-lifted, markers, lifted >= REACH)
    tops = np.concatenate([[np.inf], lifted[seeds[:, 0], seeds[:, 1]]])
    labels = np.where(lifted >= REACH * tops[basins], basins, 0).astype(np.int32)
    struck = np.zeros(len(seeds) + 1, bool)
    struck[labels[tuple(_pixels(background, top.shape).T)]] = True
    kept = [index for index in range(len(seeds)) if index < len(objects) or not struck[index + 1]]
    centres, sizes = _centres(labels, lifted, seeds)
    centres[: len(objects)] = objects
    scores = np.ones(len(seeds))
    height_at_peak = heights[class_indices[len(objects) :], peaks[:, 0], peaks[:, 1]]
    scores[len(objects) :] = np.clip(height_at_peak, 0, 1)
    order = sorted(kept, key=lambda index: (*centres[index].tolist(), int(class_indices[index]), index))
    table = np.zeros(len(seeds) + 1, np.int32)
    table[np.asarray(order, np.int64) + 1] = np.arange(1, len(order) + 1)
    blobs = tuple(
        Blob(
            float(centres[index, 0]),
            float(centres[index, 1]),
            int(class_indices[index]),
            max(1, int(sizes[index])),
            float(scores[index]),
        )
        for index in order
    )
    return MarkedObjects(Detections(blobs, table[labels]), tuple(index < len(objects) for index in order))


def _peaks(
    top: NDArray[np.float32],
    spacing: float,
    objects: NDArray[np.float64],
    background: NDArray[np.float64],
    neck: float | None,
) -> NDArray[np.int64]:
    """Pixels (N, 2) of the peaks that are no marked object and not at a background point."""
    smooth = np.asarray(cv2.GaussianBlur(top, (0, 0), max(0.5, spacing / 10)), np.float32)
    peaks = local_maxima(smooth, distance=max(1, round(spacing * NEAREST_SHARE)), threshold=1.0)
    for others, share in ((objects, MERGED_SHARE), (background, CLEARED_SHARE)):
        if len(others) and len(peaks):
            peaks = peaks[cKDTree(others).query(peaks)[0] > share * spacing]
    return peaks if neck is None or not len(peaks) else _apart(peaks, smooth, _pixels(objects, top.shape), neck)


def _apart(
    peaks: NDArray[np.int64], smooth: NDArray[np.float32], marked: NDArray[np.int64], neck: float
) -> NDArray[np.int64]:
    """The peaks without those that are one object with a higher peak, or with one that is marked."""
    seeds = np.concatenate([marked, peaks])
    markers = np.zeros(smooth.shape, np.int32)
    markers[seeds[::-1, 0], seeds[::-1, 1]] = np.arange(len(seeds), 0, -1)
    tops = np.concatenate([np.full(len(marked), np.inf), smooth[peaks[:, 0], peaks[:, 1]]])
    roots = joined_at_necks(basins_of(-smooth, markers, smooth >= REACH), smooth, tops, neck=neck)
    is_own = roots[len(marked) + 1 :] == np.arange(len(marked) + 1, len(seeds) + 1)
    return np.asarray(peaks[is_own], np.int64)


def _lifted(top: NDArray[np.float32], objects: NDArray[np.float64], sigma: float) -> NDArray[np.float32]:
    """The map with a peak at every marked object, whether it saw it or not."""
    lifted, reach = top.copy(), int(np.ceil(2 * sigma))
    for (row, col), (top_row, left) in zip(objects, _pixels(objects, top.shape), strict=True):
        rows = np.arange(max(0, top_row - reach), min(top.shape[0], top_row + reach + 1))
        cols = np.arange(max(0, left - reach), min(top.shape[1], left + reach + 1))
        peak = max(2.0, float(top[top_row, left]) * 1.2)
        bump = peak * np.exp(-((rows[:, None] - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2))
        window = lifted[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        np.maximum(window, bump.astype(np.float32), out=window)
    return lifted


def _centres(
    labels: NDArray[np.int32], heights: NDArray[np.float32], seeds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Weighted centres (N, 2) and pixels (N,) of the labels 1..N; the seed of one without pixels."""
    n_labels = len(seeds)
    rows, cols = np.nonzero(labels)
    indices = labels[rows, cols] - 1
    weight = np.maximum(heights[rows, cols].astype(np.float64), 1e-6)
    total = np.bincount(indices, weight, minlength=n_labels)
    centres = seeds.astype(np.float64)
    seen = total > 0
    for axis, positions in enumerate((rows, cols)):
        sums = np.bincount(indices, weight * positions, minlength=n_labels)
        centres[seen, axis] = sums[seen] / total[seen]
    return centres, np.bincount(indices, minlength=n_labels)


def _pixels(positions: NDArray[np.float64], hw: tuple[int, ...]) -> NDArray[np.int64]:
    """The pixels (N, 2) that hold places (N, 2)."""
    return np.asarray(np.clip(np.floor(positions + 0.5), 0, np.array(hw[:2]) - 1), np.int64).reshape(-1, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The mask, the probabilities and the count that a counter gives a picture.

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


def count_on_maps(count_maps: CountMaps, clicks: Clicks, *, is_complete: bool, out_hw: tuple[int, int]) -> Counted:
    """Mask and count of maps with points obeyed; where all objects are marked, no others are counted.

    Args:
        clicks: of the picture.
        out_hw: size of the class map.
    """
    marks = marks_on(clicks, count_maps, is_complete=is_complete)
    objects = marked_objects(count_maps.heights, count_maps.spacing, count_maps.thresholds, marks, neck=count_maps.neck)
    rows, cols = (
        np.floor((np.arange(out) + 0.5) * (full / out) / cell).astype(int).clip(max=small - 1)
        for out, full, cell, small in zip(
            out_hw, clicks.image_hw, count_maps.cell, count_maps.heights.shape[1:], strict=True
        )
    )
    labels = objects.detected.labels[rows[:, None], cols]
    class_map = class_map_of(Detections(objects.detected.blobs, labels), count_maps.class_ids)
    count = _counts(objects, count_maps, is_complete=is_complete)
    return Counted(count_maps.class_ids, class_map, _probabilities(count_maps, clicks.image_hw, out_hw), count)


def with_intervals(count: ImageCount, spread: Mapping[int, float]) -> ImageCount:
    """The count with an interval for each class whose spread is known; see `Calibration.spread`."""
    return replace(
        count,
        counts=tuple(_with_interval(class_count, spread.get(class_count.class_id)) for class_count in count.counts),
    )


def _with_interval(class_count: ClassCount, spread: float | None) -> ClassCount:
    if spread is None or class_count.is_exact:
        return class_count
    reach = spread * (class_count.count + 1) ** 0.5
    return replace(
        class_count, low=max(float(class_count.marked), class_count.count - reach), high=class_count.count + reach
    )


def marks_on(clicks: Clicks, count_maps: CountMaps, *, is_complete: bool) -> MarkedPoints:
    """The clicks of an image as marks on the maps; clicks of classes they do not name are left out."""
    is_on_maps = np.isin(clicks.class_ids, count_maps.class_ids)
    rows, cols = (
        ((positions[is_on_maps] + 0.5) / cell - 0.5).astype(np.float32)
        for positions, cell in zip((clicks.rows, clicks.cols), count_maps.cell, strict=True)
    )
    class_indices = np.array(
        [count_maps.class_ids.index(int(class_id)) for class_id in clicks.class_ids[is_on_maps]], np.int64
    )
    return MarkedPoints(rows, cols, class_indices, is_complete)


def _probabilities(count_maps: CountMaps, image_hw: tuple[int, int], out_hw: tuple[int, int]) -> NDArray[np.float32]:
    """Heights as probabilities (K, H, W): clipped to 0..1, the background has what is left."""
    small_hw = count_maps.heights.shape[1:]
    covered = [
        max(1, round(out * small * cell / full))
        for out, small, cell, full in zip(out_hw, small_hw, count_maps.cell, image_hw, strict=True)
    ]
    size = (covered[1], covered[0])
    grown = np.stack(
        [
            cv2.resize(height_map, size, interpolation=cv2.INTER_LINEAR)[: out_hw[0], : out_hw[1]]
            for height_map in count_maps.heights
        ]
    )
    np.clip(grown, 0, 1, out=grown)
    grown[0] = 0
    grown /= np.maximum(grown.sum(axis=0), 1)
    grown[0] = 1 - grown[1:].sum(axis=0)
    return grown


def _counts(objects: MarkedObjects, count_maps: CountMaps, *, is_complete: bool) -> ImageCount:
    """Objects in pixels of the image, and their numbers; of a density the sum, if that is more than are marked."""
    down, across = count_maps.cell
    boxes = find_objects(objects.detected.labels, len(objects.detected.blobs))
    detections = tuple(
        FoundObject(
            (blob.row + 0.5) * down - 0.5,
            (blob.col + 0.5) * across - 0.5,
            count_maps.class_ids[blob.class_index],
            blob.size * down * across,
            blob.score,
            None if box is None else _box(box, count_maps.cell),
            is_marked,
        )
        for blob, box, is_marked in zip(objects.detected.blobs, boxes, objects.is_marked, strict=True)
    )
    counts = []
    for class_id in count_maps.class_ids[1:]:
        marked = sum(detection.class_id == class_id and detection.is_marked for detection in detections)
        total = float(sum(detection.class_id == class_id for detection in detections))
        if not is_complete:
            total = max(float(marked), count_maps.sums.get(class_id, total))
        class_count = ClassCount(class_id, total, marked=marked, is_exact=is_complete)
        counts.append(replace(class_count, low=total, high=total) if is_complete else class_count)
    return ImageCount(tuple(counts), detections)


def _box(box: tuple[slice, ...], cell: tuple[float, float]) -> tuple[float, float, float, float]:
    rows, cols = box
    return (
        rows.start * cell[0],
        cols.start * cell[1],
        (rows.stop - rows.start) * cell[0],
        (cols.stop - cols.start) * cell[1],
    )


STRENGTH = 0.75
"""How much of the colour covers the picture where objects are surest."""


def density_picture(rgb: NDArray[np.uint8], likely: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A grey picture under the colours of viridis (van der Walt and Smith 2015): the brighter, the likelier an object.

    Args:
        rgb: (H, W, 3).
        likely: (h, w) over the same field of view, how likely an object is there, 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    size = (rgb.shape[1], rgb.shape[0])
    smooth = cv2.resize(np.clip(likely, 0, 1).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    table = cv2.applyColorMap(np.rint(smooth * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colours = cv2.cvtColor(table, cv2.COLOR_BGR2RGB).astype(np.float32)
    grey = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.float32)
    share = (STRENGTH * np.sqrt(smooth))[..., None]
    return np.rint(grey * (1 - share) + colours * share).astype(np.uint8)
