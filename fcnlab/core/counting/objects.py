"""From maps to objects: blobs of a probability, peaks of a density, and the splitting of objects that touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max

from fcnlab.core.counting.density import sigma_for
from fcnlab.core.counting.flooding import basins_of, boundary_of, components
from fcnlab.core.counting.touching import NEAREST_SHARE, split

CENTRE_STEPS = 1024
"""Centres are rounded to this part of a pixel, so that they are the same whatever tile an object was found in."""

PEAK_SHARE = 0.5
"""An object found as a peak reaches as far as its density is at least this part of the peak."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One object on a map.

    Attributes:
        row, col: its centre on the map; pixel centres are whole numbers.
        place: of its class in the list of classes.
        size: pixels of the map.
        score: 0 to 1, how sure the counter is.
        box: top, left, height and width of its pixels, on their edges: a box of the whole map starts at 0, 0. None
            where it was not measured.
    """

    row: float
    col: float
    place: int
    size: int
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
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
) -> Found:
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
    for place in range(1, n_classes):
        parts, n_parts = components(winner == place)
        if spacing is not None and n_parts:
            parts = split(parts, spacing)
            n_parts = int(parts.max())
        found = _measured(parts, n_parts, probabilities[place], place)
        _keep([one for one in found if one[1].size >= smallest[place]], parts, n_parts, labels, blobs)
    return _in_reading_order(blobs, labels)


def labelled_peaks(
    density: NDArray[np.float32], spacing: float, thresholds: Sequence[float], sigma: float | None = None
) -> Found:
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
    for place in range(1, density.shape[0]):
        heights = density[place] / alone
        peaks = peak_local_max(  # type: ignore[no-untyped-call]
            heights,
            min_distance=max(1, round(spacing * NEAREST_SHARE)),
            threshold_abs=thresholds[place],
            exclude_border=False,
        )
        if not len(peaks):
            continue
        markers = np.zeros(heights.shape, np.int32)
        markers[peaks[:, 0], peaks[:, 1]] = np.arange(1, len(peaks) + 1)
        tops = np.concatenate([[np.inf], heights[peaks[:, 0], peaks[:, 1]]])
        basins = basins_of(-heights, markers, heights >= PEAK_SHARE * thresholds[place])
        parts = np.where(heights >= PEAK_SHARE * tops[basins], basins, 0).astype(np.int32)
        found = [
            (number, replace(one, score=float(min(1.0, tops[number]))))
            for number, one in _measured(parts, len(peaks), heights, place)
        ]
        _keep(found, parts, len(peaks), labels, blobs)
    return _in_reading_order(blobs, labels)


def class_map_of(found: Found, class_ids: Sequence[int]) -> NDArray[np.uint8]:
    """Class ids (H, W) of the objects, the background's elsewhere and on a line between neighbouring objects.

    Args:
        class_ids: the class of each place; the first one is the background's.
    """
    places = np.array([0, *(one.place for one in found.blobs)], np.int64)
    line = boundary_of(found.labels, np.zeros(found.labels.shape, np.float32))
    return np.asarray(class_ids, np.uint8)[np.where(line, 0, places[found.labels])]


def _measured(
    parts: NDArray[np.int32], n_parts: int, weights: NDArray[np.float32], place: int
) -> list[tuple[int, Blob]]:
    """(number, blob) of each part that has pixels: centre weighted by `weights`, score their mean."""
    rows, cols = np.nonzero(parts)
    numbers = parts[rows, cols]
    weight = np.maximum(weights[rows, cols].astype(np.float64), 1e-12)
    sizes = np.bincount(numbers, minlength=n_parts + 1)
    total = np.bincount(numbers, weight, minlength=n_parts + 1)
    down = np.bincount(numbers, weight * rows, minlength=n_parts + 1)
    right = np.bincount(numbers, weight * cols, minlength=n_parts + 1)
    boxes = ndimage.find_objects(parts, n_parts)
    return [
        (
            number,
            Blob(
                _rounded(down[number] / total[number]),
                _rounded(right[number] / total[number]),
                place,
                int(sizes[number]),
                float(min(1.0, total[number] / sizes[number])),
                _box_of(boxes[number - 1]),
            ),
        )
        for number in range(1, n_parts + 1)
        if sizes[number]
    ]


def _box_of(slices: tuple[slice, slice]) -> tuple[float, float, float, float]:
    rows, cols = slices
    return float(rows.start), float(cols.start), float(rows.stop - rows.start), float(cols.stop - cols.start)


def _rounded(position: float) -> float:
    return round(float(position) * CENTRE_STEPS) / CENTRE_STEPS


def _keep(
    found: Sequence[tuple[int, Blob]],
    parts: NDArray[np.int32],
    n_parts: int,
    labels: NDArray[np.int32],
    blobs: list[Blob],
) -> None:
    """Append the blobs, and enter them into `labels` with their numbers."""
    table = np.zeros(n_parts + 1, np.int32)
    for number, blob in found:
        blobs.append(blob)
        table[number] = len(blobs)
    new = table[parts]
    labels[new > 0] = new[new > 0]


def _in_reading_order(blobs: Sequence[Blob], labels: NDArray[np.int32]) -> Found:
    order = sorted(range(len(blobs)), key=lambda index: (blobs[index].row, blobs[index].col, blobs[index].place))
    table = np.zeros(len(blobs) + 1, np.int32)
    table[np.asarray(order, np.int64) + 1] = np.arange(1, len(blobs) + 1)
    return Found(tuple(blobs[index] for index in order), table[labels])
