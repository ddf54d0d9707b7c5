"""Layers that several networks share."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.networks.base import SCRATCH_MEAN, SCRATCH_STD, EncoderParts

MAX_GROUPS = 8
WIDEST = 16
"""A network from scratch doubles its channels with each halving, up to this many times its width."""


class ConvBlock(nn.Sequential):
    """3 x 3 convolution, GroupNorm, ReLU: (B, C, h, w) -> (B, D, h, w)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(nn.Conv2d(channels, out, 3, padding=1, bias=False), group_norm(out), nn.ReLU(inplace=True))


def group_norm(channels: int) -> nn.GroupNorm:
    """GroupNorm over at most MAX_GROUPS equal groups."""
    return nn.GroupNorm(math.gcd(MAX_GROUPS, channels), channels)


class DoublingConvolution(nn.Module):
    """A transposed convolution to twice the size that starts as bilinear interpolation and learns.

    (B, K, h, w) -> (B, K, 2h, 2w), every class from all classes, kernel 4, stride 2, no bias. The border is
    repeated once before, so that at the start all pixels, also those at the border, equal
    F.interpolate(scale_factor=2, mode="bilinear", align_corners=False).

    Reference: Long, Shelhamer, Darrell 2015, arXiv:1411.4038, section 3.3.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.deconvolution = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=3, bias=False)
        self.interpolate()

    @torch.no_grad()
    def interpolate(self) -> None:
        """Forget what was learned: bilinear interpolation of each class by itself."""
        line = torch.tensor([0.25, 0.75, 0.75, 0.25])
        weight = self.deconvolution.weight
        weight.zero_()
        weight.diagonal(dim1=0, dim2=1).copy_((line[:, None] * line)[:, :, None])

    def forward(self, scores: Tensor) -> Tensor:
        """Maps (B, C, 2h, 2w) of maps (B, C, h, w)."""
        doubled: Tensor = self.deconvolution(F.pad(scores, (1, 1, 1, 1), mode="replicate"))
        return doubled


class ScratchEncoder(nn.Module):
    """Two convolutions per stride, max pooling between: the contracting path of U-Net (arXiv:1505.04597).

    (B, 3, H, W) -> list of maps at strides 1, 2, 4, ..., as many as `channels` has entries.
    """

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        before = (3, *channels[:-1])
        self.levels = nn.ModuleList(
            nn.Sequential(ConvBlock(width, out), ConvBlock(out, out))
            for width, out in zip(before, channels, strict=True)
        )

    def forward(self, picture: Tensor) -> list[Tensor]:
        """Maps, fine to coarse."""
        maps: list[Tensor] = []
        for level in self.levels:
            maps.append(level(F.max_pool2d(maps[-1], 2) if maps else picture))
        return maps


def scratch_encoder(width: int, *, deepest: int) -> EncoderParts:
    """An encoder without trained weights, with maps at strides 1 to `deepest`."""
    strides = tuple(2**i for i in range(deepest.bit_length()))
    channels = tuple(width * min(stride, WIDEST) for stride in strides)
    return EncoderParts(ScratchEncoder(channels), strides, channels, SCRATCH_MEAN, SCRATCH_STD)
