"""What a counter sees in a picture before anybody marks anything: maps that peak at objects, one per class."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects
from scipy.special import softmax

from fcnlab.core.counting.counting import PEAK_THRESHOLD, calibration_of, default_threshold, network_count
from fcnlab.core.counting.density import DENSITY_UNIT, sigma_for
from fcnlab.core.counting.instant import CountHead, CountPicture, grid_for, heights_of
from fcnlab.core.counting.marks import UNKNOWN, sizes_at, usual_width
from fcnlab.core.counting.objects import Detections, labelled_blobs, local_maxima
from fcnlab.core.training.network_model import NetworkModel, picture_scores, seen_hw, seen_picture
from fcnlab.domain.counting import ImageCount, Objective

HEIGHT_THRESHOLD = 0.4
"""Least height of an object that the instant counter finds."""

MAP_PIXELS = 12_000_000
"""Maps of networks with more are not held at once."""

LARGER = 1.2
"""Objects that stand out at widths so many times those of the marked ones are larger."""

NECK = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class CountMaps:
    """Maps of one picture, the same whatever is marked in it.

    Attributes:
        class_ids: the background's, then those of the object classes; one per map.
        heights: (K, h, w) float32, about 1 at the centres of objects of that class; the first is not used.
        thresholds: (K,) float32, least height of an object.
        spacing: distance of touching objects, pixels of the map.
        cell: height and width of a pixel of the map, in pixels of the image at full size.
        sums: number of objects by class id, of a counter that adds up a density.
        neck: peaks with no deeper dip between them than this part of the lower one are one object; None: all count.
    """

    class_ids: tuple[int, ...]
    heights: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    spacing: float
    cell: tuple[float, float]
    sums: Mapping[int, float] = field(default_factory=dict)
    neck: float | None = None


def instant_count_maps(
    picture: CountPicture, head: CountHead | None, *, class_ids: tuple[int, ...], image_hw: tuple[int, int]
) -> CountMaps:
    """The maps of the instant counter; heights are 0 without a head, and for classes it does not know.

    Where the objects of a picture are larger than those that were marked, each has several peaks: they are joined.
    """
    spacing = UNKNOWN if head is None else head.spacing
    grid, hw = grid_for(spacing), picture.hw
    heights = np.zeros((len(class_ids), *(-(-side // grid) for side in hw)), np.float32)
    if head is not None:
        for class_id, scored in zip(head.class_ids, heights_of(picture.stages, head), strict=True):
            if class_id in class_ids[1:]:
                heights[class_ids.index(class_id)] = scored
    cell = (grid * image_hw[0] / hw[0], grid * image_hw[1] / hw[1])
    thresholds = np.full(len(class_ids), HEIGHT_THRESHOLD, np.float32)
    is_larger = head is not None and _width_of_peaks(picture, heights, grid) > LARGER * head.width
    return CountMaps(class_ids, heights, thresholds, spacing / grid, cell, neck=NECK if is_larger else None)


def _width_of_peaks(picture: CountPicture, heights: NDArray[np.float32], grid: int) -> float:
    """The width at which the objects that the maps show stand out."""
    top = heights[1:].max(axis=0)
    peaks = local_maxima(top, distance=2, threshold=HEIGHT_THRESHOLD, keeps_border=False)
    rows, cols = ((np.asarray(coordinates, np.float64) + 0.5) * grid - 0.5 for coordinates in peaks.T)
    return usual_width([sizes_at(picture.space, rows, cols)])


def network_count_maps(
    model: NetworkModel, rgb: NDArray[np.uint8], *, class_ids: tuple[int, ...], device: str
) -> CountMaps:
    """The maps of a network that counts on a picture (H, W, 3) uint8; heights are 0 for classes it does not know.

    Pictures whose maps would be too large are counted tile by tile, and their objects drawn on a coarser map.

    Raises:
        CheckpointError: the model does not count.
    """
    calibration, image_hw = calibration_of(model), (rgb.shape[0], rgb.shape[1])
    objective = model.training.objective
    hw = seen_hw(image_hw, model.network.spec, model.training)
    if hw[0] * hw[1] > MAP_PIXELS:
        count = network_count(model, rgb, device=device)
        return count_maps_of(count, class_ids=class_ids, image_hw=image_hw, spacing=calibration.spacing)
    scores = picture_scores(model.network, seen_picture(rgb, hw), device=device)
    cell = (image_hw[0] / hw[0], image_hw[1] / hw[1])
    spacing = calibration.spacing / math.sqrt(cell[0] * cell[1])
    usual = default_threshold(objective)
    model_thresholds = np.array(
        [calibration.thresholds.get(class_id, usual) for class_id in model.class_ids], np.float32
    )
    sums: dict[int, float] = {}
    if objective is Objective.DENSITY:
        seen = scores * np.float32(2 * math.pi * sigma_for(spacing) ** 2 / DENSITY_UNIT)
        for class_id, class_scores in zip(model.class_ids, scores, strict=True):
            factor = calibration.factors.get(class_id, 1.0)
            sums[class_id] = max(0.0, factor * float(class_scores.sum(dtype=np.float64)) / DENSITY_UNIT)
    else:
        least = [calibration.min_size.get(class_id, 0.0) / (cell[0] * cell[1]) for class_id in model.class_ids]
        detections = labelled_blobs(
            np.asarray(softmax(scores, axis=0), np.float32), model_thresholds.tolist(), least, spacing
        )
        seen, model_thresholds = (
            depths_of(detections, len(model.class_ids)),
            np.full(len(model_thresholds), PEAK_THRESHOLD, np.float32),
        )
    heights = np.zeros((len(class_ids), *hw), np.float32)
    thresholds = np.full(len(class_ids), usual, np.float32)
    for index, class_id in enumerate(model.class_ids):
        if index and class_id in class_ids[1:]:
            heights[class_ids.index(class_id)] = seen[index]
            thresholds[class_ids.index(class_id)] = model_thresholds[index]
    return CountMaps(class_ids, heights, thresholds, spacing, cell, sums)


def count_maps_of(
    count: ImageCount, *, class_ids: tuple[int, ...], image_hw: tuple[int, int], spacing: float
) -> CountMaps:
    """Maps that have a peak at each object of a count, on a map of at most MAP_PIXELS; their counts are those.

    Args:
        spacing: distance of touching objects, pixels at full size.
    """
    factor = max(1.0, math.sqrt(image_hw[0] * image_hw[1] / MAP_PIXELS))
    hw = (max(1, round(image_hw[0] / factor)), max(1, round(image_hw[1] / factor)))
    cell = (image_hw[0] / hw[0], image_hw[1] / hw[1])
    sigma = sigma_for(spacing / factor)
    heights = np.zeros((len(class_ids), *hw), np.float32)
    reach = math.ceil(3 * sigma)
    for detection in count.objects:
        if detection.class_id not in class_ids[1:]:
            continue
        row, col = (detection.row + 0.5) / cell[0] - 0.5, (detection.col + 0.5) / cell[1] - 0.5
        rows = np.arange(max(0, round(row) - reach), min(hw[0], round(row) + reach + 1))
        cols = np.arange(max(0, round(col) - reach), min(hw[1], round(col) + reach + 1))
        bump = np.exp(-((rows[:, None] - row) ** 2 + (cols - col) ** 2) / (2 * sigma**2)).astype(np.float32)
        window = heights[class_ids.index(detection.class_id), rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
        np.maximum(window, bump, out=window)
    thresholds = np.full(len(class_ids), HEIGHT_THRESHOLD, np.float32)
    sums = {class_count.class_id: class_count.count for class_count in count.counts}
    return CountMaps(class_ids, heights, thresholds, spacing / factor, cell, sums)


def depths_of(detections: Detections, n_classes: int) -> NDArray[np.float32]:
    """(K, H, W) float32 of blobs: 1 in the middle of each, falling to a half at its border, 0 elsewhere."""
    heights = np.zeros((n_classes, *detections.labels.shape), np.float32)
    boxes = find_objects(detections.labels, len(detections.blobs))
    for label, (blob, box) in enumerate(zip(detections.blobs, boxes, strict=True), start=1):
        if box is None:
            continue
        inside = (detections.labels[box] == label).astype(np.uint8)
        depth = cv2.distanceTransform(np.pad(inside, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        heights[blob.class_index][box] += np.where(inside > 0, 0.5 + 0.5 * depth / depth.max(), 0).astype(np.float32)
    return heights
