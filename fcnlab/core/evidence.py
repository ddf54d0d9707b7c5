"""What the clicks of one picture say about its other pixels, beside the head.

A similarity to single clicks, and a small head of the picture's own, learned from the walker's first answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.stages import Stages, regridded

LOCAL_RIDGE = 0.01
LOCAL_STRIDES = (4, 8, 16, 32)
LOCAL_CHANNELS = 12
"""Principal components kept of each encoder map."""

SUBSPACE_STEPS = 4
LAB_UNIT = 40.0
FLAT = 1e-3


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
            info.stride, torch.addcmul(-(mean * factor)[:, None, None], one, factor[:, None, None]).cpu()
        )
        for info, one, mean, factor in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True)
        if info.group.partition("/")[0] == scale
    }


def unit_maps(maps: dict[int, EncoderMap], strides: tuple[int, ...]) -> tuple[EncoderMap, ...]:
    """The maps of those strides with unit length per pixel, for `similarity`."""
    chosen = [maps[stride] for stride in strides if stride in maps]
    return tuple(EncoderMap(one.stride, one.map / one.map.norm(dim=0).clamp(min=1e-6)) for one in chosen)


def local_features(maps: dict[int, EncoderMap], small_lab: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """(F, h * w) float32 on a grid of stride `grid`: strongest directions of the encoder maps, colour, and ones.

    Args:
        small_lab: (h, w, 3) CIELAB on the grid.
    """
    height, width = small_lab.shape[:2]
    rows = [small_lab[..., channel] / LAB_UNIT for channel in range(3)]
    for stride in LOCAL_STRIDES:
        if stride in maps:
            strongest = _strongest(maps[stride].map).numpy()
            rows += [regridded(one, maps[stride].stride / grid)[:height, :width] for one in strongest]
    features = np.stack(rows).reshape(len(rows), -1)
    features -= features.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.einsum("fn,fn->f", features, features) / features.shape[1])
    features *= np.where(spread > FLAT, 1 / np.maximum(spread, FLAT), 0)[:, None]
    return np.concatenate([features, np.ones((1, features.shape[1]), np.float32)]).astype(np.float32)


def _strongest(feature_map: Tensor) -> Tensor:
    """A map (C, h, w) along its `LOCAL_CHANNELS` strongest directions, by subspace iteration.

    A full eigendecomposition takes ten times as long and separates no picture better.
    """
    flat = feature_map.flatten(1)
    moments = flat @ flat.T
    wave = torch.outer(torch.arange(len(flat)) + 0.5, torch.arange(min(LOCAL_CHANNELS, len(flat))) + 1.0)
    directions = torch.cos(wave * (torch.pi / len(flat)))
    for _ in range(SUBSPACE_STEPS):
        directions, _ = torch.linalg.qr(moments @ directions)
    _, turn = torch.linalg.eigh(directions.T @ moments @ directions)
    strongest: Tensor = (directions @ turn).T @ flat
    return strongest.view(-1, *feature_map.shape[1:])


def local_opinion(features: NDArray[np.float32], walked: NDArray[np.float32]) -> NDArray[np.float32]:
    """What linear regression on the picture's own features makes of the walker's answer.

    Nodes count as much as the walker is sure of them, both signs alike in sum.

    Args:
        features: (F, h * w), see `local_features`. walked: (M, h, w) in -1..1.

    Returns (M, h, w) float32, about -1..1.
    """
    matrix = torch.from_numpy(features)
    result = np.empty_like(walked)
    for k, one in enumerate(walked):
        opinion = one.ravel()
        above, below = np.maximum(opinion, 0), np.maximum(-opinion, 0)
        pull = torch.from_numpy(above / max(float(above.sum()), 1e-6) - below / max(float(below.sum()), 1e-6))
        moments = (matrix * pull.abs()) @ matrix.T
        moments += LOCAL_RIDGE * torch.eye(len(matrix))
        result[k] = (torch.linalg.solve(moments, matrix @ pull) @ matrix).numpy().reshape(one.shape)
    return result


def similarity(
    looks: tuple[EncoderMap, ...],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    belongs: NDArray[np.bool_],
    *,
    grid: int,
    grid_hw: tuple[int, int],
) -> NDArray[np.float32]:
    """How much a node looks like the most similar click of each class: mean cosine over the maps.

    Args:
        looks: see `unit_maps`.
        rows, cols: (N,) clicked working pixels.
        belongs: (K, N), which clicks are of which class; a class without any gets the smallest similarity there is.

    Returns (K, h, w) float32 on a grid of stride `grid` and size `grid_hw`.
    """
    result = np.zeros((len(belongs), *grid_hw), np.float32)
    if not len(rows):
        return result
    for look in looks:
        places = torch.from_numpy(np.stack([rows, cols]) / look.stride).long()
        alike = (look.map[:, places[0], places[1]].T @ look.map.flatten(1)).numpy()
        for k, own in enumerate(belongs):
            best = alike[own].max(axis=0) if own.any() else alike.min(axis=0)
            grown = regridded(best.reshape(look.map.shape[1:]), look.stride / grid)
            result[k] += grown[: grid_hw[0], : grid_hw[1]] / len(looks)
    return result
