"""Tiling changes nothing of what a network says, where it may be tiled."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
import torch

from fcnlab.core.training import network_model
from fcnlab.core.training.network_model import NetworkModel, network_probabilities, sees_locally
from fcnlab.domain.training import TrainingSpec


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


@pytest.mark.parametrize("margin", [0, 32, 45])
def test_strides_lie_where_they_would_in_the_whole_picture(monkeypatch: pytest.MonkeyPatch, margin: int) -> None:
    def strides(_network: object, seen: np.ndarray, _device: str) -> np.ndarray:
        rows, cols = (np.arange(side) % network_model.TILE_STEP for side in seen.shape[:2])
        return (100 * rows[:, None] + cols)[None].astype(np.float32)

    monkeypatch.setattr(network_model, "TILED_PIXELS", 1000)
    monkeypatch.setattr(network_model, "TILE_SIDE", 640)
    monkeypatch.setattr(network_model, "_scores", strides)
    monkeypatch.setattr(network_model, "sees_locally", lambda _: True)
    seen = np.zeros((700, 1500, 3), np.uint8)
    whole = strides(None, seen, "")

    tiles = list(network_model.score_tiles(torch.nn.Identity(), seen, device="cpu", margin=margin))

    assert len(tiles) > 4
    for inner, outer, scores in tiles:
        assert outer.top <= max(0, inner.top - margin)
        np.testing.assert_array_equal(scores, whole[(slice(None), *outer.slices)])
