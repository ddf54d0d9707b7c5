"""The instant learner: the one path from points to a mask that page, command line and Python API share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.clicks import (
    NEIGHBOURS_UP_TO,
    Clicks,
    border_samples,
    click_samples,
    join_samples,
    neighbour_samples,
)
from fcnlab.core.encoder import lab_image
from fcnlab.core.head import Head, Samples, fit_head
from fcnlab.core.refine import clicked_regions, guided_filter, obey_clicks
from fcnlab.core.stages import Stages, score_stages
from fcnlab.core.walker import WalkerGraph, walk, walker_graph
from fcnlab.domain import LearnerSpec

SIMILARITY_STRIDES = (8, 16)
SIMILARITY_WEIGHT = 2.0
WALKER_STRIDE = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """A working picture made ready: everything a click needs that does not depend on the clicks.

    Attributes:
        rgb: (H, W, 3) uint8 working picture. lab: (H, W, 3) float32. grey: (H, W) float32 in 0..1.
        stages: float32 on the learner's device.
    """

    rgb: NDArray[np.uint8]
    lab: NDArray[np.float32]
    grey: NDArray[np.float32]
    stages: Stages
    graph: WalkerGraph
    looks: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True, slots=True)
class Teaching:
    """What one image contributes to a fit: its clicks, their neighbours, its border."""

    clicked: Samples
    neighbours: Samples
    border: Samples | None


@dataclass(frozen=True, slots=True)
class Segmentation:
    """probabilities (K, H, W) float32 and class_map (H, W) uint8 of the working picture, after refinement."""

    class_ids: tuple[int, ...]
    probabilities: NDArray[np.float32]
    class_map: NDArray[np.uint8]


def prepare(rgb: NDArray[np.uint8], stages: Stages) -> Picture:
    """Make a picture ready for clicks; `stages` come from the encoder or the cache."""
    stages = stages.to(stages.maps[0].device, torch.float32)
    lab = lab_image(rgb)
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    looks = tuple(_unit_map(stages, stride) for stride in SIMILARITY_STRIDES)
    height, width = -(-rgb.shape[0] // WALKER_STRIDE), -(-rgb.shape[1] // WALKER_STRIDE)
    small = cv2.resize(lab, (width, height), interpolation=cv2.INTER_AREA)
    edges = np.concatenate([_resized(_standard_map(stages, stride), stride, (height, width)) for stride in (4, 8)])
    return Picture(rgb, lab, grey, stages, walker_graph(small, edges), looks)


def teach(picture: Picture, clicks: Clicks, spec: LearnerSpec, *, background: int) -> Teaching:
    """Samples of one image; keep them as long as its clicks stay the same."""
    border = border_samples(picture.stages, clicks, background) if spec.object_mode and len(clicks) else None
    return Teaching(
        click_samples(picture.stages, clicks), neighbour_samples(picture.stages, clicks, picture.lab), border
    )


def fit(teachings: list[Teaching], spec: LearnerSpec, *, start: Head | None = None) -> Head:
    """Fit the head to the points of all images, given in canonical order of the images.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    parts = [one.clicked for one in teachings]
    if sum(len(one.class_ids) for one in parts) <= NEIGHBOURS_UP_TO:
        parts += [one.neighbours for one in teachings]
    parts += [one.border for one in teachings if one.border is not None]
    joined = join_samples(parts)
    return fit_head(joined, class_weight=spec.class_weight, regularisation=spec.regularisation, start=start)


def segment(picture: Picture, head: Head, clicks: Clicks, spec: LearnerSpec, *, background: int) -> Segmentation:
    """Score, add what the clicks of this image say, refine."""
    stages = picture.stages
    device = stages.maps[0].device
    weights, bias = torch.from_numpy(head.weights).to(device), torch.from_numpy(head.bias).to(device)
    with torch.inference_mode():
        logits = score_stages(stages, weights, bias).cpu().numpy()
    if len(np.unique(clicks.class_ids)) >= 2:
        logits = logits + SIMILARITY_WEIGHT * _similarity(picture, head, clicks)
        opinion = _walked(picture, logits, head, clicks)
        probabilities = (opinion + 1) / 2
    else:
        probabilities = softmax(logits, axis=0)
    if spec.refine:
        probabilities = np.clip(guided_filter(probabilities, picture.grey), 0, 1)
    probabilities = probabilities / np.maximum(probabilities.sum(axis=0), 1e-6)
    class_map = np.asarray(head.class_ids, np.uint8)[probabilities.argmax(axis=0)]
    if spec.object_mode:
        class_map = clicked_regions(obey_clicks(class_map, clicks), clicks, background=background)
    return Segmentation(head.class_ids, probabilities, obey_clicks(class_map, clicks))


def full_size(segmentation: Segmentation, image_hw: tuple[int, int], clicks: Clicks) -> NDArray[np.uint8]:
    """Class ids (H, W) uint8 at the size of the image; every clicked pixel has its class."""
    if segmentation.class_map.shape == image_hw:
        return obey_clicks(segmentation.class_map.copy(), clicks)
    shown = np.stack([segmentation.class_map == class_id for class_id in segmentation.class_ids])
    kept = np.where(
        shown == (segmentation.probabilities.argmax(axis=0) == np.arange(len(shown))[:, None, None]),
        segmentation.probabilities,
        shown,
    )
    size = (image_hw[1], image_hw[0])
    grown = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR) for one in kept.astype(np.float32)])
    return obey_clicks(np.asarray(segmentation.class_ids, np.uint8)[grown.argmax(axis=0)], clicks)


def _standard_map(stages: Stages, stride: int) -> NDArray[np.float32]:
    """The standardised scale-1 encoder map of a stride, (C, h, w), on the CPU."""
    for info, one, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        if info.group == f"encoder@1/{stride}":
            standard = (one - mean[:, None, None]) * scale[:, None, None]
            return standard.cpu().numpy()  # type: ignore[no-any-return]
    raise KeyError(f"no encoder stage of stride {stride}")


def _unit_map(stages: Stages, stride: int) -> NDArray[np.float32]:
    """The same with unit length per pixel, for cosine similarity."""
    standard = _standard_map(stages, stride)
    return standard / np.maximum(np.linalg.norm(standard, axis=0), 1e-6)


def _resized(feature_map: NDArray[np.float32], stride: int, hw: tuple[int, int]) -> NDArray[np.float32]:
    """A map brought to the walker's grid."""
    factor = stride / WALKER_STRIDE
    size = (int(feature_map.shape[2] * factor), int(feature_map.shape[1] * factor))
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_LINEAR)[: hw[0], : hw[1]] for one in feature_map])


def _similarity(picture: Picture, head: Head, clicks: Clicks) -> NDArray[np.float32]:
    """(K, H, W): how much a pixel looks like the most similar click of each class."""
    hw = picture.stages.hw
    rows, cols = clicks.pixels_on(hw)
    result = np.zeros((len(head.class_ids), *hw), np.float32)
    for stride, looks in zip(SIMILARITY_STRIDES, picture.looks, strict=True):
        at_clicks = looks[:, rows // stride, cols // stride]
        flat = at_clicks.T @ looks.reshape(len(looks), -1)
        for k, class_id in enumerate(head.class_ids):
            own = clicks.class_ids == class_id
            best = flat[own].max(axis=0) if own.any() else flat.min(axis=0)
            small = best.reshape(looks.shape[1:])
            grown = cv2.resize(
                small, (small.shape[1] * stride, small.shape[0] * stride), interpolation=cv2.INTER_LINEAR
            )
            result[k] += grown[: hw[0], : hw[1]] / len(SIMILARITY_STRIDES)
    return result


def _walked(picture: Picture, logits: NDArray[np.float32], head: Head, clicks: Clicks) -> NDArray[np.float32]:
    """The walker's opinion (K, H, W) in -1..1, upsampled from its grid."""
    hw, grid = picture.stages.hw, picture.graph.hw
    small = np.stack([cv2.resize(one, (grid[1], grid[0]), interpolation=cv2.INTER_AREA) for one in logits])
    prior = 2 * softmax(2 * small, axis=0) - 1
    rows, cols = clicks.pixels_on(hw)
    rows, cols = np.minimum(rows // WALKER_STRIDE, grid[0] - 1), np.minimum(cols // WALKER_STRIDE, grid[1] - 1)
    values = np.where(np.asarray(head.class_ids)[:, None] == clicks.class_ids, 1.0, -1.0).astype(np.float32)
    walked = walk(picture.graph, prior.astype(np.float32), rows * grid[1] + cols, values)
    return np.stack(
        [
            cv2.resize(one, (grid[1] * WALKER_STRIDE, grid[0] * WALKER_STRIDE), interpolation=cv2.INTER_LINEAR)[
                : hw[0], : hw[1]
            ]
            for one in walked
        ]
    )
