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

from fcnlab.core.counting.counting import PEAK_THRESHOLD, default_threshold
from fcnlab.core.counting.density import DENSITY_UNIT, sigma_for
from fcnlab.core.counting.instant import CountHead, grid_for, heights_of
from fcnlab.core.counting.looks import calibration_of
from fcnlab.core.counting.objects import Found, labelled_blobs
from fcnlab.core.counting.sizing import UNKNOWN
from fcnlab.core.network_model import NetworkModel, picture_scores, seen_hw, seen_picture
from fcnlab.core.stages import Stages
from fcnlab.counts import Objective


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Maps of one picture, the same whatever is marked in it.

    Attributes:
        class_ids: the background's, then those of the object classes; one per map.
        heights: (K, h, w) float32, about 1 at the centres of objects of that class; the first is not used.
        thresholds: (K,) float32, least height of an object.
        spacing: distance of touching objects, pixels of the map.
        cell: height and width of a pixel of the map, in pixels of the image at full size.
        sums: number of objects by class id, of a counter that adds up a density.
    """

    class_ids: tuple[int, ...]
    heights: NDArray[np.float32]
    thresholds: NDArray[np.float32]
    spacing: float
    cell: tuple[float, float]
    sums: Mapping[int, float] = field(default_factory=dict)


def instant_view(
    stages: Stages, head: CountHead | None, *, class_ids: tuple[int, ...], image_hw: tuple[int, int]
) -> View:
    """What the instant counter sees; nothing without a head, nor of classes it does not know."""
    spacing = UNKNOWN if head is None else head.spacing
    grid = grid_for(spacing)
    heights = np.zeros((len(class_ids), *(-(-side // grid) for side in stages.hw)), np.float32)
    if head is not None:
        for class_id, scored in zip(head.class_ids, heights_of(stages, head), strict=True):
            if class_id in class_ids[1:]:
                heights[class_ids.index(class_id)] = scored
    cell = (grid * image_hw[0] / stages.hw[0], grid * image_hw[1] / stages.hw[1])
    thresholds = np.full(len(class_ids), PEAK_THRESHOLD, np.float32)
    return View(class_ids, heights, thresholds, spacing / grid, cell)


def network_view(model: NetworkModel, rgb: NDArray[np.uint8], *, class_ids: tuple[int, ...], device: str) -> View:
    """What a network that counts sees in a picture (H, W, 3) uint8; of classes it does not know, nothing.

    Raises:
        CheckpointError: the model does not count.
    """
    calibration, image_hw = calibration_of(model), (rgb.shape[0], rgb.shape[1])
    objective = model.training.objective
    hw = seen_hw(image_hw, model.network.spec, model.training)
    scores = picture_scores(model.network, seen_picture(rgb, hw), device=device)
    cell = (image_hw[0] / hw[0], image_hw[1] / hw[1])
    spacing = calibration.spacing / math.sqrt(cell[0] * cell[1])
    usual = default_threshold(objective)
    own = np.array([calibration.thresholds.get(class_id, usual) for class_id in model.class_ids], np.float32)
    sums: dict[int, float] = {}
    if objective is Objective.DENSITY:
        seen = scores * np.float32(2 * math.pi * sigma_for(spacing) ** 2 / DENSITY_UNIT)
        for class_id, one in zip(model.class_ids, scores, strict=True):
            factor = calibration.factors.get(class_id, 1.0)
            sums[class_id] = max(0.0, factor * float(one.sum(dtype=np.float64)) / DENSITY_UNIT)
    else:
        least = [calibration.min_size.get(class_id, 0.0) / (cell[0] * cell[1]) for class_id in model.class_ids]
        found = labelled_blobs(np.asarray(softmax(scores, axis=0), np.float32), own.tolist(), least, spacing)
        seen, own = depths_of(found, len(model.class_ids)), np.full(len(own), PEAK_THRESHOLD, np.float32)
    heights = np.zeros((len(class_ids), *hw), np.float32)
    thresholds = np.full(len(class_ids), usual, np.float32)
    for place, class_id in enumerate(model.class_ids):
        if place and class_id in class_ids[1:]:
            heights[class_ids.index(class_id)] = seen[place]
            thresholds[class_ids.index(class_id)] = own[place]
    return View(class_ids, heights, thresholds, spacing, cell, sums)


def depths_of(found: Found, n_classes: int) -> NDArray[np.float32]:
    """(K, H, W) float32 of blobs: 1 in the middle of each, falling to a half at its border, 0 elsewhere."""
    heights = np.zeros((n_classes, *found.labels.shape), np.float32)
    boxes = find_objects(found.labels, len(found.blobs))
    for number, (blob, box) in enumerate(zip(found.blobs, boxes, strict=True), start=1):
        if box is None:
            continue
        own = (found.labels[box] == number).astype(np.uint8)
        depth = cv2.distanceTransform(np.pad(own, 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        heights[blob.place][box] += np.where(own > 0, 0.5 + 0.5 * depth / depth.max(), 0).astype(np.float32)
    return heights
