"""The deconvolution network (Noh, Hong, Han 2015, arXiv:1505.04366), compact."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.networks.blocks import WIDEST, ConvBlock, group_norm
from fcnlab.core.networks.sampling import cropped, padded
from fcnlab.domain.network import NetworkSpec

HALVINGS = 5
MIDDLE = 7
"""Kernel, in cells of stride 32, of the layers that were fully connected in VGG: the whole of a 224-pixel picture."""


class DeconvolutionNetwork(PointNetwork):
    """A convolution network and its mirror image. Any H x W, from scratch.

    The way down keeps which pixel of each 2 x 2 window was the maximum; the way up puts each activation back to that
    pixel (unpooling) and fills what lies between by transposed convolutions. Compact: `width` channels in the first
    layer, two convolutions per stride, one layer of `MIDDLE` x `MIDDLE` in the middle, GroupNorm in place of
    BatchNorm; one pass over the picture in place of an ensemble over object proposals.
    """

    def __init__(self, spec: NetworkSpec) -> None:
        super().__init__(spec)
        channels = [spec.width * min(2**i, WIDEST // 2) for i in range(HALVINGS)]
        before = [3, *channels[:-1]]
        self.down = nn.ModuleList(
            nn.Sequential(ConvBlock(width, out), ConvBlock(out, out))
            for width, out in zip(before, channels, strict=True)
        )
        deepest = channels[-1]
        self.middle = nn.Sequential(
            nn.Conv2d(deepest, deepest, MIDDLE, padding=MIDDLE // 2, bias=False),
            group_norm(deepest),
            nn.ReLU(inplace=True),
            DeconvBlock(deepest, deepest, kernel=MIDDLE),
        )
        after = [channels[0], *channels[:-1]]
        self.up = nn.ModuleList(
            nn.Sequential(DeconvBlock(width, width), DeconvBlock(width, out))
            for width, out in zip(reversed(channels), reversed(after), strict=True)
        )
        self.score = nn.Conv2d(channels[0], self.n_raw, 1)

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1."""
        maps = self.normalised(padded(rgb, 2**HALVINGS))
        all_indices = []
        for level in self.down:
            maps, indices = pooled(level(maps))
            all_indices.append(indices)
        maps = self.middle(maps)
        for level, indices in zip(self.up, reversed(all_indices), strict=True):
            maps = level(unpooled(maps, indices))
        logits: Tensor = self.output(cropped(self.score(maps), rgb))
        return logits


class DeconvBlock(nn.Sequential):
    """Transposed convolution of stride 1, GroupNorm, ReLU: (B, C, h, w) -> (B, D, h, w)."""

    def __init__(self, channels: int, out: int, *, kernel: int = 3) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels, out, kernel, padding=kernel // 2, bias=False),
            group_norm(out),
            nn.ReLU(inplace=True),
        )


def pooled(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Maxima (B, C, h / 2, w / 2) of 2 x 2 windows, and the flat index of each in its map, int64."""
    maxima, indices = F.max_pool2d(maps, 2, return_indices=True)
    return maxima, indices


def unpooled(maxima: Tensor, indices: Tensor) -> Tensor:
    """Activations (B, C, h, w) put back where `pooled` found maxima, zeros elsewhere: (B, C, 2h, 2w)."""
    restored: Tensor = F.max_unpool2d(maxima, indices, (2, 2))
    return restored
