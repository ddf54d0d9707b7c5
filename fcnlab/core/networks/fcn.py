"""FCN-32s, 16s, 8s, and 2s with a skip at every stage of the encoder (Long, Shelhamer, Darrell 2015, arXiv:1411.4038).

A 1x1 convolution scores each stage at its own stride; the scores are brought to the size of the picture and added,
coarse to fine. Two ways to do so, and both let FCN-16s start as exactly the FCN-32s it grew from, and FCN-8s as the
FCN-16s (docs/adr/0010):

- "nearest", "bilinear", "bicubic": every score map goes to full size in one fixed step, then all are added. This is
  the paper's sum with another interpolation between the skips (there: twice the size, add, and so on), and it is
  linear in the features. So a score at a pixel needs the features at that pixel only: `logits_at`.
- "transposed": a chain of five learned steps, each to twice the size, with a skip between two steps where the network
  has one. All members have the same five steps, so weights carry over. At the start the chain is five bilinear
  doublings, which is close to one bilinear step of 32, not equal.
"""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.blocks import DoublingConvolution
from fcnlab.core.networks.sampling import Interpolation, cropped, padded, sample_maps, upsampled
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.errors import InvalidSetting

COARSEST = 32
FINEST_SCORED = {NetworkName.FCN32S: 32, NetworkName.FCN16S: 16, NetworkName.FCN8S: 8, NetworkName.FCN2S: 2}
"""The last stride at which a network scores."""


class PixelScore(nn.Conv2d):
    """A 1x1 convolution (B, C, h, w) -> (B, K, h, w) that starts by scoring every class zero."""

    bias: Tensor

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__(channels, n_classes, 1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class Fcn(PointNetwork):
    """Scores at the strides of an encoder, added coarse to fine. Any H x W.

    Scores start at zero, as in the paper (section 4.1). Pictures are padded to multiples of 32 by repeating their
    last rows and columns, and the scores cropped, so that all grids line up.

    Attributes:
        strides: those that are scored, coarse to fine.
    """

    def __init__(self, spec: NetworkSpec, parts: EncoderParts) -> None:
        super().__init__(spec, mean=parts.mean, std=parts.std)
        self.parts = parts
        self.encoder = parts.module
        self.strides = scored_strides(spec, parts.strides)
        self.mode: Interpolation | None = None if spec.upsampling == "transposed" else spec.upsampling
        channels = dict(zip(parts.strides, parts.channels, strict=True))
        self.scores = nn.ModuleDict({str(stride): PixelScore(channels[stride], self.n_raw) for stride in self.strides})
        doubled = (COARSEST >> i for i in range(5)) if self.mode is None else ()
        self.doublings = nn.ModuleDict({str(stride): DoublingConvolution(self.n_raw) for stride in doubled})

    @property
    def feature_order(self) -> tuple[tuple[int, int], ...]:
        """(stride, channels) of the stages that are scored, coarse to fine: the order of `features_at`."""
        channels = dict(zip(self.parts.strides, self.parts.channels, strict=True))
        return tuple((stride, channels[stride]) for stride in self.strides)

    def trained_encoder(self) -> nn.Module | None:
        """The timm encoder; None when it started from random weights."""
        return None if self.spec.encoder == SCRATCH else self.encoder

    def stage_maps(self, rgb: Tensor) -> dict[int, Tensor]:
        """Encoder maps (B, C, h, w) of the padded picture by stride, those that are scored only."""
        maps = self.encoder(self.normalised(padded(rgb, COARSEST)))
        by_stride = dict(zip(self.parts.strides, maps, strict=True))
        return {stride: by_stride[stride] for stride in self.strides}

    def forward(self, rgb: Tensor) -> Tensor:
        """Logits (B, K, H, W) of pictures (B, 3, H, W), RGB in 0..1."""
        scores = {stride: self.score(stride)(features) for stride, features in self.stage_maps(rgb).items()}
        total = self._doubled(scores) if self.mode is None else self._in_one_step(scores, self.mode)
        logits: Tensor = self.output(cropped(total, rgb))
        return logits

    def features_at(self, rgb: Tensor, images: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Encoder features (N, D) at pixels: the scored stages side by side, in `feature_order`.

        Sampled as the scores are upsampled; bilinearly when upsampling is learned.
        """
        maps = self.stage_maps(rgb)
        mode = self.mode or "bilinear"
        return torch.cat(
            [sample_maps(features, stride, images, rows, cols, mode) for stride, features in maps.items()], dim=1
        )

    def logits_at(self, rgb: Tensor, images: Tensor, rows: Tensor, cols: Tensor) -> Tensor:
        """Logits (N, K) at pixels; with fixed upsampling no map is ever brought to full size."""
        if self.mode is None:
            return super().logits_at(rgb, images, rows, cols)
        weights, bias = self.linear_head()
        logits: Tensor = self.output(torch.addmm(bias, self.features_at(rgb, images, rows, cols), weights.T))
        return logits

    def linear_head(self) -> tuple[Tensor, Tensor]:
        """The scores as one linear head on `features_at`: weights (C, D), bias (C,), one row per raw channel."""
        scores = [self.score(stride) for stride in self.strides]
        weights = torch.cat([score.weight.flatten(1) for score in scores], dim=1)
        return weights, torch.stack([score.bias for score in scores]).sum(dim=0)

    def score(self, stride: int) -> PixelScore:
        """The scores of the stage at this stride."""
        return cast(PixelScore, self.scores[str(stride)])

    def _in_one_step(self, scores: dict[int, Tensor], mode: Interpolation) -> Tensor:
        """Every score map brought to full size, added coarse to fine."""
        total = upsampled(scores[COARSEST], COARSEST, mode)
        for stride in self.strides[1:]:
            total = total + upsampled(scores[stride], stride, mode)
        return total

    def _doubled(self, scores: dict[int, Tensor]) -> Tensor:
        """Five learned steps from the coarsest scores to full size, with skips between."""
        total, stride = scores[COARSEST], COARSEST
        while stride > 1:
            total = self.doublings[str(stride)](total)
            stride //= 2
            if stride in scores:
                total = total + scores[stride]
        return total


def scored_strides(spec: NetworkSpec, offered: tuple[int, ...]) -> tuple[int, ...]:
    """Strides a network of this kind scores, coarse to fine.

    Raises:
        InvalidSetting: the encoder lacks one of them.
    """
    finest = FINEST_SCORED[spec.network]
    wanted = [stride for stride in (32, 16, 8, 4, 2) if stride >= finest]
    if spec.network is NetworkName.FCN2S:
        wanted = [stride for stride in wanted if stride in offered or stride == COARSEST]  # every stage there is
    if missing := [stride for stride in wanted if stride not in offered]:
        raise InvalidSetting(
            f"{spec.network} scores stride {missing[0]}, encoder {spec.encoder!r} has features at strides "
            f"{offered}: choose another encoder, or {NetworkName.FCN2S}, which scores what there is"
        )
    return tuple(wanted)


def grown(network: PointNetwork, spec: NetworkSpec) -> PointNetwork:
    """A finer FCN that starts out as `network`: all its weights, and new skip scores at zero.

    FCN-32s grows into FCN-16s, FCN-8s or FCN-2s, and so on; its output is exactly that of `network` until it
    learns. The two share no weights afterwards.

    Raises:
        InvalidSetting: `spec` is no finer FCN with the same encoder, classes and upsampling.
    """
    alike = ("n_classes", "encoder", "encoder_weights", "upsampling", "width", "order", "grades")
    if (
        not isinstance(network, Fcn)
        or spec.network not in FINEST_SCORED
        or FINEST_SCORED[spec.network] > FINEST_SCORED[network.spec.network]
        or any(getattr(spec, name) != getattr(network.spec, name) for name in alike)
    ):
        raise InvalidSetting(
            f"{network.spec.network} cannot grow into {spec.network}: only an FCN grows, into a finer FCN with the "
            "same encoder, number of classes, order of grades and upsampling"
        )
    earlier = copy.deepcopy(network)
    finer = Fcn(spec, earlier.parts).to(network.mean.device)
    state = earlier.state_dict()
    finer.load_state_dict({**finer.state_dict(), **state})
    return finer.train(network.training)


@torch.no_grad()
def set_linear_head(network: PointNetwork, weights: Tensor, bias: Tensor) -> None:
    """Copy a linear head fitted on `features_at` into the 1x1 convolutions: the network then gives its scores.

    Args:
        weights: (C, D) float, in `feature_order`. bias: (C,) float. C raw channels: the classes, see `ordinal`.

    Raises:
        InvalidSetting: not an FCN with fixed upsampling (learned steps give no sum of stages), or of another size.
    """
    if not isinstance(network, Fcn) or network.mode is None:
        raise InvalidSetting(
            f"{network.spec.network} with upsampling {network.spec.upsampling!r} holds no linear head: "
            "choose an FCN and upsampling 'bilinear'"
        )
    order = network.feature_order
    wanted = (network.n_raw, sum(channels for _, channels in order))
    if tuple(weights.shape) != wanted or tuple(bias.shape) != wanted[:1]:
        raise InvalidSetting(
            f"a head of {tuple(weights.shape)} weights does not fit {network.spec.network}: wanted {wanted}, "
            "one row per channel and one column per feature"
        )
    start = 0
    for stride, channels in order:
        score = network.score(stride)
        score.weight.copy_(weights[:, start : start + channels, None, None])
        score.bias.copy_(bias if stride == COARSEST else torch.zeros_like(bias))
        start += channels
