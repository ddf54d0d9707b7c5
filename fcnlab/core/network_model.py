"""A trained network as one value: what a checkpoint holds, back again, and what it says about a picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.coords import working_hw
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.registry import build_network
from fcnlab.core.tiles import tile_plan
from fcnlab.errors import CheckpointError, InvalidSetting
from fcnlab.specs import SCRATCH, NetworkName, NetworkSpec, PointScore, TrainingSpec

KIND = "network"

TILED_PIXELS = 6_000_000
"""Larger pictures are looked at in tiles, where the network allows it: maps of a whole one would take gigabytes."""

TILE_SIDE = 1536
TILE_STEP = 32
SEES_THE_WHOLE = ("GroupNorm", "AdaptiveAvgPool", "SelectAdaptivePool", "SqueezeExcite", "SE", "EffectiveSE", "Linear")
"""How layers begin whose answer at a pixel depends on the whole picture."""

SEEN_PX = 480
"""So far around a tile a network looks: as far as the encoder, and 96 pixels more for what grows its scores."""

FIXED_SIDE = 256
"""Longer side of what a network of fixed size looks at, unless its spec says another size."""


@dataclass(frozen=True, slots=True, eq=False)
class NetworkModel:
    """A network and what has to be known to use it.

    Attributes:
        classes: (id, name) in the order of the scores; the first one is the background.
        training: how it was trained.
        temperature: what its logits are divided by before they become probabilities.
        score: on points it did not learn from, if there were any.
        point_set_hash, n_points: what it learned from.
    """

    network: PointNetwork
    classes: tuple[tuple[int, str], ...]
    training: TrainingSpec
    temperature: float = 1.0
    score: PointScore | None = None
    point_set_hash: str = ""
    n_points: int = 0

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the classes in the order of the scores."""
        return tuple(class_id for class_id, _ in self.classes)


def fitting_spec(spec: NetworkSpec, *, n_classes: int, image_hw: tuple[int, int]) -> NetworkSpec:
    """The spec with as many classes as have points, and for a network of fixed size the size it will take."""
    if spec.network is not NetworkName.FULLY_CONNECTED or spec.input_hw is not None:
        return replace(spec, n_classes=n_classes)
    factor = FIXED_SIDE / max(image_hw)
    height, width = (max(64, round(side * factor / 32) * 32) for side in image_hw)
    return replace(spec, n_classes=n_classes, input_hw=(height, width))


def seen_hw(image_hw: tuple[int, int], spec: NetworkSpec, working_side: int) -> tuple[int, int]:
    """Height and width at which a network looks at an image: its own fixed size, or at most `working_side`."""
    if spec.input_hw is not None:
        height, width = spec.input_hw
        return height, width
    return working_hw(image_hw, working_side)


def seen_picture(rgb: NDArray[np.uint8], hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 at the size a network looks at it."""
    if rgb.shape[:2] == hw:
        return rgb
    method = cv2.INTER_AREA if hw[0] * hw[1] < rgb.shape[0] * rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, hw[::-1], interpolation=method), np.uint8)


@torch.inference_mode()
def network_probabilities(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> NDArray[np.float32]:
    """Probabilities (K, h, w) float32 of a picture (H, W, 3) uint8, at the size the network looks at it.

    A large picture is looked at in tiles, if the network can be.
    """
    network = model.network.eval()
    seen = seen_picture(rgb, seen_hw((rgb.shape[0], rgb.shape[1]), network.spec, model.training.working_side))
    hw = (seen.shape[0], seen.shape[1])
    if hw[0] * hw[1] <= TILED_PIXELS or not sees_locally(network):
        return _probabilities(model, seen, device)
    result = np.empty((len(model.classes), *hw), np.float32)
    for tile in tile_plan(hw, step=TILE_STEP, side=TILE_SIDE).tiles:
        inner, around = tile.inner.clipped(hw), tile.inner.grown(SEEN_PX, hw)
        found = _probabilities(model, np.ascontiguousarray(seen[around.slices]), device)
        kept = inner.moved(-around.top, -around.left).slices
        result[(slice(None), *inner.slices)] = found[(slice(None), *kept)]
    return result


def sees_locally(network: PointNetwork) -> bool:
    """Whether this is an FCN, and no pixel of its answer depends on the whole picture, as by GroupNorm."""
    names = [type(one).__name__ for one in network.modules()]
    is_fcn = network.spec.network.value.startswith("fcn")
    return is_fcn and not any(name.startswith(SEES_THE_WHOLE) for name in names)


def _probabilities(model: NetworkModel, seen: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.array(seen)).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.autocast(tensor.device.type, enabled=tensor.device.type == "cuda"):
        logits = model.network(tensor.contiguous(memory_format=torch.channels_last))[0]
    return np.asarray(softmax(logits.float().cpu().numpy() / model.temperature, axis=0), np.float32)


def network_to_arrays(model: NetworkModel) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, spec) for a checkpoint."""
    arrays = {name: one.detach().cpu().contiguous().numpy() for name, one in model.network.state_dict().items()}
    score = None if model.score is None else asdict(model.score)
    if score is not None:
        score["per_class"] = [[class_id, share] for class_id, share in score["per_class"].items()]
    spec = {
        "kind": KIND,
        "network": model.network.spec.to_dict(),
        "classes": [list(pair) for pair in model.classes],
        "training": model.training.to_dict(),
        "temperature": model.temperature,
        "score": score,
        "point_set_hash": model.point_set_hash,
        "n_points": model.n_points,
    }
    return arrays, spec


def network_from_arrays(
    arrays: dict[str, NDArray[Any]], spec: dict[str, Any], *, encoder: Callable[[str], EncoderParts]
) -> NetworkModel:
    """Inverse of `network_to_arrays`.

    Args:
        encoder: name -> the architecture of that encoder, with any weights.

    Raises:
        CheckpointError: something is missing or does not fit together.
        UnknownEncoder: see `encoder`.
    """
    try:
        if spec["kind"] != KIND:
            raise CheckpointError(f"the model is of kind {spec['kind']!r}, wanted a network: choose another file")
        network_spec = NetworkSpec.from_dict(spec["network"])
        parts = None if network_spec.encoder == SCRATCH else encoder(network_spec.encoder)
        network = build_network(network_spec, parts)
        network.load_state_dict({name: torch.from_numpy(one) for name, one in arrays.items()})
        classes = tuple((int(class_id), str(name)) for class_id, name in spec["classes"])
        score = spec["score"]
        if score is not None:
            score = PointScore(**{**score, "per_class": {int(key): float(one) for key, one in score["per_class"]}})
        model = NetworkModel(
            network.eval().requires_grad_(False),
            classes,
            TrainingSpec.from_dict(spec["training"]),
            float(spec["temperature"]),
            score,
            str(spec["point_set_hash"]),
            int(spec["n_points"]),
        )
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, InvalidSetting) as failure:
        raise CheckpointError(
            f"the network's parts do not fit together ({str(failure)[:200]}): save or fetch it again"
        ) from failure
    if len(classes) != network_spec.n_classes or not model.temperature > 0:
        raise CheckpointError("the network and its class list do not fit together: save or fetch it again")
    return model
