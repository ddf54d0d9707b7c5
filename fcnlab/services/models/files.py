"""Files of models, of both kinds: opening them, and giving their scores the class ids of a project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.full_size import ROWS
from fcnlab.core.learner.model import Model, model_from_arrays
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.sliding import SlidingDense, SlidingWindow
from fcnlab.core.tiling.strips import linear_rows, neighbour_rows
from fcnlab.core.training.network_model import KIND as NETWORK
from fcnlab.core.training.network_model import NetworkModel, network_from_arrays, network_probabilities
from fcnlab.errors import CheckpointError, ExportFailed
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint
from fcnlab.storage.files.weights import TrainedEncoder, load_encoder, untrained_encoder
from fcnlab.storage.files.whole_files import refuse_unwritable


def encoder_parts(name: str, weights: str = "") -> EncoderParts:
    """An encoder with its trained weights. Raises UnknownEncoder, WeightsUnavailable."""
    return _parts(load_encoder(name, weights))


def untrained_parts(name: str) -> EncoderParts:
    """The architecture of an encoder, for a checkpoint that brings its weights. Raises UnknownEncoder."""
    return _parts(untrained_encoder(name))


def load_network(path: Path, *, device: str) -> NetworkModel:
    """A trained network from its checkpoint, on a device; loaded as data, nothing in it is run.

    Raises:
        CheckpointError: the file is missing, damaged, or no network.
        UnknownEncoder: it needs an encoder that timm does not know here.
    """
    arrays, spec = load_checkpoint(path)
    model = network_from_arrays(arrays, spec, encoder=untrained_parts)
    model.network.to(device)
    return model


class NetworkPredictor:
    """Applies one trained network to any picture."""

    def __init__(self, model: NetworkModel, *, device: str) -> None:
        self.model, self._device = model, device

    def probabilities(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(K, h, w) float32 at the size the network looks at a picture (H, W, 3) uint8."""
        return network_probabilities(self.model, rgb, device=self._device)

    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 at the size of the picture (H, W, 3) uint8."""
        probabilities = self.probabilities(rgb)
        ids = np.asarray(self.model.class_ids, np.uint8)
        hw, height = (rgb.shape[0], rgb.shape[1]), probabilities.shape[1]
        result = np.empty(hw, np.uint8)
        for start in range(0, hw[0], ROWS):
            stop = min(start + ROWS, hw[0])
            first, last = neighbour_rows(height, hw[0], start, stop)
            grown = np.stack(
                [linear_rows(plane[first:last], first, height, hw, start, stop) for plane in probabilities]
            )
            result[start:stop] = ids[grown.argmax(axis=0)]
        return result


def quick_twin(model: NetworkModel, device: str) -> NetworkModel:
    """The same network, or for a sliding window its dense twin, which gives the same scores at once."""
    network = model.network
    if not isinstance(network, SlidingWindow) or isinstance(network, SlidingDense):
        return model
    twin = SlidingDense(network.spec)
    twin.load_state_dict(network.state_dict())
    return replace(model, network=twin.eval().requires_grad_(False).to(device))


def _parts(encoder: TrainedEncoder) -> EncoderParts:
    return EncoderParts(encoder.network, encoder.strides, encoder.channels, encoder.mean, encoder.std)


SUFFIX = ".safetensors"

Content = NetworkModel | Model
"""What the file of a model holds: a network, or what the instant learner had learned."""


def open_model(path: Path, *, device: str) -> Content:
    """The model in a file, loaded as data; nothing in it is run. A network is put on the device.

    Raises:
        CheckpointError: the file is missing, damaged, or no model of fcnlab.
        UnknownEncoder: it needs an encoder that timm does not know here.
    """
    arrays, spec = load_checkpoint(path)
    if not isinstance(spec, dict):
        raise CheckpointError(f"the model file {path} is damaged: save or fetch it again")
    if spec.get("kind") != NETWORK:
        return model_from_arrays(arrays, spec)
    network = network_from_arrays(arrays, spec, encoder=untrained_parts)
    network.network.to(device)
    return network


def refuse_unwritable_model(path: Path) -> None:
    """Raises ExportFailed where a model could not be written, before anybody trains it."""
    try:
        refuse_unwritable(path)
    except OSError as failure:
        raise ExportFailed(
            f"{path} cannot be written ({failure.strerror or failure}): choose another folder"
        ) from failure


def write_model(path: Path, arrays: Mapping[str, NDArray[Any]], spec: Mapping[str, Any]) -> None:
    """Write a model file whole. Raises ExportFailed: it cannot be written there."""
    try:
        save_checkpoint(path, arrays, spec)
    except OSError as failure:
        raise ExportFailed(
            f"{path} cannot be written ({failure.strerror or failure}): choose another folder"
        ) from failure


def scored_classes(content: Content) -> tuple[tuple[int, str], ...]:
    """(id, name) in the order of the model's scores. Raises CheckpointError: a score has no class."""
    if isinstance(content, NetworkModel):
        return content.classes
    names = dict(content.classes)
    try:
        return tuple((class_id, names[class_id]) for class_id in content.head.class_ids)
    except KeyError as failure:
        raise CheckpointError(f"the model has no class {failure}, but a score for it: fetch it again") from failure


def with_class_ids(content: Content, class_ids: tuple[int, ...]) -> Content:
    """The model with other class ids, in the order of its scores; what an instant model learned from is left out."""
    named = scored_classes(content)
    if len(named) != len(class_ids):
        raise CheckpointError(
            f"the file scores {len(named)} classes, the list of models says {len(class_ids)}: fetch it again"
        )
    classes = tuple((new, name) for new, (_, name) in zip(class_ids, named, strict=True))
    new_ids = {old: new for new, (old, _) in zip(class_ids, named, strict=True)}
    background = None if content.background is None else new_ids.get(content.background)
    if isinstance(content, NetworkModel):
        calibration = None if content.calibration is None else content.calibration.renamed(new_ids)
        return replace(content, classes=classes, background=background, calibration=calibration)
    head = replace(content.head, class_ids=class_ids)
    spec = replace(content.spec, grades=tuple(new_ids[class_id] for class_id in content.spec.grades_of(new_ids)))
    return replace(content, spec=spec, classes=classes, background=background, head=head, samples=())
