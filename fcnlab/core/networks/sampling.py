"""Where pixels lie on maps of other strides: padding, cropping, sampling at points."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Interpolation = Literal["nearest", "bilinear", "bicubic"]

CUBIC = -0.75
"""Slope of the cubic kernel at distance 1, as in torch's bicubic interpolation (Keys 1981)."""


def padded(rgb: Tensor, step: int) -> Tensor:
    """Repeat the last rows and columns of (B, C, H, W) until both sides are multiples of `step`."""
    for axis in (2, 3):
        length = rgb.shape[axis]
        indices = torch.arange(step * ((length + step - 1) // step), device=rgb.device)
        rgb = rgb.index_select(axis, indices.clamp(max=length - 1))  # by index: an exporter sees sides of n x step
    return rgb


def cropped(maps: Tensor, like: Tensor) -> Tensor:
    """The upper left part of (B, K, H, W) that is as high and wide as the picture `like`."""
    above = (like.shape[2] - maps.shape[2], like.shape[3] - maps.shape[3])
    return F.pad(maps, (0, above[1], 0, above[0]))  # less than none: unlike a slice, alike for all sizes to an exporter


def sample_maps(
    maps: Tensor, stride: int, images: Tensor, rows: Tensor, cols: Tensor, mode: Interpolation = "bilinear"
) -> Tensor:
    """Samples (N, C) float32 of maps (B, C, h, w) at float picture positions, clamped at the border.

    Position p of the picture lies at (p + 0.5) / stride - 0.5 of the map, as in `core.encoding.stages`; at whole pixels
    the samples equal those of `upsampled(maps, stride, mode)`. Differentiable in `maps`; quickest when their memory has
    channels last.

    Args:
        images: (N,) int64, index into the batch. rows, cols: (N,) float.
    """
    batch, channels, height, width = maps.shape
    down, down_shares = _taps(rows, stride, height, mode)
    across, across_shares = _taps(cols, stride, width, mode)
    cells = (images[:, None, None] * (height * width) + down[:, :, None] * width + across[:, None, :]).flatten(1)
    shares = (down_shares[:, :, None] * across_shares[:, None, :]).flatten(1)
    by_cell = maps.permute(0, 2, 3, 1).reshape(batch * height * width, channels)  # a view, if channels come last
    corners = by_cell.index_select(0, cells.flatten()).view(*cells.shape, channels).float()
    return (corners * shares[:, :, None]).sum(dim=1)


def upsampled(maps: Tensor, stride: int, mode: Interpolation) -> Tensor:
    """Maps (B, K, h, w) at `stride` times their size, in one step."""
    size = (maps.shape[2] * stride, maps.shape[3] * stride)
    align_corners = None if mode == "nearest" else False
    return F.interpolate(maps, size=size, mode=mode, align_corners=align_corners)


def _taps(positions: Tensor, stride: int, length: int, mode: Interpolation) -> tuple[Tensor, Tensor]:
    """Cells (N, T) int64 of an axis that positions (N,) draw from, and their shares (N, T)."""
    if mode == "nearest":
        cells = ((positions + 0.5) / stride).floor()[:, None]
        return cells.long().clamp(0, length - 1), torch.ones_like(cells)
    cell_position = (positions + 0.5) / stride - 0.5
    first = cell_position.floor()
    t = cell_position - first
    if mode == "bilinear":
        reach, shares = range(2), [1 - t, t]
    else:
        reach, shares = range(-1, 3), [_far(1 + t), _near(t), _near(1 - t), _far(2 - t)]
    cells = first.long()[:, None] + torch.tensor(reach, device=positions.device)
    return cells.clamp(0, length - 1), torch.stack(shares, dim=1)


def _near(distance: Tensor) -> Tensor:
    """The cubic kernel at distances up to 1."""
    return ((CUBIC + 2) * distance - (CUBIC + 3)) * distance**2 + 1


def _far(distance: Tensor) -> Tensor:
    """The cubic kernel at distances 1 to 2."""
    return ((CUBIC * distance - 5 * CUBIC) * distance + 8 * CUBIC) * distance - 4 * CUBIC
