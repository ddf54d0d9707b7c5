"""U-Net (Ronneberger, Fischer, Brox 2015, arXiv:1505.04597) on a trained encoder, or from scratch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.blocks import ConvBlock
from fcnlab.core.networks.sampling import cropped, padded
from fcnlab.domain.network import SCRATCH, NetworkSpec

SCRATCH_DEEPEST = 16
"""Coarsest stride from scratch: four halvings, as in the paper."""


class UNet(PointNetwork):
    """Halves on the way down, doubles on the way up, and joins the maps of equal stride. Any H x W.

    Unlike the paper's, its convolutions pad, so that scores are as high and wide as the picture (there: valid
    convolutions, and mirrored pictures larger than the scores). Where the encoder has no map of a stride, the way up
    goes on without one.
    """

    def __init__(self, spec: NetworkSpec, parts: EncoderParts) -> None:
        super().__init__(spec, mean=parts.mean, std=parts.std)
        self.encoder = parts.module
        self.encoder_strides = parts.strides
        skips = dict(zip(parts.strides, parts.channels, strict=True))
        self.deepest = max(parts.strides)
        finest = spec.width if spec.encoder == SCRATCH else max(1, spec.width // 2)
        steps, channels, stride = {}, skips[self.deepest], self.deepest
        while stride > 1:
            stride //= 2
            steps[str(stride)] = UpStep(channels, skips.get(stride, 0), finest * stride)
            channels = finest * stride
        self.steps = nn.ModuleDict(steps)
        self.score = nn.Conv2d(channels, self.n_raw, 1)

    def trained_encoder(self) -> nn.Module | None:
        """The timm encoder; None from scratch."""
        return None if self.spec.encoder == SCRATCH else self.encoder

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1."""
        maps = self.encoder(self.normalised(padded(rgb, self.deepest)))
        skips = dict(zip(self.encoder_strides, maps, strict=True))
        rising = skips[self.deepest]
        for stride, step in self.steps.items():
            rising = step(rising, skips.get(int(stride)))
        logits: Tensor = self.output(cropped(self.score(rising), rgb))
        return logits


class UpStep(nn.Module):
    """Up-convolution to twice the size, the skip beside it, two convolutions.

    (B, C, h, w) and a skip (B, S, 2h, 2w), or None where S is zero -> (B, D, 2h, 2w).
    """

    def __init__(self, channels: int, skip: int, out: int) -> None:
        super().__init__()
        self.rise = nn.ConvTranspose2d(channels, out, 2, stride=2)
        self.blocks = nn.Sequential(ConvBlock(out + skip, out), ConvBlock(out, out))

    def forward(self, coarse: Tensor, skip: Tensor | None) -> Tensor:
        """Maps (B, D, 2h, 2w) of coarse maps (B, C, h, w) and the skip (B, S, 2h, 2w), if there is one."""
        risen = self.rise(coarse)
        joined: Tensor = self.blocks(risen if skip is None else torch.cat([skip, risen], dim=1))
        return joined
