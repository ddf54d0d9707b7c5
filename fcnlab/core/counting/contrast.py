"""What tells things from what is behind them whatever their colours: contrast, turned so that things are bright.

Encoders see dark things on white and bright things on black as different; a counter that was shown one kind should
find the other. What covers the smaller part of a picture is taken for the things in it.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from fcnlab.core.learner.stages import RawMap, StageInfo, Stages, measure

WIDTHS = (1, 2, 4, 8, 16)
"""Widths (sigma), in working pixels, at which a picture is looked at; a stride of half of it is enough."""

WEIGHT = 2.0
"""How loud each of these maps is beside a stage of the encoder."""


def with_contrast(stages: Stages, lightness: NDArray[np.float32]) -> Stages:
    """Stages with maps of contrast behind them, standardised like the others.

    Args:
        lightness: (H, W) of the working picture.
    """
    covered = [round(side * stages.infos[0].stride) for side in stages.maps[0].shape[1:]]
    beyond = [(0, all_ - own) for all_, own in zip(covered, lightness.shape, strict=True)]
    turned = np.pad(things_bright(lightness), beyond, mode="edge")
    raws = [_raw("things", 1, [turned > 0.5, np.sqrt(_depth(turned > 0.5))])]
    for one in WIDTHS:
        stride = max(1, one // 2)
        size = (turned.shape[1] // stride, turned.shape[0] // stride)
        small = turned if stride == 1 else np.asarray(cv2.resize(turned, size, interpolation=cv2.INTER_AREA))
        smooth = cv2.GaussianBlur(small, (0, 0), one / stride, borderType=cv2.BORDER_REFLECT)
        bent = -cv2.Laplacian(smooth, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)
        raws.append(_raw(f"contrast/{one}", stride, [smooth, bent]))
    device = stages.maps[0].device
    measured = [measure(raw, stages.hw) for raw in raws]
    return Stages(
        (*stages.infos, *(raw.info for raw in raws)),
        (*stages.maps, *(raw.map.to(device, stages.maps[0].dtype) for raw in raws)),
        (*stages.means, *(mean.to(device) for mean, _ in measured)),
        (*stages.scales, *(scale.to(device) for _, scale in measured)),
        stages.hw,
    )


def things_bright(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map (H, W) of what is bright if bright pixels are fewer than dark ones, else of what is dark; 0.5 between.

    Bright and dark are told apart by the threshold of Otsu 1979, "A threshold selection method from gray-level
    histograms", and 0.5 lies half way between their means.
    """
    low, high = float(lightness.min()), float(lightness.max())
    if high - low < 1e-3:
        return np.zeros_like(lightness)
    is_light = lightness > threshold_otsu(lightness)  # type: ignore[no-untyped-call]
    middle = (float(lightness[is_light].mean()) + float(lightness[~is_light].mean())) / 2
    distance = lightness - middle if is_light.mean() < 0.5 else middle - lightness
    reach = max(middle - low, high - middle)
    return np.asarray(0.5 + 0.5 * distance / reach, np.float32)


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to what is behind, pixels."""
    padded = np.pad(inside, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def _raw(group: str, stride: int, maps: list[NDArray[np.generic]]) -> RawMap:
    stacked = np.stack([np.asarray(one, np.float32) for one in maps])
    return RawMap(StageInfo(group, float(stride), len(maps)), WEIGHT, torch.from_numpy(stacked).to(torch.float16))
