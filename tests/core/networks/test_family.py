"""Laws that hold for every network of the registry."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.core.training.losses import point_loss
from fcnlab.domain.network import SCRATCH, NetworkName

SMALL: dict[str, Any] = {"width": 8}
ANY_SIZE = [name for name, info in NETWORKS.items() if info.any_size]
BY_STEPS = [name for name, info in NETWORKS.items() if info.by_steps]
WITH_ENCODER = [name for name in BY_STEPS if NETWORKS[name].uses_encoder]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_registry_says_what_each_network_is(name):
    info = NETWORKS[name]

    assert info.name is NetworkName(name)
    assert all(len(text) > 3 for text in (info.title, info.paper, info.summary))
    assert any(year in info.paper for year in map(str, range(1990, 2030)))


@pytest.mark.parametrize("hw", [(45, 71), (33, 34), (1, 7)])
@pytest.mark.parametrize("name", ANY_SIZE)
def test_scores_are_as_high_and_wide_as_the_picture(build, name, hw):
    network = build(name, **SMALL)

    with torch.no_grad():
        logits = network(torch.rand(2, 3, *hw))

    assert logits.shape == (2, 3, *hw)
    assert bool(torch.isfinite(logits).all())


@pytest.mark.parametrize("name", NETWORKS)
def test_logits_at_pixels_are_those_of_the_whole_picture(build, pictures, places, name):
    network = build(name, **SMALL)
    images, rows, cols = places

    with torch.no_grad():
        sparse, dense = network.logits_at(pictures, images, rows, cols), network(pictures)

    assert sparse.shape == (9, 3)
    assert dense.std() > 0
    assert torch.allclose(sparse, dense[images, :, rows.long(), cols.long()], atol=1e-4)


@pytest.mark.parametrize("name", BY_STEPS)
def test_unclicked_pixels_get_no_gradient(build, pictures, name):
    network = build(name, **SMALL)
    logits = network(pictures)
    images, rows, cols = torch.tensor([0, 1]), torch.tensor([4, 30]), torch.tensor([60, 2])
    is_clicked = torch.zeros(2, 45, 71, dtype=torch.bool)
    is_clicked[images, rows, cols] = True

    of_points = point_loss(logits[images, :, rows, cols], torch.tensor([2, 0]), torch.ones(2))
    (of_logits,) = torch.autograd.grad(of_points, logits)

    per_pixel = of_logits.abs().sum(dim=1)
    assert bool((per_pixel[~is_clicked] == 0).all())
    assert bool((per_pixel[is_clicked] > 0).all())


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_is_either_of_the_encoder_or_of_the_decoder(build, name):
    network = build(name, **SMALL)

    encoder, decoder = network.encoder_parameters(), network.decoder_parameters()

    assert {id(one) for one in (*encoder, *decoder)} == {id(one) for one in network.parameters()}
    assert len(encoder) + len(decoder) == len(list(network.parameters()))
    assert bool(encoder) is NETWORKS[name].uses_encoder


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_training_leaves_the_statistics_of_the_encoder_alone(build, pictures, places, name):
    network = build(name, **SMALL).train()
    before = {key: one.clone() for key, one in network.named_buffers()}
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)

    torch.nn.functional.cross_entropy(network.logits_at(pictures, *places), torch.arange(9) % 3).backward()
    optimiser.step()

    norms = [layer for layer in network.trained_encoder().modules() if isinstance(layer, _BatchNorm)]
    assert len(norms) > 40
    assert not any(layer.training for layer in norms)
    assert network.training
    assert all(torch.equal(one, before[key]) for key, one in network.named_buffers())


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_a_network_with_an_encoder_can_start_from_scratch(build, pictures, name):
    network = build(name, encoder=SCRATCH, **SMALL)

    assert network.encoder_parameters() == []
    assert network(pictures).shape == (2, 3, 45, 71)


@pytest.mark.parametrize("name", WITH_ENCODER)
def test_the_encoder_it_is_given_is_not_changed(build, parts, pictures, places, name):
    before = {key: one.clone() for key, one in parts.module.state_dict().items()}
    network = build(name, **SMALL)

    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)

    assert all(torch.equal(one, before[key]) for key, one in parts.module.state_dict().items())


@pytest.mark.parametrize("name", NETWORKS)
def test_no_points_give_no_logits(build, pictures, name):
    none = torch.zeros(0)

    assert build(name, **SMALL).logits_at(pictures, none.long(), none, none).shape == (0, 3)


@pytest.mark.parametrize("name", BY_STEPS)
def test_a_network_learns_the_points_it_is_shown(build, pictures, places, name):
    network = build(name, fresh=True, **SMALL).train()
    classes = torch.arange(9) % 3
    rates = [{"params": network.decoder_parameters(), "lr": 0.01}]
    if network.encoder_parameters():
        rates.append({"params": network.encoder_parameters(), "lr": 0.001})
    optimiser = torch.optim.AdamW(rates)

    for _ in range(20):
        optimiser.zero_grad()
        loss = point_loss(network.logits_at(pictures, *places), classes, torch.ones(9))
        loss.backward()
        optimiser.step()

    with torch.no_grad():
        found = network.eval().logits_at(pictures, *places).argmax(dim=1)
    assert torch.equal(found, classes)
