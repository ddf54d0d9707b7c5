"""A trained network as one value: what a checkpoint holds, back again, and what it says about a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.images.coords import working_hw
from fcnlab.core.learner.model import background_from
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.registry import build_network
from fcnlab.core.tiling.tiles import Box, tile_plan
from fcnlab.domain.counting import Calibration
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.scores import Score, score_from_dict, score_to_dict
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import CheckpointError, InvalidSetting

KIND = "network"

TILED_PIXELS = 6_000_000
"""Larger pictures are predicted in tiles, where the network allows it: maps of a whole one would take gigabytes."""

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
        classes: (id, name) in the order of the scores; of a network that counts the first is the background.
        training: how it was trained.
        temperature: what its logits are divided by before they become probabilities.
        score: on points it did not learn from, if there were any.
        point_set_hash, n_points: what it learned from.
        calibration: how objects are told from the scores of one that counts; None for any other.
        background: id of the class that is no object, if it is among the classes.
    """

    network: PointNetwork
    classes: tuple[tuple[int, str], ...]
    training: TrainingSpec
    temperature: float = 1.0
    score: Score | None = None
    point_set_hash: str = ""
    n_points: int = 0
    calibration: Calibration | None = None
    background: int | None = None

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


def seen_hw(image_hw: tuple[int, int], spec: NetworkSpec, training: TrainingSpec) -> tuple[int, int]:
    """Height and width at which a network looks at an image: its own fixed size, or at most `working_side`.

    One that counts looks at all images with the magnification it was trained with, whatever their size, so that its
    objects always look alike.
    """
    if spec.input_hw is not None:
        height, width = spec.input_hw
        return height, width
    if training.objective.is_counting:
        height, width = image_hw
        factor = training.magnification or 1.0
        return max(1, round(height * factor)), max(1, round(width * factor))
    return working_hw(image_hw, training.working_side)


def seen_picture(rgb: NDArray[np.uint8], hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 at the size a network looks at it."""
    if rgb.shape[:2] == hw:
        return rgb
    method = cv2.INTER_AREA if hw[0] * hw[1] < rgb.shape[0] * rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, hw[::-1], interpolation=method), np.uint8)


def network_probabilities(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> NDArray[np.float32]:
    """Probabilities (K, h, w) float32 of a picture (H, W, 3) uint8, at the size the network looks at it.

    A large picture is predicted in tiles, if the network can be.
    """
    hw = seen_hw((rgb.shape[0], rgb.shape[1]), model.network.spec, model.training)
    seen = seen_picture(rgb, hw)
    result = np.empty((len(model.classes), *hw), np.float32)
    for box, _, scores in score_tiles(model.network, seen, device=device):
        result[(slice(None), *box.slices)] = softmax(scores / model.temperature, axis=0)
    return result


def picture_scores(network: PointNetwork, seen: NDArray[np.uint8], *, device: str) -> NDArray[np.float32]:
    """Scores (K, h, w) float32 as a network gives them, of a picture (h, w, 3) uint8 at the size it looks at."""
    result = np.empty((network.spec.n_classes, *seen.shape[:2]), np.float32)
    for box, _, scores in score_tiles(network, seen, device=device):
        result[(slice(None), *box.slices)] = scores
    return result


def score_tiles(
    network: PointNetwork, seen: NDArray[np.uint8], *, device: str, margin: int = 0
) -> Iterator[tuple[Box, Box, NDArray[np.float32]]]:
    """Scores of a picture (h, w, 3) uint8, tile by tile; one tile holds all unless the picture is large.

    A network that cannot be asked for a part gives all at once.

    Args:
        margin: pixels around each tile whose scores are given as well, at least: what a network sees begins at a
            multiple of TILE_STEP, or its strides would lie elsewhere than in the whole picture.

    Yields:
        inner and outer box of a tile, and the scores (K, *outer.hw) float32; inner boxes hold every pixel once.
    """
    network.eval()
    hw = (seen.shape[0], seen.shape[1])
    if hw[0] * hw[1] <= TILED_PIXELS or not sees_locally(network):
        whole = Box(0, 0, *hw)
        yield whole, whole, _scores(network, seen, device)
        return
    aligned = math.ceil(margin / TILE_STEP) * TILE_STEP
    for tile in tile_plan(hw, step=TILE_STEP, side=TILE_SIDE).tiles:
        inner, outer = tile.inner.clipped(hw), tile.inner.grown(aligned, hw)
        around = outer.grown(SEEN_PX, hw)
        scores = _scores(network, np.ascontiguousarray(seen[around.slices]), device)
        yield inner, outer, scores[(slice(None), *outer.moved(-around.top, -around.left).slices)]


def sees_locally(network: PointNetwork) -> bool:
    """Whether this is an FCN, and no pixel of its answer depends on the whole picture, as by GroupNorm."""
    names = [type(module).__name__ for module in network.modules()]
    is_fcn = network.spec.network.value.startswith("fcn")
    return is_fcn and not any(name.startswith(SEES_THE_WHOLE) for name in names)


@torch.inference_mode()
def _scores(network: PointNetwork, seen: NDArray[np.uint8], device: str) -> NDArray[np.float32]:
    tensor = torch.from_numpy(np.array(seen)).to(device).permute(2, 0, 1)[None].float() / 255
    with torch.autocast(tensor.device.type, enabled=tensor.device.type == "cuda"):
        logits = network(tensor.contiguous(memory_format=torch.channels_last))[0]
    return np.asarray(logits.float().cpu().numpy(), np.float32)


def network_to_arrays(model: NetworkModel) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, spec) for a checkpoint."""
    arrays = {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in model.network.state_dict().items()}
    score = None if model.score is None else score_to_dict(model.score)
    if score is not None:
        score["per_class"] = [[int(class_id), share] for class_id, share in score["per_class"].items()]
    spec = {
        "kind": KIND,
        "network": model.network.spec.to_dict(),
        "classes": [list(pair) for pair in model.classes],
        "background": model.background,
        "training": model.training.to_dict(),
        "temperature": model.temperature,
        "score": score,
        "point_set_hash": model.point_set_hash,
        "n_points": model.n_points,
        "calibration": None if model.calibration is None else model.calibration.to_dict(),
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
        network.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
        classes = tuple((int(class_id), str(name)) for class_id, name in spec["classes"])
        score = spec["score"]
        if score is not None:
            score = score_from_dict({**score, "per_class": dict(score["per_class"])})
        calibration = spec.get("calibration")  # files from before counting have none
        model = NetworkModel(
            network.eval().requires_grad_(False),
            classes,
            TrainingSpec.from_dict(spec["training"]),
            float(spec["temperature"]),
            score,
            str(spec["point_set_hash"]),
            int(spec["n_points"]),
            None if calibration is None else Calibration.from_dict(calibration),
            background_from(spec, classes),
        )
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, InvalidSetting) as failure:
        raise CheckpointError(
            f"the network's parts do not fit together ({str(failure)[:200]}): save or fetch it again"
        ) from failure
    if len(classes) != network_spec.n_classes or not model.temperature > 0:
        raise CheckpointError("the network and its class list do not fit together: save or fetch it again")
    return model
