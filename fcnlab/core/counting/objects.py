"""From maps to objects: connected parts and watersheds, blobs divided at their necks, peaks of a density."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from fcnlab.core.counting.density import sigma_for


def components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Numbers (H, W) of the connected parts of a mask, from 1 on, 0 elsewhere; and how many there are."""
    n_labels, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return np.asarray(labels, np.int32), n_labels - 1


def local_maxima(
    heights: NDArray[np.float32], *, distance: int, threshold: float, keeps_border: bool = True
) -> NDArray[np.int64]:
    """Pixels (N, 2) above a threshold, the highest first, none lower than another within `distance` of it; of equals
    that near the first stays.

    As skimage.feature.peak_local_max, in a tenth of its time: within that distance only equals are left to choose from.

    Args:
        heights: (H, W).
        distance: in rows and in columns, 1 or more.
        keeps_border: else none is within `distance` of the border.
    """
    side = 2 * distance + 1
    is_peak = (heights == cv2.dilate(heights, np.ones((side, side), np.uint8))) & (heights > threshold)
    if heights.size and heights.min() == heights.max():
        is_peak[:] = False
    if not keeps_border:
        inner = np.zeros_like(is_peak)
        inner[distance:-distance, distance:-distance] = True
        is_peak &= inner
    rows, cols = np.nonzero(is_peak)
    is_taken = np.zeros(heights.shape, bool)
    kept = []
    for index in np.argsort(-heights[rows, cols], kind="stable"):
        row, col = int(rows[index]), int(cols[index])
        if not is_taken[row, col]:
            kept.append((row, col))
            near_rows = slice(max(0, row - distance + 1), row + distance)
            is_taken[near_rows, max(0, col - distance + 1) : col + distance] = True
    return np.array(kept, np.int64).reshape(-1, 2)


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
    boundary = np.zeros(basins.shape, bool)
    for first, second in (
        ((slice(-1), slice(None)), (slice(1, None), slice(None))),
        ((slice(None), slice(-1)), (slice(None), slice(1, None))),
    ):
        differ = (basins[first] != basins[second]) & (basins[first] > 0) & (basins[second] > 0)
        of_first = likely[first] <= likely[second]
        if kept is not None:
            of_first = (of_first & ~kept[first]) | kept[second]
        boundary[first] |= differ & of_first
        boundary[second] |= differ & ~of_first
    return boundary if kept is None else np.asarray(boundary & ~kept, np.bool_)


NEAREST_SHARE = 1 / 3
"""Centres of two objects are at least this part of the usual spacing apart."""

NECK = 0.75
"""Two parts of a blob are two objects where the neck between them is narrower than this part of the narrower one."""

ROUND = 1.1
"""A part at most so many times as large as the largest disc in it is one object, whatever its border looks like."""


def split(parts: NDArray[np.int32], spacing: float) -> NDArray[np.int32]:
    """Divide parts that look like several touching objects; numbers from 1 on.

    Centres are peaks of the distance to the border, a third of `spacing` apart at least; a watershed from them divides
    the part. Divisions that are no neck are undone: the widest place between two objects must be narrower than both.

    Args:
        parts: (H, W), numbers of connected parts, 0 elsewhere.
    """
    inside = parts > 0
    padded = np.pad(inside, 1).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)
    wide = _not_round(parts, depth)
    smooth = ndimage.gaussian_filter(depth, max(0.5, spacing / 16)) * wide
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        smooth,
        min_distance=max(1, round(spacing * NEAREST_SHARE)),
        exclude_border=False,
        labels=np.where(wide, parts, 0),
    )
    if not len(peaks):
        return parts
    markers = np.zeros(parts.shape, np.int32)
    markers[peaks[:, 0], peaks[:, 1]] = np.arange(1, len(peaks) + 1)
    basins = _without_wide_necks(basins_of(-smooth, markers, wide), smooth, smooth[peaks[:, 0], peaks[:, 1]])
    return _numbered(np.where(basins > 0, basins + int(parts.max()), parts))


def _not_round(parts: NDArray[np.int32], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of parts that are clearly larger than the largest disc in them: only these can be several objects."""
    sizes = np.bincount(parts.ravel())
    deepest = np.zeros(len(sizes))
    np.maximum.at(deepest, parts[parts > 0], depth[parts > 0])
    is_wide = sizes > ROUND * math.pi * deepest**2
    is_wide[0] = False
    return np.asarray(is_wide[parts], np.bool_)


def _numbered(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same parts with numbers from 1 on, none left out."""
    used = np.bincount(parts.ravel()) > 0
    used[0] = False
    return np.asarray((np.cumsum(used) * used).astype(np.int32)[parts], np.int32)


def _without_wide_necks(
    basins: NDArray[np.int32], depth: NDArray[np.float32], tops: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Join basins where the deepest place between them is not clearly shallower than the shallower of the two."""
    roots = joined_at_necks(basins, depth, tops, neck=NECK)
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int32)[basins]


def joined_at_necks(
    basins: NDArray[np.int32], depth: NDArray[np.float32], tops: NDArray[np.floating], *, neck: float
) -> NDArray[np.int64]:
    """For 0 and each basin the highest of those it is one with: a saddle of `neck` times the lower top joins two.

    Args:
        basins: (H, W), numbers from 1 on.
        depth: (H, W), of the surface they are basins of.
        tops: (N,) of the basins; an infinite one is never joined to another that is infinite.
    """
    pairs, saddles = _saddles(basins, depth)
    root = np.arange(len(tops) + 1)
    top = np.concatenate([[0.0], tops])

    def root_of(basin: int) -> int:
        while root[basin] != basin:
            basin = int(root[basin])
        return basin

    for index in np.argsort(-saddles, kind="stable"):
        first, other = (root_of(int(basin)) for basin in pairs[index])
        if first != other and saddles[index] >= neck * min(top[first], top[other]):
            keep, drop = (first, other) if top[first] >= top[other] else (other, first)
            root[drop] = keep
    return np.array([root_of(basin) for basin in range(len(root))], np.int64)


def _saddles(basins: NDArray[np.int32], depth: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (M, 2) of basins that touch, and the greatest depth at which they do."""
    keys, depths = [], []
    n = int(basins.max()) + 1
    for first, second in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        a, b = basins[first], basins[second]
        touch = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[touch], b[touch]).astype(np.int64), np.maximum(a[touch], b[touch])
        keys.append(low * n + high)
        depths.append(np.minimum(depth[first][touch], depth[second][touch]))
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    deepest = np.zeros(len(unique), np.float32)
    np.maximum.at(deepest, inverse, np.concatenate(depths))
    return np.column_stack([unique // n, unique % n]), deepest


CENTRE_STEPS = 1024
"""Centres are rounded to this part of a pixel, so that they are the same whatever tile an object was found in."""

PEAK_SHARE = 0.5
"""An object found as a peak reaches as far as its density is at least this part of the peak."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One object on a map.

    Attributes:
        row, col: its centre on the map; pixel centres are whole numbers.
        class_index: of its class in the list of classes.
        size: pixels of the map.
        score: 0 to 1, how sure the counter is.
        box: top, left, height and width of its pixels, on their edges: a box of the whole map starts at 0, 0. None
            where it was not measured.
    """

    row: float
    col: float
    class_index: int
    size: int
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """The objects of a map in reading order.

    Attributes:
        labels: (H, W) int32, one more than the index of the object each pixel belongs to; 0 elsewhere.
    """

    blobs: tuple[Blob, ...]
    labels: NDArray[np.int32]


def labelled_blobs(
    probabilities: NDArray[np.float32],
    thresholds: Sequence[float],
    min_size: float | Sequence[float] = 1.0,
    spacing: float | None = None,
) -> Detections:
    """Connected pixels of one class each, where the class is likely enough.

    A pixel belongs to the object class that exceeds its threshold by the largest factor; to none if no class reaches
    it.

    Args:
        probabilities: (K, H, W) float, class 0 is the background.
        thresholds: (K,) per class, above zero; that of the background is not used.
        min_size: pixels of the map, one number or (K,); smaller blobs are no objects.
        spacing: usual distance between neighbours, pixels of the map: blobs that look like several objects are split.
            None: every connected part is one object.
    """
    n_classes = probabilities.shape[0]
    smallest = np.broadcast_to(np.asarray(min_size, np.float64), (n_classes,))
    relative = probabilities[1:] / np.asarray(thresholds, np.float32)[1:, None, None]
    winner = np.where(relative.max(axis=0) >= 1, relative.argmax(axis=0) + 1, 0)
    labels = np.zeros(winner.shape, np.int32)
    blobs: list[Blob] = []
    for class_index in range(1, n_classes):
        parts, n_parts = components(winner == class_index)
        if spacing is not None and n_parts:
            parts = split(parts, spacing)
            n_parts = int(parts.max())
        measured = _measured(parts, n_parts, probabilities[class_index], class_index)
        _keep([pair for pair in measured if pair[1].size >= smallest[class_index]], parts, n_parts, labels, blobs)
    return _in_reading_order(blobs, labels)


def labelled_peaks(
    density: NDArray[np.float32], spacing: float, thresholds: Sequence[float], sigma: float | None = None
) -> Detections:
    """Local maxima of a density; the score of one is its height as a part of the height of one object alone.

    Args:
        density: (K, H, W) objects per pixel (scores of a network divided by DENSITY_UNIT); channel 0 is not used.
        spacing: usual distance between neighbours, pixels of the map.
        thresholds: (K,) least score of a peak.
        sigma: width of an object in the density; None takes `density.sigma_for`.
    """
    width = sigma_for(spacing) if sigma is None else sigma
    alone = 1 / (2 * math.pi * width**2)
    labels = np.zeros(density.shape[1:], np.int32)
    blobs: list[Blob] = []
    for class_index in range(1, density.shape[0]):
        heights = density[class_index] / alone
        distance = max(1, round(spacing * NEAREST_SHARE))
        peaks = local_maxima(heights, distance=distance, threshold=float(thresholds[class_index]))
        if not len(peaks):
            continue
        markers = np.zeros(heights.shape, np.int32)
        markers[peaks[:, 0], peaks[:, 1]] = np.arange(1, len(peaks) + 1)
        tops = np.concatenate([[np.inf], heights[peaks[:, 0], peaks[:, 1]]])
        basins = basins_of(-heights, markers, heights >= PEAK_SHARE * thresholds[class_index])
        parts = np.where(heights >= PEAK_SHARE * tops[basins], basins, 0).astype(np.int32)
        measured = [
            (label, replace(blob, score=float(min(1.0, tops[label]))))
            for label, blob in _measured(parts, len(peaks), heights, class_index)
        ]
        _keep(measured, parts, len(peaks), labels, blobs)
    return _in_reading_order(blobs, labels)


def class_map_of(detections: Detections, class_ids: Sequence[int]) -> NDArray[np.uint8]:
    """Class ids (H, W) of the objects, the background's elsewhere and on a line between neighbouring objects.

    Args:
        class_ids: the class of each place; the first one is the background's.
    """
    class_indices = np.array([0, *(blob.class_index for blob in detections.blobs)], np.int64)
    line = boundary_of(detections.labels, np.zeros(detections.labels.shape, np.float32))
    return np.asarray(class_ids, np.uint8)[np.where(line, 0, class_indices[detections.labels])]


def _measured(
    parts: NDArray[np.int32], n_parts: int, weights: NDArray[np.float32], class_index: int
) -> list[tuple[int, Blob]]:
    """(number, blob) of each part that has pixels: centre weighted by `weights`, score their mean."""
    rows, cols = np.nonzero(parts)
    labels = parts[rows, cols]
    weight = np.maximum(weights[rows, cols].astype(np.float64), 1e-12)
    sizes = np.bincount(labels, minlength=n_parts + 1)
    total = np.bincount(labels, weight, minlength=n_parts + 1)
    down = np.bincount(labels, weight * rows, minlength=n_parts + 1)
    right = np.bincount(labels, weight * cols, minlength=n_parts + 1)
    boxes = ndimage.find_objects(parts, n_parts)
    return [
        (
            label,
            Blob(
                _rounded(down[label] / total[label]),
                _rounded(right[label] / total[label]),
                class_index,
                int(sizes[label]),
                float(min(1.0, total[label] / sizes[label])),
                _box_of(boxes[label - 1]),
            ),
        )
        for label in range(1, n_parts + 1)
        if sizes[label]
    ]


def _box_of(slices: tuple[slice, slice]) -> tuple[float, float, float, float]:
    rows, cols = slices
    return float(rows.start), float(cols.start), float(rows.stop - rows.start), float(cols.stop - cols.start)


def _rounded(position: float) -> float:
    return round(float(position) * CENTRE_STEPS) / CENTRE_STEPS


def _keep(
    measured: Sequence[tuple[int, Blob]],
    parts: NDArray[np.int32],
    n_parts: int,
    labels: NDArray[np.int32],
    blobs: list[Blob],
) -> None:
    """Append the blobs, and enter them into `labels` with their numbers."""
    table = np.zeros(n_parts + 1, np.int32)
    for label, blob in measured:
        blobs.append(blob)
        table[label] = len(blobs)
    new = table[parts]
    labels[new > 0] = new[new > 0]


def _in_reading_order(blobs: Sequence[Blob], labels: NDArray[np.int32]) -> Detections:
    order = sorted(range(len(blobs)), key=lambda index: (blobs[index].row, blobs[index].col, blobs[index].class_index))
    table = np.zeros(len(blobs) + 1, np.int32)
    table[np.asarray(order, np.int64) + 1] = np.arange(1, len(blobs) + 1)
    return Detections(tuple(blobs[index] for index in order), table[labels])
