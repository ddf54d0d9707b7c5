"""Every network of the family by its name: what it is, and how to build it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.blocks import scratch_encoder
from fcnlab.core.networks.fcn import Fcn
from fcnlab.errors import InvalidSetting
from fcnlab.specs import SCRATCH, NetworkName, NetworkSpec

FCN_PAPER = "Long, Shelhamer, Darrell 2015, arXiv:1411.4038"


@dataclass(frozen=True)
class NetworkInfo:
    """What a network is, in words for people.

    Attributes:
        paper: where it was described.
        any_size: takes pictures of any height and width.
        uses_encoder: can start from an encoder with trained weights.
        summary: one sentence on what it does, and what that is good for.
    """

    name: NetworkName
    title: str
    paper: str
    any_size: bool
    uses_encoder: bool
    summary: str


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
)

NETWORKS: Mapping[NetworkName, NetworkInfo] = MappingProxyType({info.name: info for info in _INFOS})


def build_network(spec: NetworkSpec, encoder: EncoderParts | None) -> PointNetwork:
    """A network as `spec` says, with random weights wherever the encoder brings none.

    Random weights come from torch's generator: the caller seeds it, inside torch.random.fork_rng.

    Args:
        encoder: the one that `spec.encoder` names; it is copied. None for a network from scratch.

    Raises:
        InvalidSetting: no encoder where one is named, or one that lacks a stage the network needs.
    """
    if spec.network not in NETWORKS:
        raise InvalidSetting(f"{spec.network} cannot be built; what can: {', '.join(NETWORKS)}")
    if spec.encoder == SCRATCH:
        parts = scratch_encoder(spec.width, deepest=32)
    elif encoder is None:
        raise InvalidSetting(f"{spec.network} wants the encoder {spec.encoder!r}, got none: load it, or name none")
    else:
        parts = copy.deepcopy(encoder)
        parts.module.requires_grad_(True)
    return Fcn(spec, parts)
