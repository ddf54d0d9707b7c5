"""What every network of the family is: pictures in, a score per class and pixel out."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fcnlab.core.networks.ordinal import output_layer, raw_channels
from fcnlab.core.networks.sampling import sample_maps
from fcnlab.domain.network import NetworkSpec

SCRATCH_MEAN, SCRATCH_STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
"""Normalisation of a network without trained weights: brings RGB in 0..1 to about -2..2."""


@dataclass(frozen=True)
class EncoderParts:
    """An encoder as the networks take it.

    Attributes:
        module: (B, 3, H, W), sides multiples of 32 -> list of maps (B, C, H / stride, W / stride), fine to coarse.
        strides, channels: one entry per map.
        mean, std: what the module wants subtracted from, and divided out of, RGB in 0..1.
    """

    module: nn.Module
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


class PointNetwork(nn.Module):
    """A network that learns from points. Called with pictures (B, 3, H, W), RGB in 0..1, it gives logits (B, K, H, W)
    float; it normalises inside.

    BatchNorm of a trained encoder always stays in eval mode: a few pictures per step are too few for statistics
    that replace those of ImageNet, and points say nothing about them. What starts from random weights uses
    GroupNorm (Wu and He 2018, arXiv:1803.08494), which does not depend on the batch: a processor trains on one to
    four pictures per step.

    Attributes:
        n_raw: channels of the last convolution: one per class, unless the network knows the order of grades.
        output: makes logits of them; see `ordinal`.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, spec: NetworkSpec, *, mean: tuple[float, ...] = SCRATCH_MEAN, std: tuple[float, ...] = SCRATCH_STD
    ) -> None:
        super().__init__()
        self.spec = spec
        self.n_raw = raw_channels(spec)
        self.output = output_layer(spec)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1))

    def logits_at(self, rgb: Tensor, images: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Logits (N, K) at single pixels: what `forward` says there.

        Networks that can, compute only what these pixels need.

        Args:
            rgb: (B, 3, H, W) as for `forward`.
            images: (N,) int64, index into the batch.
            rows, cols: (N,) float, pixels of the picture as the network sees it; between pixels the answer is
                interpolated, each network in its own way.
        """
        logits: Tensor = self(rgb)
        return sample_maps(logits, 1, images, rows, cols)

    def normalised(self, rgb: Tensor) -> Tensor:
        """RGB in 0..1 as the first layer wants it."""
        return (rgb - self.mean) / self.std

    def trained_encoder(self) -> nn.Module | None:
        """The part that came with trained weights; None for a network from scratch."""
        return None

    def encoder_parameters(self) -> list[nn.Parameter]:
        """Parameters of the trained encoder; none for a network from scratch."""
        encoder = self.trained_encoder()
        return [] if encoder is None else list(encoder.parameters())

    def decoder_parameters(self) -> list[nn.Parameter]:
        """All parameters that are not of the trained encoder."""
        of_encoder = {id(parameter) for parameter in self.encoder_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in of_encoder]

    def train(self, mode: bool = True) -> PointNetwork:
        """As in torch, but BatchNorm of the trained encoder stays in eval mode."""
        super().train(mode)
        encoder = self.trained_encoder()
        for layer in () if encoder is None else encoder.modules():
            if isinstance(layer, _BatchNorm):
                layer.eval()
        return self
