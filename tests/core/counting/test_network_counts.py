"""What a network that counts says about a picture: alike whole and in tiles, density maps that sum to the count."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcnlab.core.counting import counting
from fcnlab.core.counting.counting import counted_mask, network_count, network_count_with_density
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training import network_model
from fcnlab.core.training.network_model import NetworkModel
from fcnlab.domain.counting import Calibration, Objective
from fcnlab.domain.network import COUNTING_NETWORK, NetworkSpec
from fcnlab.domain.training import counting_training
from fcnlab.errors import Diverged
from fcnlab.storage.files.weights import load_encoder

HW = (150, 214)


@pytest.fixture(scope="module")
def model() -> NetworkModel:
    """An FCN-2s with random scores, whose density differs from place to place."""
    known = load_encoder("tf_efficientnet_lite0")
    parts = EncoderParts(known.network, known.strides, known.channels, known.mean, known.std)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build_network(NetworkSpec(COUNTING_NETWORK, 2), parts)
        with torch.no_grad():
            for score in network.scores.values():  # type: ignore[union-attr]
                score.weight.normal_(std=0.3)
    spec = replace(counting_training(Objective.DENSITY), magnification=1.5)
    known_factors = Calibration(12.0, factors={7: 1.1})
    return NetworkModel(network.eval(), ((0, "background"), (7, "cell")), spec, calibration=known_factors)


@pytest.fixture(scope="module")
def picture() -> np.ndarray:  # type: ignore[type-arg]
    small = np.random.default_rng(0).integers(0, 255, (15, 22, 3)).astype(np.uint8)
    return np.ascontiguousarray(np.kron(small, np.ones((10, 10, 1), np.uint8))[: HW[0], : HW[1]])


def test_a_large_picture_is_counted_in_tiles_as_if_there_were_none(
    model: NetworkModel,
    picture: np.ndarray,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[type-arg]
) -> None:
    whole = network_count(model, picture, device="cpu")
    monkeypatch.setattr(network_model, "TILED_PIXELS", 1000)
    monkeypatch.setattr(network_model, "TILE_SIDE", 96)

    tiled = network_count(model, picture, device="cpu")

    assert tiled.counts[0].count == pytest.approx(whole.counts[0].count, rel=1e-3)
    assert [one.class_id for one in tiled.counts] == [7]
    assert len(tiled.objects) == len(whole.objects) > 3
    for ours, theirs in zip(tiled.objects, whole.objects, strict=True):
        assert (ours.row, ours.col) == pytest.approx((theirs.row, theirs.col), abs=0.5)
    np.testing.assert_allclose(tiled.grid, whole.grid, rtol=1e-2, atol=1e-2)


def test_the_density_of_a_picture_sums_to_its_count(model: NetworkModel, picture: np.ndarray) -> None:  # type: ignore[type-arg]
    count, density = network_count_with_density(model, picture, device="cpu")

    assert density.shape == (1, *HW)
    assert max(0.0, float(density.sum(dtype=np.float64))) == pytest.approx(count.counts[0].count, rel=1e-3)
    assert count == network_count(model, picture, device="cpu")


def test_the_density_of_a_large_picture_is_made_in_tiles_as_if_there_were_none(
    model: NetworkModel,
    picture: np.ndarray,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, whole = network_count_with_density(model, picture, device="cpu")
    monkeypatch.setattr(network_model, "TILED_PIXELS", 1000)
    monkeypatch.setattr(network_model, "TILE_SIDE", 96)
    monkeypatch.setattr(counting, "picture_scores", None)  # nobody asks for all scores at once

    count, tiled = network_count_with_density(model, picture, device="cpu")

    assert count == network_count(model, picture, device="cpu")
    np.testing.assert_allclose(tiled, whole, atol=1e-3 * float(np.abs(whole).max()))


def test_the_objects_of_a_picture_are_drawn_in_their_class(model: NetworkModel, picture: np.ndarray) -> None:  # type: ignore[type-arg]
    mask = counted_mask(model, picture, device="cpu")

    assert mask.shape == (225, 321)
    assert set(np.unique(mask)) == {0, 7}


@pytest.mark.parametrize("objective", [Objective.DENSITY, Objective.BLOBS])
def test_scores_that_are_no_numbers_are_an_error(
    model: NetworkModel,
    picture: np.ndarray,  # type: ignore[type-arg]
    objective: Objective,
) -> None:
    network = copy.deepcopy(model.network)
    with torch.no_grad():
        for one in network.parameters():
            one.fill_(float("nan"))
    broken = replace(model, network=network, training=replace(model.training, objective=objective))

    with pytest.raises(Diverged, match="lower learning rate"):
        network_count(broken, picture, device="cpu")
