"""Stages: everything the head sees of one picture, as feature maps at their own strides."""

from __future__ import annotations

from dataclasses import dataclass

import torch
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
        return sum(one.nbytes for one in self.maps)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Stages:
        """The same stages elsewhere; values are those of float16 whatever the dtype."""
        return Stages(
            self.infos,
            tuple(one.to(device=device, dtype=dtype) for one in self.maps),
            tuple(one.to(device) for one in self.means),
            tuple(one.to(device) for one in self.scales),
            self.hw,
        )


def make_stage(
    group: str, stride: float, feature_map: Tensor, hw: tuple[int, int]
) -> tuple[StageInfo, Tensor, Tensor, Tensor]:
    """Round a map (C, h, w) to float16 and measure its mean and scale over the unpadded part.

    Returns info, map, mean (C,), scale (C,): see Stages.
    """
    rounded = feature_map.to(torch.float16)
    height = min(rounded.shape[1], max(1, -int(-hw[0] // stride)))
    width = min(rounded.shape[2], max(1, -int(-hw[1] // stride)))
    inside = rounded[:, :height, :width].float().flatten(1)
    mean = inside.mean(dim=1)
    deviation = inside.std(dim=1, correction=0)
    scale = torch.where(deviation > 1e-4, 1.0 / (deviation + 1e-6), 0.0) / rounded.shape[0] ** 0.5
    return StageInfo(group, stride, rounded.shape[0]), rounded.contiguous(), mean, scale


def sample_map(feature_map: Tensor, stride: float, rows: Tensor, cols: Tensor) -> Tensor:
    """Bilinear samples (N, C) of a map (C, h, w) at float working positions (N,), clamped at the border."""
    height, width = feature_map.shape[1:]
    y = ((rows + 0.5) / stride - 0.5).clamp(0, height - 1)
    x = ((cols + 0.5) / stride - 0.5).clamp(0, width - 1)
    top, left = y.floor().long(), x.floor().long()
    below, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, across = (y - top).float(), (x - left).float()

    def corner(r: Tensor, c: Tensor) -> Tensor:
        return feature_map[:, r, c].float()

    upper = corner(top, left) * (1 - across) + corner(top, right) * across
    lower = corner(below, left) * (1 - across) + corner(below, right) * across
    return (upper * (1 - down) + lower * down).T


def sample_stages(stages: Stages, rows: Tensor, cols: Tensor) -> Tensor:
    """Standardised features (N, D) float32 at float working positions rows, cols (N,) float64."""
    parts = [
        (sample_map(one, info.stride, rows, cols) - mean) * scale
        for info, one, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True)
    ]
    return torch.cat(parts, dim=1)


def upsample(scores: Tensor, stride: float, hw: tuple[int, int]) -> Tensor:
    """Bilinear upsampling of scores (K, h, w) by `stride`, cropped to the working picture (K, *hw)."""
    if stride == 1:
        return scores[:, : hw[0], : hw[1]]
    grown = F.interpolate(scores[None], scale_factor=stride, mode="bilinear", align_corners=False)[0]
    return grown[:, : hw[0], : hw[1]]


def score_stages(stages: Stages, weights: Tensor, bias: Tensor) -> Tensor:
    """Dense logits (K, H, W) float32: score every stage at its own stride, upsample, add.

    Equal to scoring the hypercolumn, since a 1x1 convolution commutes with bilinear upsampling; maps of one
    stride are added before they are upsampled (FCN skips: Long, Shelhamer, Darrell 2015, arXiv:1411.4038).

    Args:
        weights: (K, D) float32 on standardised features. bias: (K,) float32.
    """
    per_stride: dict[float, Tensor] = {}
    offset = bias.clone()
    start = 0
    for info, one, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        block = weights[:, start : start + info.channels] * scale
        start += info.channels
        offset = offset - block @ mean
        scores = (block @ one.float().flatten(1)).view(-1, *one.shape[1:])
        known = per_stride.get(info.stride)
        per_stride[info.stride] = scores if known is None else _add_overlap(known, scores)
    total = offset.view(-1, 1, 1).expand(-1, *stages.hw)
    for stride, scores in sorted(per_stride.items()):
        total = total + upsample(scores, stride, stages.hw)
    return total


def _add_overlap(first: Tensor, second: Tensor) -> Tensor:
    """Sum of two maps of one stride; both cover the padded picture, one may be a pixel larger."""
    height, width = min(first.shape[1], second.shape[1]), min(first.shape[2], second.shape[2])
    return first[:, :height, :width] + second[:, :height, :width]
