from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fcnlab.core.encoding.encoder import StageEncoder, lab_image, without_batch_norm
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder


class Backwards(nn.Module):
    """Calls its layers in another order than it names them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.running_mean += 0.3

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.conv(torch.relu(self.norm(x)))]


def test_folding_batch_normalisation_leaves_the_features_alone():
    network = load_encoder(BUNDLED_ENCODER).network
    picture = torch.rand(1, 3, 64, 96)

    folded = without_batch_norm(network)

    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    with torch.no_grad():
        for ours, theirs in zip(folded(picture), network(picture), strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_network_that_cannot_be_folded_stays_as_it_is():
    network = Backwards().eval()

    assert without_batch_norm(network) is network


def test_the_network_it_is_given_is_not_changed(encoder: StageEncoder):
    network = load_encoder(BUNDLED_ENCODER).network

    StageEncoder(network, strides=(2, 4, 8, 16, 32), mean=(0.5,) * 3, std=(0.5,) * 3)

    assert any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())


def test_another_picture_can_be_encoded_in_the_middle_of_one(encoder: StageEncoder, rgb):
    inner = []

    def between() -> None:
        assert torch.is_grad_enabled()
        if not inner:
            inner.append(None)
            inner[0] = own.encode(rgb[::-1].copy(), scales=(1.0,), position=False)

    trained = load_encoder(BUNDLED_ENCODER)
    own = StageEncoder.of(trained, between=between)

    outer = own.encode(rgb, scales=(1.0,), position=False)

    for found, picture in ((outer, rgb), (inner[0], rgb[::-1].copy())):
        expected = encoder.encode(picture, scales=(1.0,), position=False)
        assert all(torch.equal(one, other) for one, other in zip(found.maps, expected.maps, strict=True))


def test_the_same_picture_gives_the_same_stages(encoder: StageEncoder, rgb):
    first, second = (encoder.encode(rgb, scales=(1.0, 0.5), position=True) for _ in range(2))

    assert all(torch.equal(one, other) for one, other in zip(first.maps, second.maps, strict=True))


def test_a_picture_of_one_colour_gives_finite_features(encoder: StageEncoder):
    stages = encoder.encode(np.full((33, 47, 3), 128, np.uint8), scales=(1.0, 0.5), position=True)

    assert all(torch.isfinite(one).all() for one in (*stages.maps, *stages.means, *stages.scales))


def test_position_is_a_stage_of_its_own(encoder: StageEncoder, rgb):
    with_it, without = (encoder.encode(rgb, scales=(1.0,), position=one) for one in (True, False))

    assert with_it.width == without.width + 5


def test_lab_of_white_and_black():
    lab = lab_image(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8))

    assert np.allclose(lab[0], [[0, 0, 0], [100, 0, 0]], atol=0.1)
