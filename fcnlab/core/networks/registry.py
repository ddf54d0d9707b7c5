"""Every network of the family by its name: what it is, and how to build it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.blocks import scratch_encoder
from fcnlab.core.networks.deconvnet import DeconvolutionNetwork
from fcnlab.core.networks.fcn import COARSEST, Fcn
from fcnlab.core.networks.fully_connected import FullyConnected
from fcnlab.core.networks.larger_head import LargerHead
from fcnlab.core.networks.sliding import PATCH, SlidingDense, SlidingWindow
from fcnlab.core.networks.unet import SCRATCH_DEEPEST, UNet
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.errors import InvalidSetting

FCN_PAPER = "Long, Shelhamer, Darrell 2015, arXiv:1411.4038"


@dataclass(frozen=True)
class NetworkInfo:
    """What a network is, in words for people.

    Attributes:
        paper: where it was described.
        any_size: takes pictures of any height and width.
        uses_encoder: can start from an encoder with trained weights.
        by_steps: learns by gradient steps; False: it is fitted once, on an encoder that stays as it is.
        summary: one sentence on what it does, and what that is good for.
    """

    name: NetworkName
    title: str
    paper: str
    any_size: bool
    uses_encoder: bool
    summary: str
    by_steps: bool = True


_INFOS = (
    NetworkInfo(
        NetworkName.FCN32S,
        "FCN-32s",
        FCN_PAPER,
        any_size=True,
        uses_encoder=True,
        summary="Scores the coarsest stage and enlarges the scores 32 times: right in the large, blurred at borders.",
    ),
    NetworkInfo(
        NetworkName.FCN16S,
        "FCN-16s",
        FCN_PAPER,
        any_size=True,
        uses_encoder=True,
        summary="FCN-32s with a skip: the stage of stride 16 adds its scores. Finer borders.",
    ),
    NetworkInfo(
        NetworkName.FCN8S,
        "FCN-8s",
        FCN_PAPER,
        any_size=True,
        uses_encoder=True,
        summary="FCN-16s with one more skip, at stride 8: the network the paper recommends.",
    ),
    NetworkInfo(
        NetworkName.FCN2S,
        "FCN-2s",
        FCN_PAPER,
        any_size=True,
        uses_encoder=True,
        summary="Skips at every stage of the encoder, down to stride 2; with bilinear upsampling it trains on the "
        "labelled pixels alone, and can start from the instant learner's kind of head.",
    ),
    NetworkInfo(
        NetworkName.UNET,
        "U-Net",
        "Ronneberger, Fischer, Brox 2015, arXiv:1505.04597",
        any_size=True,
        uses_encoder=True,
        summary="Joins the features, not the scores, of equal stride on the way up: fine borders, more to learn.",
    ),
    NetworkInfo(
        NetworkName.DECONVNET,
        "Deconvolution network",
        "Noh, Hong, Han 2015, arXiv:1505.04366",
        any_size=True,
        uses_encoder=False,
        summary="Remembers where each maximum came from and puts activations back there; starts from scratch.",
    ),
    NetworkInfo(
        NetworkName.SLIDING,
        "Sliding window",
        "Ciresan, Giusti, Gambardella, Schmidhuber 2012, NIPS 25",
        any_size=True,
        uses_encoder=False,
        summary=f"A small CNN looks at {PATCH} x {PATCH} pixels around each pixel, once per pixel: a slow baseline.",
    ),
    NetworkInfo(
        NetworkName.SLIDING_DENSE,
        "Sliding window, at once",
        "Giusti, Ciresan, Masci, Gambardella, Schmidhuber 2013, arXiv:1302.1700",
        any_size=True,
        uses_encoder=False,
        summary="The same weights and the same scores as the sliding window, in one pass over the whole image.",
    ),
    NetworkInfo(
        NetworkName.FULLY_CONNECTED,
        "Fully connected",
        "Hinton, Salakhutdinov 2006, Science 313:504",
        any_size=False,
        uses_encoder=False,
        summary="Presses the image through a short code: takes one size only and loses borders. A baseline.",
    ),
    NetworkInfo(
        NetworkName.LARGER_HEAD,
        "Instant learner, larger head",
        "Shin, Xie, Albanie 2021, arXiv:2104.06394 (few pixels per image); Lakshminarayanan, Pritzel, Blundell 2017, "
        "arXiv:1612.01474 (ensembles)",
        any_size=True,
        uses_encoder=True,
        summary="Small networks on the instant learner's features at three scales, fitted in seconds once all images "
        "are encoded; a linear head stays if it does better on the validation points. For thousands of points.",
        by_steps=False,
    ),
)

NETWORKS: Mapping[NetworkName, NetworkInfo] = MappingProxyType({info.name: info for info in _INFOS})


FROM_SCRATCH: Mapping[NetworkName, type[PointNetwork]] = MappingProxyType(
    {
        NetworkName.DECONVNET: DeconvolutionNetwork,
        NetworkName.SLIDING: SlidingWindow,
        NetworkName.SLIDING_DENSE: SlidingDense,
        NetworkName.FULLY_CONNECTED: FullyConnected,
    }
)
"""Networks that no encoder fits: they need nothing but their spec."""


def build_network(spec: NetworkSpec, encoder: EncoderParts | None) -> PointNetwork:
    """A network as `spec` says, with random weights wherever the encoder brings none.

    Random weights come from torch's generator: the caller seeds it, inside torch.random.fork_rng.

    Args:
        encoder: the one that `spec.encoder` names; it is copied. None for a network from scratch.

    Raises:
        InvalidSetting: no encoder where one is named, one that lacks a stage the network needs, or no input size
            where the network takes only one.
    """
    if not NETWORKS[spec.network].uses_encoder:
        return FROM_SCRATCH[spec.network](spec)
    is_unet = spec.network is NetworkName.UNET
    if spec.encoder == SCRATCH:
        parts = scratch_encoder(spec.width, deepest=SCRATCH_DEEPEST if is_unet else COARSEST)
    elif encoder is None:
        raise InvalidSetting(f"{spec.network} wants the encoder {spec.encoder!r}, got none: load it, or name none")
    else:
        parts = copy.deepcopy(encoder)
        parts.module.requires_grad_(True)
    if spec.network is NetworkName.LARGER_HEAD:
        return LargerHead(spec, parts)
    return UNet(spec, parts) if is_unet else Fcn(spec, parts)
