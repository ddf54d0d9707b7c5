"""What the clicks of one picture say about its other pixels, beside the head.

A similarity to single clicks, and a small head of the picture's own, learned from the walker's first answer.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.stages import Stages, regridded

LOCAL_RIDGE = 0.01
LOCAL_STRIDES = (4, 8, 16, 32)
LOCAL_CHANNELS = 12
"""Principal components kept of each encoder map."""

LAB_UNIT = 40.0
FLAT = 1e-3


def encoder_maps(stages: Stages, strides: tuple[int, ...]) -> list[tuple[float, NDArray[np.float32]]]:
    """Standardised encoder maps (C, h, w) of the first scale at those strides of the network, with their stride."""
    scale = next(info.group.partition("/")[0] for info in stages.infos if info.group.startswith("encoder@"))
    wanted = [f"{scale}/{stride}" for stride in strides]
    return [
        (info.stride, ((one - mean[:, None, None]) * factor[:, None, None]).cpu().numpy())
        for info, one, mean, factor in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True)
        if info.group in wanted
    ]


def unit_maps(stages: Stages, strides: tuple[int, ...]) -> tuple[tuple[float, NDArray[np.float32]], ...]:
    """The same with unit length per pixel, for `similarity`."""
    return tuple(
        (stride, standard / np.maximum(np.linalg.norm(standard, axis=0), 1e-6))
        for stride, standard in encoder_maps(stages, strides)
    )


def local_features(stages: Stages, small_lab: NDArray[np.float32], grid: int) -> NDArray[np.float32]:
    """(F, h * w) float32 on a grid of stride `grid`: principal components of the encoder maps, colour, and ones.

    Args:
        small_lab: (h, w, 3) CIELAB on the grid.
    """
    height, width = small_lab.shape[:2]
    maps = [small_lab[..., channel] / LAB_UNIT for channel in range(3)]
    for stride, standard in encoder_maps(stages, LOCAL_STRIDES):
        flat = torch.from_numpy(standard).flatten(1)
        _, directions = torch.linalg.eigh(flat @ flat.T)
        strongest = (directions[:, -LOCAL_CHANNELS:].T @ flat).view(-1, *standard.shape[1:]).numpy()
        maps += [regridded(one, stride / grid)[:height, :width] for one in strongest]
    features = np.stack(maps).reshape(len(maps), -1)
    features -= features.mean(axis=1, keepdims=True)
    spread = np.sqrt(np.einsum("fn,fn->f", features, features) / features.shape[1])
    features *= np.where(spread > FLAT, 1 / np.maximum(spread, FLAT), 0)[:, None]
    return np.concatenate([features, np.ones((1, features.shape[1]), np.float32)]).astype(np.float32)


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
    looks: tuple[tuple[float, NDArray[np.float32]], ...],
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
    for stride, unit in looks:
        at_clicks = unit[:, (rows / stride).astype(int), (cols / stride).astype(int)]
        alike = (torch.from_numpy(at_clicks).T @ torch.from_numpy(unit).flatten(1)).numpy()
        for k, own in enumerate(belongs):
            best = alike[own].max(axis=0) if own.any() else alike.min(axis=0)
            grown = regridded(best.reshape(unit.shape[1:]), stride / grid)
            result[k] += grown[: grid_hw[0], : grid_hw[1]] / len(looks)
    return result
