"""Tiling changes nothing of what a network says, where it may be tiled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from fcnlab.core import network_model
from fcnlab.core.network_model import NetworkModel, network_probabilities, sees_locally
from fcnlab.specs import TrainingSpec


@pytest.mark.parametrize("upsampling", ["bilinear", "transposed"])
def test_an_fcn_says_the_same_in_tiles(build, upsampling, monkeypatch):
    network = build("fcn8s", upsampling=upsampling)
    with torch.no_grad():
        for parameter in network.decoder_parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    classes = tuple((number, str(number)) for number in range(network.spec.n_classes))
    model = NetworkModel(network, classes, TrainingSpec(working_side=4096))
    rgb = np.asarray(cv2.resize(skimage.data.astronaut(), (1301, 150), interpolation=cv2.INTER_AREA))
    whole = network_probabilities(model, rgb, device="cpu")

    monkeypatch.setattr(network_model, "TILED_PIXELS", 1000)
    monkeypatch.setattr(network_model, "TILE_SIDE", 448)
    tiled = network_probabilities(model, rgb, device="cpu")

    assert tiled.shape == whole.shape == (len(classes), 150, 1301)
    assert np.abs(tiled - whole).max() < 1e-3
    assert (tiled.argmax(axis=0) == whole.argmax(axis=0)).mean() >= 0.9999
    assert whole.std() > 0.01


@pytest.mark.parametrize("name", ["unet", "deconvnet"])
def test_what_normalises_over_the_whole_picture_is_never_tiled(build, name):
    assert not sees_locally(build(name))
    assert sees_locally(build("fcn32s"))
