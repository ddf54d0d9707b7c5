"""What the clicks of one picture say about its other pixels, beside the head.

A similarity to single clicks, and a small head of the picture's own, learned from the walker's first answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.encoding.stages import Stages, regridded

EDGE_STRIDES = (4, 8)
LOCAL_RIDGE = 0.01
LOCAL_STRIDES = (4, 8, 16, 32)
LOCAL_CHANNELS = 12
"""Principal components kept of each encoder map."""

SUBSPACE_STEPS = 4
LAB_UNIT = 40.0
FLAT = 1e-3
BLOCK_NODES = 1 << 20
"""Nodes that are read together when features are kept as float16."""


@dataclass(frozen=True, slots=True)
class EncoderMap:
    """A standardised map (C, h, w) float32 on the CPU; `stride` is in working pixels."""

    stride: float
    map: Tensor


def encoder_maps(stages: Stages) -> dict[int, EncoderMap]:
    """Standardised encoder maps of the first scale, by the network's own stride."""
    scale = next(info.group.partition("/")[0] for info in stages.infos if info.group.startswith("encoder@"))
    return {
        int(info.group.partition("/")[2]): EncoderMap(
            info.stride,
            torch.addcmul(-(mean * factor)[:, None, None], feature_map.float(), factor[:, None, None]).cpu(),
        )
        for info, feature_map, mean, factor in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True)
        if info.group.partition("/")[0] == scale
    }


def edge_features(maps: dict[int, EncoderMap], grid_hw: tuple[int, int], grid: int) -> NDArray[np.float32]:
    """(C, h, w) float32 on a grid of that stride and size: what tells the nodes of the walker apart, beside colour."""
    height, width = grid_hw
    channels = [
        regridded(channel, maps[stride].stride / grid)[:height, :width]
        for stride in EDGE_STRIDES
        if stride in maps
        for channel in maps[stride].map.numpy()
    ]
    return np.stack(channels) if channels else np.zeros((1, height, width), np.float32)


def unit_maps(maps: dict[int, EncoderMap], strides: tuple[int, ...]) -> tuple[EncoderMap, ...]:
    """The maps of those strides with unit length per pixel, for `similarity`."""
    chosen = [maps[stride] for stride in strides if stride in maps]
    return tuple(
        EncoderMap(encoder_map.stride, encoder_map.map / encoder_map.map.norm(dim=0).clamp(min=1e-6))
        for encoder_map in chosen
    )


def local_features(maps: dict[int, EncoderMap], small_lab: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """(F, h * w) float32 on a grid of stride `grid`: strongest directions of the encoder maps, colour, and ones.

    Args:
        small_lab: (h, w, 3) CIELAB on the grid.
    """
    directions = {
        stride: strongest_directions(moments_of(maps[stride].map.flatten(1)))
        for stride in LOCAL_STRIDES
        if stride in maps
    }
    return standard_features(raw_features(maps, directions, small_lab, grid))


def raw_features(
    maps: dict[int, EncoderMap], directions: dict[int, Tensor], small_lab: NDArray[np.float32], grid: int
) -> NDArray[np.float32]:
    """(F, h * w) float32: colour, and the maps along the given directions (C, n) by stride, on the grid."""
    height, width = small_lab.shape[:2]
    rows = [small_lab[..., channel] / LAB_UNIT for channel in range(3)]
    for stride, turn in directions.items():
        encoder_map = maps[stride]
        strongest = (turn.T @ encoder_map.map.flatten(1)).view(-1, *encoder_map.map.shape[1:]).numpy()
        rows += [regridded(channel, encoder_map.stride / grid)[:height, :width] for channel in strongest]
    return np.stack(rows).reshape(len(rows), -1)


def standard_features(features: NDArray[np.floating]) -> NDArray[np.floating]:
    """Features (F, n), changed in place, with mean 0 and spread 1 each, and a row of ones below: (F + 1, n)."""
    result = np.ones((len(features) + 1, features.shape[1]), features.dtype)
    for feature, kept in zip(features, result[:-1], strict=True):
        row = feature.astype(np.float32)
        row -= row.mean()
        spread = float(np.sqrt(row @ row / len(row)))
        kept[:] = row * np.float32(1 / spread if spread > FLAT else 0)
    return result


def moments_of(flat: Tensor) -> Tensor:
    """Second moments (C, C) of features (C, n); those of parts of a map add up."""
    return flat @ flat.T


def strongest_directions(moments: Tensor) -> Tensor:
    """The `LOCAL_CHANNELS` strongest directions (C, n) of features with those moments, by subspace iteration.

    A full eigendecomposition takes ten times as long and separates no picture better.
    """
    wave = torch.outer(torch.arange(len(moments)) + 0.5, torch.arange(min(LOCAL_CHANNELS, len(moments))) + 1.0)
    directions = torch.cos(wave * (torch.pi / len(moments)))
    for _ in range(SUBSPACE_STEPS):
        directions, _ = torch.linalg.qr(moments @ directions)
    _, turn = torch.linalg.eigh(directions.T @ moments @ directions)
    strongest: Tensor = directions @ turn
    return strongest


def local_signed_scores(
    features: NDArray[np.floating], hw: tuple[int, int], walked: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Signed scores of a ridge regression from the picture's own features to the signs of the walker's scores.

    Nodes count as much as the walker is sure of them, both signs alike in sum.

    Args:
        features: (F, h * w) float32 or float16, see `local_features`; hw: h and w.
        walked: (M, h, w) in -1..1, or at every second node of both directions.

    Returns (M, h, w) float32, about -1..1.
    """
    step = -(-hw[0] // walked.shape[1])
    seen = features.reshape(len(features), *hw)[:, ::step, ::step].reshape(len(features), -1) if step > 1 else features
    result = np.empty((len(walked), *hw), np.float32)
    for walked_map, score_map in zip(walked, result, strict=True):
        signs = walked_map.ravel()
        above, below = np.maximum(signs, 0), np.maximum(-signs, 0)
        pull = torch.from_numpy(above / max(float(above.sum()), 1e-6) - below / max(float(below.sum()), 1e-6))
        moments = LOCAL_RIDGE * torch.eye(len(features))
        pulled = torch.zeros(len(features))
        for block in _blocks(seen.shape[1]):
            matrix = torch.from_numpy(seen[:, block]).float()
            moments += (matrix * pull[block].abs()) @ matrix.T
            pulled += matrix @ pull[block]
        weights = torch.linalg.solve(moments, pulled)
        flat = score_map.reshape(-1)
        for block in _blocks(len(flat)):
            flat[block] = (weights @ torch.from_numpy(features[:, block]).float()).numpy()
    return result


def _blocks(count: int) -> list[slice]:
    """Nodes that are read together."""
    return [slice(start, start + BLOCK_NODES) for start in range(0, count, BLOCK_NODES)]


def descriptors_at(
    descriptors: tuple[EncoderMap, ...], rows: NDArray[np.int64], cols: NDArray[np.int64]
) -> tuple[Tensor, ...]:
    """The descriptors (N, C) that each map of `unit_maps` has at clicked working pixels (N,)."""
    clicked = []
    for descriptor in descriptors:
        cells = torch.from_numpy(np.stack([rows, cols]) / descriptor.stride).long()
        clicked.append(descriptor.map[:, cells[0], cells[1]].T)
    return tuple(clicked)


@dataclass(slots=True)
class ClassSimilarity:
    """How much the cells of each map (h * w,) look like the clicks of one class: most and least."""

    places: frozenset[tuple[int, int]]
    most: list[NDArray[np.float32]]
    least: list[NDArray[np.float32]]


def similarity(
    descriptors: tuple[EncoderMap, ...],
    clicked: tuple[Tensor, ...],
    belongs: NDArray[np.bool_],
    *,
    grid: int,
    grid_hw: tuple[int, int],
) -> NDArray[np.float32]:
    """How much a node looks like the most similar click of each class: mean cosine over the maps.

    Args:
        descriptors: see `unit_maps`.
        clicked: see `descriptors_at`.
        belongs: (K, N), which clicks are of which class; a class without any gets the smallest similarity there is.

    Returns (K, h, w) float32 on a grid of stride `grid` and size `grid_hw`.
    """
    classes = [
        _alike(descriptors, tuple(part[torch.from_numpy(of_class)] for part in clicked), frozenset())
        if of_class.any()
        else None
        for of_class in belongs
    ]
    return _mean_similarity(descriptors, classes, grid, grid_hw)


def remembered_similarity(
    remembered: dict[int, ClassSimilarity],
    descriptors: tuple[EncoderMap, ...],
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    belongs: NDArray[np.bool_],
    class_ids: tuple[int, ...],
    *,
    grid: int,
    grid_hw: tuple[int, int],
) -> NDArray[np.float32]:
    """As `similarity`, of clicks at working pixels `places` (rows, cols): only those that are new are compared.

    `remembered` is by class id, of the same picture; it is written to.
    """
    classes: list[ClassSimilarity | None] = []
    for class_id, of_class in zip(class_ids, belongs, strict=True):
        here = frozenset(zip(places[0][of_class].tolist(), places[1][of_class].tolist(), strict=True))
        before = remembered.get(class_id)
        if before is None or not before.places <= here:  # a click was taken back
            before = None
        new = sorted(here if before is None else here - before.places)
        if new:
            rows, cols = np.array(new, np.int64).T
            alike = _alike(descriptors, descriptors_at(descriptors, rows, cols), here)
            if before is not None:
                for ours, theirs in zip(alike.most, before.most, strict=True):
                    np.maximum(ours, theirs, out=ours)
                for ours, theirs in zip(alike.least, before.least, strict=True):
                    np.minimum(ours, theirs, out=ours)
            before = remembered[class_id] = alike
        classes.append(before if here else None)
    return _mean_similarity(descriptors, classes, grid, grid_hw)


def _alike(
    descriptors: tuple[EncoderMap, ...], clicked: tuple[Tensor, ...], places: frozenset[tuple[int, int]]
) -> ClassSimilarity:
    """Of the clicks of one class, whose descriptors are (N, C) for each map."""
    result = ClassSimilarity(places, [], [])
    for descriptor, at_clicks in zip(descriptors, clicked, strict=True):
        # a single row would be multiplied in another order of sums, and say something else in the last bit
        table = torch.cat([at_clicks, at_clicks]) if len(at_clicks) == 1 else at_clicks
        cosines = (table @ descriptor.map.flatten(1)).numpy()
        result.most.append(cosines.max(axis=0))
        result.least.append(cosines.min(axis=0))
    return result


def _mean_similarity(
    descriptors: tuple[EncoderMap, ...],
    classes: list[ClassSimilarity | None],
    grid: int,
    grid_hw: tuple[int, int],
) -> NDArray[np.float32]:
    """The mean over the maps on the grid (K, h, w), see `similarity`; None: a class without clicks."""
    result = np.zeros((len(classes), *grid_hw), np.float32)
    clicked = [alike for alike in classes if alike is not None]
    if not clicked:
        return result
    for number, descriptor in enumerate(descriptors):
        least = np.minimum.reduce([alike.least[number] for alike in clicked])
        for k, alike in enumerate(classes):
            best = least if alike is None else alike.most[number]
            grown = regridded(best.reshape(descriptor.map.shape[1:]), descriptor.stride / grid)
            result[k] += grown[: grid_hw[0], : grid_hw[1]] / len(descriptors)
    return result
