"""The instant learner: the one path from points to a mask that page, command line and Python API share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.clicks import (
    BORDER_POINTS,
    BORDER_WEIGHT,
    NEIGHBOURS_UP_TO,
    Clicks,
    border_positions,
    join_samples,
    neighbour_positions,
    samples_at,
)
from fcnlab.core.encoder import lab_image
from fcnlab.core.head import Head, Samples, fit_head
from fcnlab.core.refine import Guide, clicked_regions, guided_filter, make_guide, obey_clicks
from fcnlab.core.stages import Stages, regridded, score_stages
from fcnlab.core.walker import WalkerGraph, walk, walker_graph
from fcnlab.domain import LearnerSpec

WALKER_STRIDE = 4
SIMILARITY_STRIDES = (8, 16)
SIMILARITY_WEIGHT = 2.0
EDGE_STRIDES = (4, 8)


@dataclass(frozen=True, slots=True)
class Picture:
    """A working picture made ready: everything a click needs that does not depend on the clicks.

    Attributes:
        lab: (H, W, 3) float32 CIELAB of the working picture.
        guide: for the guided filter.
        stages: float32 on the learner's device.
        graph: for the random walker.
        looks: encoder maps of unit length per pixel and their strides, for similarity.
    """

    lab: NDArray[np.float32]
    guide: Guide
    stages: Stages
    graph: WalkerGraph
    looks: tuple[tuple[float, NDArray[np.float32]], ...]


@dataclass(frozen=True, slots=True)
class Teaching:
    """What one image contributes to a fit: its clicks, their neighbours, its border."""

    clicked: Samples
    neighbours: Samples
    border: Samples


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
    looks = []
    for stride, standard in _encoder_maps(stages, SIMILARITY_STRIDES):
        looks.append((stride, standard / np.maximum(np.linalg.norm(standard, axis=0), 1e-6)))
    height, width = _grid_hw(stages.hw)
    small = cv2.resize(lab, (width, height), interpolation=cv2.INTER_AREA)
    edges = [
        regridded(one, stride / WALKER_STRIDE)[:height, :width]
        for stride, standard in _encoder_maps(stages, EDGE_STRIDES)
        for one in standard
    ]
    return Picture(lab, make_guide(grey), stages, walker_graph(small, np.stack(edges)), tuple(looks))


def teach(picture: Picture, clicks: Clicks, spec: LearnerSpec, *, background: int) -> Teaching:
    """Samples of one image; keep them as long as its clicks stay the same."""
    hw = picture.stages.hw
    rows, cols = clicks.on(hw)
    near_rows, near_cols, near_ids = neighbour_positions(clicks, picture.lab)
    border_rows, border_cols = (
        border_positions(clicks, hw, background) if spec.object_mode and len(clicks) else (rows[:0], cols[:0])
    )
    features = samples_at(
        picture.stages,
        np.concatenate([rows, near_rows, border_rows]),
        np.concatenate([cols, near_cols, border_cols]),
    )
    clicked, near, border = np.split(features, [len(rows), len(rows) + len(near_rows)])
    return Teaching(
        Samples(clicked, clicks.class_ids, np.ones(len(clicked), np.float32)),
        Samples(near, near_ids, np.ones(len(near), np.float32)),
        Samples(
            border,
            np.full(len(border), background, np.int64),
            np.full(len(border), BORDER_WEIGHT / BORDER_POINTS, np.float32),
        ),
    )


def fit(teachings: list[Teaching], spec: LearnerSpec, *, start: Head | None = None) -> Head:
    """Fit the head to the points of all images, given in canonical order of the images.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    parts = [one.clicked for one in teachings]
    if sum(len(one.class_ids) for one in parts) <= NEIGHBOURS_UP_TO:
        parts += [one.neighbours for one in teachings]
    parts += [one.border for one in teachings if len(one.border.class_ids)]
    joined = join_samples(parts)
    return fit_head(joined, class_weight=spec.class_weight, regularisation=spec.regularisation, start=start)


def segment(picture: Picture, head: Head, clicks: Clicks, spec: LearnerSpec, *, background: int) -> Segmentation:
    """Score, add what the clicks of this image say, refine."""
    if len(np.unique(clicks.class_ids)) >= 2:
        opinions = _walked(picture, head, clicks)
    else:
        opinions = _opinions(score_stages(picture.stages, *_margins(head)))
    if spec.refine:
        opinions = guided_filter(opinions, picture.guide)
    elif opinions.shape[1:] != picture.stages.hw:
        opinions = np.stack([_full(one, picture.stages.hw) for one in opinions])
    probabilities = _probabilities(opinions)
    class_map = np.asarray(head.class_ids, np.uint8)[_winner(probabilities)]
    if spec.object_mode:
        class_map = clicked_regions(obey_clicks(class_map, clicks), clicks, background=background)
    return Segmentation(head.class_ids, probabilities, obey_clicks(class_map, clicks))


def full_size(segmentation: Segmentation, image_hw: tuple[int, int], clicks: Clicks) -> NDArray[np.uint8]:
    """Class ids (H, W) uint8 at the size of the image; every clicked pixel has its class."""
    if segmentation.class_map.shape == image_hw:
        return obey_clicks(segmentation.class_map.copy(), clicks)
    own_ids = np.asarray(segmentation.class_ids, np.uint8)
    changed = own_ids[_winner(segmentation.probabilities)] != segmentation.class_map
    class_ids = np.union1d(own_ids, np.unique(segmentation.class_map[changed]))
    best = np.zeros(image_hw, np.float32)
    result = np.full(image_hw, class_ids[0], np.uint8)
    for class_id in class_ids:
        shown = (segmentation.class_map == class_id).astype(np.float32)
        if class_id in segmentation.class_ids:
            own = segmentation.probabilities[segmentation.class_ids.index(int(class_id))]
            shown = np.where(changed, shown, own)
        grown = cv2.resize(shown, image_hw[::-1], interpolation=cv2.INTER_LINEAR)
        result[grown > best] = class_id
        np.maximum(best, grown, out=best)
    return obey_clicks(result, clicks)


def _grid_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """Size of the walker's grid for a working picture."""
    return -(-hw[0] // WALKER_STRIDE), -(-hw[1] // WALKER_STRIDE)


def _encoder_maps(stages: Stages, strides: tuple[int, ...]) -> list[tuple[float, NDArray[np.float32]]]:
    """Standardised encoder maps (C, h, w) of the first scale at those strides of the network, with their stride."""
    scale = next(info.group.partition("/")[0] for info in stages.infos if info.group.startswith("encoder@"))
    wanted = [f"{scale}/{stride}" for stride in strides]
    return [
        (info.stride, ((one - mean[:, None, None]) * factor[:, None, None]).cpu().numpy())
        for info, one, mean, factor in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True)
        if info.group in wanted
    ]


def _margins(head: Head) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of the scores that decide: the difference of two classes, or one score per class."""
    if len(head.class_ids) == 2:
        return head.weights[1:] - head.weights[:1], head.bias[1:] - head.bias[:1]
    return head.weights, head.bias


def _opinions(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores -> opinions in -1..1: of the second class if there is one score, else of every class."""
    if len(scores) == 1:
        return np.tanh(scores / 2)
    return (2 * softmax(scores, axis=0) - 1).astype(np.float32)


def _probabilities(opinions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, H, W) float32 in 0..1 that sum to one."""
    share = np.clip(opinions * 0.5 + 0.5, 0, 1)
    if len(share) == 1:
        return np.concatenate([1 - share, share])
    return share / np.maximum(share.sum(axis=0), 1e-6)


def _winner(probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number (H, W) of the most probable class, the first among equals."""
    if len(probabilities) == 2:
        return (probabilities[1] > probabilities[0]).astype(np.intp)
    return probabilities.argmax(axis=0)


def _full(one: NDArray[np.float32], hw: tuple[int, int]) -> NDArray[np.float32]:
    """A map of the walker's grid at the size of the working picture."""
    return regridded(one, WALKER_STRIDE)[: hw[0], : hw[1]]


def _similarity(picture: Picture, head: Head, clicks: Clicks) -> NDArray[np.float32]:
    """(K, h, w) on the walker's grid: how much a node looks like the most similar click of each class."""
    rows, cols = clicks.pixels_on(picture.stages.hw)
    grid = picture.graph.hw
    result = np.zeros((len(head.class_ids), *grid), np.float32)
    for stride, looks in picture.looks:
        at_clicks = looks[:, (rows / stride).astype(int), (cols / stride).astype(int)]
        alike = (torch.from_numpy(at_clicks).T @ torch.from_numpy(looks).flatten(1)).numpy()
        for k, class_id in enumerate(head.class_ids):
            own = clicks.class_ids == class_id
            best = alike[own].max(axis=0) if own.any() else alike.min(axis=0)
            grown = regridded(best.reshape(looks.shape[1:]), stride / WALKER_STRIDE)
            result[k] += grown[: grid[0], : grid[1]] / len(picture.looks)
    return result


def _walked(picture: Picture, head: Head, clicks: Clicks) -> NDArray[np.float32]:
    """The walker's opinions on its grid, (1, h, w) or (K, h, w)."""
    scores = score_stages(picture.stages, *_margins(head), grid=WALKER_STRIDE)
    alike = SIMILARITY_WEIGHT * _similarity(picture, head, clicks)
    scores += alike[1:] - alike[:1] if len(scores) == 1 else alike
    rows, cols = clicks.pixels_on(picture.stages.hw)
    wanted = np.asarray(head.class_ids[-len(scores) :])[:, None]
    values = np.where(wanted == clicks.class_ids, 1, -1).astype(np.float32)
    return walk(picture.graph, _opinions(2 * scores), rows // WALKER_STRIDE, cols // WALKER_STRIDE, values)
