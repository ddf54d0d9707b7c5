"""Stages: everything the head sees of one picture, as feature maps at their own strides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, slots=True)
class StageInfo:
    """What one stage is. `stride` is in working pixels; `group` shares one unit of scale with its other stages."""

    group: str
    stride: float
    channels: int


@dataclass(frozen=True, slots=True)
class Stages:
    """The feature maps of one picture.

    Attributes:
        infos: one entry per map.
        maps: (C, h, w) each, float16 or float32, of the padded picture; position p of the working picture lies at
            (p + 0.5) / stride - 0.5 of the map.
        means, scales: (C,) float32 each: a standardised feature is (map - mean) * scale. The scale holds the
            standard deviation over the picture and one over the root of the channels.
        hw: height and width of the working picture.
    """

    infos: tuple[StageInfo, ...]
    maps: tuple[Tensor, ...]
    means: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    hw: tuple[int, int]

    @property
    def width(self) -> int:
        """Number D of features per pixel."""
        return sum(info.channels for info in self.infos)

    def nbytes(self) -> int:
        """Bytes held by the maps."""
        return sum(feature_map.nbytes for feature_map in self.maps)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Stages:
        """The same stages elsewhere; values are those of float16 whatever the dtype."""
        return Stages(
            self.infos,
            tuple(feature_map.to(device=device, dtype=dtype) for feature_map in self.maps),
            tuple(mean.to(device) for mean in self.means),
            tuple(scale.to(device) for scale in self.scales),
            self.hw,
        )


def on_grid(stages: Stages, grid: int) -> Stages:
    """The stages with every finer map averaged onto a grid of that stride; `score_stages` on it says the same, sooner.

    Maps that are as coarse as the grid are shared, and set the type of the others.
    """
    dtype = stages.maps[-1].dtype
    infos, maps = [], []
    for info, feature_map in zip(stages.infos, stages.maps, strict=True):
        is_finer = info.stride < grid and grid % info.stride == 0
        pooled = (
            F.avg_pool2d(feature_map[None].float(), int(grid / info.stride))[0].to(dtype) if is_finer else feature_map
        )
        infos.append(replace(info, stride=float(grid)) if is_finer else info)
        maps.append(pooled)
    return replace(stages, infos=tuple(infos), maps=tuple(maps))


@dataclass(frozen=True, slots=True)
class RawMap:
    """A map (C, h, w) float16 before anything is known of its mean and scale; `weight`: how loud it is beside others.

    Rounded to float16, so that a cache changes nothing.
    """

    info: StageInfo
    weight: float
    map: Tensor


def measure(raw: RawMap, hw: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Mean and scale (C,) each, see Stages, of a map over the part that is no padding of a picture of size `hw`."""
    height, width = cells_inside(hw, raw.info.stride)
    inside = raw.map[:, :height, :width].float().flatten(1)
    mean = inside.mean(dim=1)
    deviation = torch.linalg.vector_norm(inside - mean[:, None], dim=1) / inside.shape[1] ** 0.5
    return mean, scale_of(deviation, raw.weight)


def cells_inside(hw: tuple[int, int], stride: float) -> tuple[int, int]:
    """Rows and columns of a map that hold something of a picture of size `hw`."""
    return max(1, -int(-hw[0] // stride)), max(1, -int(-hw[1] // stride))


def scale_of(deviation: Tensor, weight: float) -> Tensor:
    """The scale (C,) of a stage whose channels deviate so much."""
    scale: Tensor = torch.where(deviation > 1e-4, 1.0 / (deviation + 1e-6), 0.0) * (weight / len(deviation) ** 0.5)
    return scale


def stages_to_tensors(stages: Stages) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(named tensors, plain description), for a cache."""
    tensors: dict[str, Tensor] = {}
    for index, (feature_map, mean, scale) in enumerate(zip(stages.maps, stages.means, stages.scales, strict=True)):
        tensors |= {f"map{index}": feature_map, f"mean{index}": mean, f"scale{index}": scale}
    infos = [[info.group, info.stride, info.channels] for info in stages.infos]
    return tensors, {"infos": infos, "hw": list(stages.hw)}


def stages_from_tensors(tensors: Mapping[str, Tensor], description: Mapping[str, Any]) -> Stages:
    """Inverse of `stages_to_tensors`. Raises KeyError for a missing tensor."""
    infos = tuple(StageInfo(*values) for values in description["infos"])
    height, width = description["hw"]
    parts = [tuple(tensors[f"{kind}{index}"] for index in range(len(infos))) for kind in ("map", "mean", "scale")]
    return Stages(infos, parts[0], parts[1], parts[2], (int(height), int(width)))


def sample_map(feature_map: Tensor, stride: float, rows: Tensor, cols: Tensor) -> Tensor:
    """Bilinear samples (N, C) of a map (C, h, w) at float working positions (N,), clamped at the border."""
    return _read(feature_map, *_corners((feature_map.shape[1], feature_map.shape[2]), stride, rows, cols))


def _corners(hw: tuple[int, int], stride: float, rows: Tensor, cols: Tensor) -> tuple[Tensor, Tensor]:
    """The four cells round each position (4 * N,), as numbers in a map of that size, and their shares (4 * N,)."""
    height, width = hw
    y = ((rows + 0.5) / stride - 0.5).clamp(0, height - 1)
    x = ((cols + 0.5) / stride - 0.5).clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    below, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, across = (y - top).float(), (x - left).float()
    cells = torch.cat([top * width + left, top * width + right, below * width + left, below * width + right])
    shares = torch.cat([(1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across])
    return cells, shares


def _read(feature_map: Tensor, cells: Tensor, shares: Tensor) -> Tensor:
    """Samples (N, C) of a map (C, h, w) at what `_corners` found."""
    corners = feature_map.flatten(1).index_select(1, cells).float() * shares
    total: Tensor = corners.view(len(feature_map), 4, -1).sum(dim=1)
    return total.T


def sample_stages(stages: Stages, rows: Tensor, cols: Tensor) -> Tensor:
    """Standardised features (N, D) float32 at float working positions rows, cols (N,)."""
    corners_of: dict[tuple[float, int, int], tuple[Tensor, Tensor]] = {}
    parts = []
    for info, feature_map, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        height, width = feature_map.shape[1:]
        grid = (info.stride, height, width)
        if grid not in corners_of:
            corners_of[grid] = _corners((height, width), info.stride, rows, cols)
        parts.append((_read(feature_map, *corners_of[grid]) - mean) * scale)
    return torch.cat(parts, dim=1)


def score_stages(
    stages: Stages, weights: NDArray[np.float32], bias: NDArray[np.float32], *, grid: int = 1
) -> NDArray[np.float32]:
    """Dense scores: score every stage at its own stride, bring all to one grid, add.

    Equal to scoring the hypercolumn, since a 1x1 convolution commutes with bilinear upsampling; maps of one
    stride are added before they are upsampled (FCN skips: Long, Shelhamer, Darrell 2015, arXiv:1411.4038).

    Args:
        weights: (K, D) float32 on standardised features. bias: (K,) float32.
        grid: stride of the result in working pixels; finer stages are averaged onto it.

    Returns (K, ceil(H / grid), ceil(W / grid)) float32.
    """
    device = stages.maps[0].device
    matrix = torch.from_numpy(weights).to(device)
    offset = torch.from_numpy(bias).to(device)
    per_stride: dict[float, Tensor] = {}
    start = 0
    for info, feature_map, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        block = matrix[:, start : start + info.channels] * scale
        start += info.channels
        offset = offset - block @ mean
        features, stride = feature_map.float(), info.stride
        if (
            len(block) > info.channels and grid > stride and grid % stride == 0
        ):  # cheaper, and the same: both are linear
            features, stride = F.avg_pool2d(features[None], int(grid / stride))[0], float(grid)
        scores = (block @ features.flatten(1)).view(-1, *features.shape[1:])
        summed = per_stride.get(stride)
        per_stride[stride] = scores if summed is None else summed + scores
    hw = (-(-stages.hw[0] // grid), -(-stages.hw[1] // grid))
    total = np.empty((len(weights), *hw), np.float32)
    total[:] = offset.cpu().numpy()[:, None, None]
    for stride, scores in sorted(per_stride.items()):
        for k, one_class in enumerate(scores.cpu().numpy()):
            total[k] += regridded(one_class, stride / grid)[: hw[0], : hw[1]]
    return total


def regridded(scores: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """A map (h, w) on a grid `factor` times as fine: bilinear upwards, block means downwards."""
    if factor == 1:
        return scores
    size = (round(scores.shape[1] * factor), round(scores.shape[0] * factor))
    method = cv2.INTER_LINEAR if factor > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(scores, size, interpolation=method), np.float32)
