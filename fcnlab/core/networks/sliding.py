"""The sliding-window CNN, and the same weights applied to the whole picture at once.

Before fully convolutional networks a pixel was classified by a CNN that looks at the patch around it, once per pixel
(Ciresan, Giusti, Gambardella, Schmidhuber 2012, "Deep Neural Networks Segment Neuronal Membranes in Electron Microscopy
Images", NIPS 25). Neighbouring patches share nearly everything, so nearly all of that work is done again and again.
The fast twin does it once: pooling with stride 1, and every layer after it dilated ("a trous": Giusti et al. 2013,
arXiv:1302.1700; Long, Shelhamer, Darrell 2015, section 3.2). Same weights, same scores.

Neither has GroupNorm: its statistics over a patch differ from those over a picture.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.networks.base import PointNetwork
from fcnlab.domain.network import NetworkSpec

PATCH = 33
"""Height and width, in pixels, of what decides about the pixel in its middle."""

KERNELS = (4, 4, 3, 2)
"""Of the convolutions, with pooling between: 33 - 30 / 15 - 12 / 6 - 4 / 2 - 1. The last sees all that is left."""

PATCHES_AT_ONCE = 512
"""Bounds the memory of one pass."""


class WindowLayer(nn.Conv2d):
    """A valid convolution and ReLU, whose kernel can be spread out: (B, C, h, w) -> (B, D, h - reach, w - reach)."""

    bias: Tensor

    def __init__(self, channels: int, out: int, kernel: int) -> None:
        super().__init__(channels, out, kernel)
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")  # He et al. 2015: no norm keeps the signal alive
        nn.init.zeros_(self.bias)

    def forward(self, maps: Tensor, *, dilation: int = 1) -> Tensor:
        """Maps (B, D, h - reach, w - reach) of maps (B, C, h, w), with kernel weights `dilation` cells apart."""
        return F.relu(F.conv2d(maps, self.weight, self.bias, dilation=dilation))


class SlidingWindow(PointNetwork):
    """One pass of a small CNN per pixel, on the patch around it; beyond the border the picture is repeated. Any H x W.

    Slow on purpose: the baseline that shows what convolution over the whole picture saves.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        channels = (3, spec.width, 2 * spec.width, 4 * spec.width, 4 * spec.width)
        self.layers = nn.ModuleList(
            WindowLayer(width, out, kernel) for (width, out), kernel in zip(pairwise(channels), KERNELS, strict=True)
        )
        self.score = nn.Conv2d(channels[-1], self.n_raw, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1."""
        batch, _, height, width = rgb.shape
        bordered = self._bordered(rgb)
        pixels = torch.arange(batch * height * width, device=rgb.device)
        per_pixel = [
            self._of_patches(bordered, some // (height * width), some % (height * width) // width, some % width)
            for some in torch.split(pixels, PATCHES_AT_ONCE)
        ]
        return torch.cat(per_pixel).view(batch, height, width, -1).permute(0, 3, 1, 2)

    def logits_at(self, rgb: Tensor, images: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Logits (N, K), from the patches around these pixels only; between pixels, those of the nearest."""
        bordered = self._bordered(rgb)
        nearest = (
            positions.round().long().clamp(0, length - 1)
            for positions, length in zip((rows, cols), rgb.shape[2:], strict=True)
        )
        pixels = torch.stack([images, *nearest])
        return torch.cat([self._of_patches(bordered, *some) for some in torch.split(pixels, PATCHES_AT_ONCE, dim=1)])

    def convolved(self, maps: Tensor, *, every_pixel: bool) -> Tensor:
        """All layers on normalised maps (B, 3, h, w).

        Args:
            every_pixel: pool with stride 1 and dilate what follows, for scores (B, K, h - 32, w - 32); else pool with
                stride 2, for scores (B, K, 1, 1) of patches.
        """
        dilation = 1
        for index, layer in enumerate(self.layers):
            if index:
                maps = F.max_pool2d(maps, 2, stride=1 if every_pixel else 2, dilation=dilation)
                dilation *= 2 if every_pixel else 1
            maps = layer(maps, dilation=dilation)
        logits: Tensor = self.output(self.score(maps))
        return logits

    def _bordered(self, rgb: Tensor) -> Tensor:
        """Normalised, with half a patch of repeated pixels all around."""
        return self.normalised(F.pad(rgb, (PATCH // 2,) * 4, mode="replicate"))

    def _of_patches(self, bordered: Tensor, images: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Logits (N, K) of the patches around pixels: images, rows, cols (N,) int64."""
        reach = torch.arange(PATCH, device=bordered.device)
        down, across = rows[:, None, None] + reach[:, None], cols[:, None, None] + reach
        patches = bordered[images[:, None, None], :, down, across].permute(0, 3, 1, 2)
        return self.convolved(patches, every_pixel=False).flatten(1)


class SlidingDense(SlidingWindow):
    """The fast twin: the weights of the sliding window, applied to the whole picture at once. Any H x W."""

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1."""
        return self.convolved(self._bordered(rgb), every_pixel=True)
