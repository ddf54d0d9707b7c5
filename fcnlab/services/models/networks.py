"""Trained networks: loading them, and what they say about a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.full_size import ROWS
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.sliding import SlidingDense, SlidingWindow
from fcnlab.core.tiling.strips import linear_rows, neighbour_rows
from fcnlab.core.training.network_model import NetworkModel, network_from_arrays, network_probabilities
from fcnlab.storage.files.checkpoints import load_checkpoint
from fcnlab.storage.files.weights import TrainedEncoder, load_encoder, untrained_encoder


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
        found = self.probabilities(rgb)
        ids = np.asarray(self.model.class_ids, np.uint8)
        hw, height = (rgb.shape[0], rgb.shape[1]), found.shape[1]
        result = np.empty(hw, np.uint8)
        for start in range(0, hw[0], ROWS):
            stop = min(start + ROWS, hw[0])
            first, last = neighbour_rows(height, hw[0], start, stop)
            grown = np.stack([linear_rows(one[first:last], first, height, hw, start, stop) for one in found])
            result[start:stop] = ids[grown.argmax(axis=0)]
        return result


def quick_twin(model: NetworkModel, device: str) -> NetworkModel:
    """The same, or for a sliding window its dense twin, which gives the same scores at once."""
    network = model.network
    if not isinstance(network, SlidingWindow) or isinstance(network, SlidingDense):
        return model
    twin = SlidingDense(network.spec)
    twin.load_state_dict(network.state_dict())
    return replace(model, network=twin.eval().requires_grad_(False).to(device))


def _parts(encoder: TrainedEncoder) -> EncoderParts:
    return EncoderParts(encoder.network, encoder.strides, encoder.channels, encoder.mean, encoder.std)
