"""Laws of the output layer that knows the order of grades."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import expit, logsumexp
from torch.nn import functional as F

from fcnlab.core.networks.fcn import grown, set_linear_head
from fcnlab.core.networks.ordinal import (
    CornOutput,
    CumulativeOutput,
    GradesOutput,
    log1mexp,
    output_layer,
    raw_channels,
    with_order,
)
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.core.training.losses import point_loss
from fcnlab.domain.network import NetworkName, NetworkSpec, Order
from fcnlab.errors import InvalidSetting

MODELS: tuple[Order, ...] = ("cumulative", "corn")
GRADES = ((0, 1, 2), (4, 0, 2, 1), (2, 1), (3, 1, 0, 2, 4))
"""Places of the grades among five scores, or among three where they are all."""

BY_STEPS = [name for name, info in NETWORKS.items() if info.by_steps]


def layer_of(order: Order, grades: tuple[int, ...], n_classes: int = 5) -> GradesOutput:
    layer = output_layer(NetworkSpec(NetworkName.FCN8S, n_classes, order=order, grades=grades))
    assert isinstance(layer, GradesOutput)
    return layer


def random_layer(order: Order, grades: tuple[int, ...], n_classes: int = 5) -> GradesOutput:
    layer = layer_of(order, grades, n_classes)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def raw_maps(order: Order, grades: tuple[int, ...], n_classes: int = 5) -> torch.Tensor:
    spec = NetworkSpec(NetworkName.FCN8S, n_classes, order=order, grades=grades)
    return 3 * torch.randn(2, raw_channels(spec), 5, 7)


def closed_form(layer: GradesOutput, grades: tuple[int, ...], raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities (N, 5) as the papers write them, of raw channels (N, C)."""
    others = [place for place in range(5) if place not in grades]
    n_others, probabilities = len(others), np.zeros((len(raw), 5))
    group = np.ones(len(raw))
    if others:
        scores = raw[:, : n_others + 1] + layer.group_offset.double().numpy()
        shares = np.exp(scores - logsumexp(scores, axis=1, keepdims=True))
        probabilities[:, others], group, raw = shares[:, :n_others], shares[:, n_others], raw[:, n_others + 1 :]
    if isinstance(layer, CumulativeOutput):
        exceeded = expit(raw - layer.thresholds().detach().double().numpy())
    else:
        assert isinstance(layer, CornOutput)
        exceeded = np.cumprod(expit(raw + layer.step_offset.double().numpy()), axis=1)
    padded = np.concatenate([np.ones((len(raw), 1)), exceeded, np.zeros((len(raw), 1))], axis=1)
    probabilities[:, list(grades)] = (padded[:, :-1] - padded[:, 1:]) * group[:, None]
    return probabilities


@pytest.mark.parametrize(("order", "grades"), list(itertools.product(MODELS, GRADES)))
def test_the_softmax_of_the_logits_is_the_closed_form(order: Order, grades: tuple[int, ...]) -> None:
    layer = random_layer(order, grades)
    raw = raw_maps(order, grades)

    logits = layer(raw).detach()

    flat = raw.permute(0, 2, 3, 1).reshape(-1, raw.shape[1]).double().numpy()
    told = logits.softmax(dim=1).permute(0, 2, 3, 1).reshape(-1, 5).numpy()
    assert np.allclose(told, closed_form(layer, grades, flat), atol=1e-6)
    assert torch.allclose(logits.exp().sum(dim=1), torch.ones(2, 5, 7), atol=1e-5)  # they are logarithms already


@pytest.mark.parametrize(("order", "grades"), list(itertools.product(MODELS, GRADES)))
def test_zero_raw_channels_give_every_class_the_same_probability(order: Order, grades: tuple[int, ...]) -> None:
    logits = layer_of(order, grades)(torch.zeros_like(raw_maps(order, grades)))

    assert torch.allclose(logits.softmax(dim=1), torch.full((2, 5, 5, 7), 0.2), atol=1e-5)


@pytest.mark.parametrize("order", MODELS)
def test_logits_stay_finite_however_sure_the_network_is(order: Order) -> None:
    layer = layer_of(order, (4, 0, 2, 1))
    raw = (1000 * torch.randn(2, raw_maps(order, (4, 0, 2, 1)).shape[1], 5, 7)).requires_grad_(True)

    loss = F.cross_entropy(layer(raw), torch.randint(5, (2, 5, 7)))
    loss.backward()

    assert math.isfinite(float(loss.detach()))
    assert raw.grad is not None
    assert bool(torch.isfinite(raw.grad).all())


def test_thresholds_rise_whatever_their_parameters_are() -> None:
    layer = layer_of("cumulative", (3, 1, 0, 2, 4))
    assert isinstance(layer, CumulativeOutput)

    for scale in (0.1, 10, 1000):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.copy_(scale * torch.randn_like(parameter))
        gaps = layer.threshold_gaps()

        assert bool((gaps > 0).all())
        assert bool(torch.isfinite(log1mexp(gaps)).all())
        assert layer.thresholds().shape == (4,)


def test_log1mexp_keeps_its_digits() -> None:
    distances = torch.tensor([1e-6, 1e-3, 0.5, 0.7, 5.0, 40.0])

    with localcontext(prec=40):
        exact = [float((1 - (-Decimal(distance)).exp()).ln()) for distance in distances.tolist()]

    assert np.allclose(log1mexp(distances).numpy(), exact, rtol=1e-5, atol=0)


def test_the_loss_of_corn_is_the_sum_of_its_conditional_binary_losses() -> None:
    grades = (0, 1, 2, 3, 4)
    layer, raw = layer_of("corn", grades), 3 * torch.randn(60, 4)
    assert isinstance(layer, CornOutput)
    classes = torch.randint(5, (60,))

    of_logits = F.cross_entropy(layer(raw), classes, reduction="sum")

    steps, binary = raw + layer.step_offset, torch.zeros(())
    for step in range(4):  # Shi, Cao, Raschka 2021, section 3: task k sees those of grade k or higher
        seen = classes >= step
        above = (classes[seen] > step).float()
        binary = binary + F.binary_cross_entropy_with_logits(steps[seen, step], above, reduction="sum")
    assert torch.allclose(of_logits, binary, rtol=1e-5)


def test_of_cumulative_logits_the_most_likely_grade_never_falls_as_the_channel_rises() -> None:
    layer = random_layer("cumulative", (0, 1, 2, 3, 4))
    raw = torch.linspace(-80, 80, 2000)[:, None]

    winners = layer(raw).argmax(dim=1)

    assert bool((winners.diff() >= 0).all())
    assert {int(winners[0]), int(winners[-1])} == {0, 4}


@pytest.mark.parametrize("order", MODELS)
@pytest.mark.parametrize("name", BY_STEPS)
def test_every_network_learns_with_every_order(build, pictures, places, name: NetworkName, order: Order) -> None:
    network = build(name, width=8, n_classes=5, order=order, grades=(4, 0, 2, 1))
    images, rows, cols = places
    classes = torch.tensor([0, 1, 2, 4, 4, 2, 1, 0, 3])
    optimiser = torch.optim.Adam(network.decoder_parameters(), lr=1e-3)
    losses = []

    with torch.no_grad():
        sparse, dense = network.logits_at(pictures, images, rows, cols), network(pictures)
    for _ in range(4):
        loss = point_loss(network.logits_at(pictures, images, rows, cols), classes, torch.ones(9))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))

    assert dense.shape == (2, 5, 45, 71)
    assert torch.allclose(sparse, dense[images, :, rows.long(), cols.long()], atol=1e-3)
    assert losses[-1] < losses[0]
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.output.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_without_grades_a_network_is_what_it_was(build, name: NetworkName) -> None:
    network = build(name, width=8)

    assert not list(network.output.parameters())
    assert not [key for key in network.state_dict() if key.startswith("output")]
    assert network.n_raw == 3
    assert set(network.spec.to_dict()).isdisjoint({"order", "grades"})


@pytest.mark.parametrize("order", MODELS)
def test_an_fcn_with_grades_grows_into_a_finer_one_that_says_the_same(build, pictures, order: Order) -> None:
    settings = {"n_classes": 5, "order": order, "grades": (4, 0, 2, 1)}
    coarse = build("fcn32s", **settings)

    finer = grown(coarse, NetworkSpec(NetworkName.FCN8S, **settings))

    with torch.no_grad():
        assert torch.equal(coarse(pictures), finer(pictures))


def test_a_network_without_order_does_not_grow_into_one_with_it(build) -> None:
    coarse = build("fcn32s", n_classes=5)

    with pytest.raises(InvalidSetting) as refused:
        grown(coarse, NetworkSpec(NetworkName.FCN8S, n_classes=5, order="corn", grades=(0, 1, 2)))

    assert "order of grades" in str(refused.value)


def test_a_linear_head_of_raw_channels_is_what_the_network_then_gives(build, pictures, places) -> None:
    network = build("fcn2s", upsampling="bilinear", n_classes=5, order="cumulative", grades=(4, 0, 2, 1))
    width = sum(channels for _, channels in network.feature_order)
    weights, bias = 0.01 * torch.randn(network.n_raw, width), torch.randn(network.n_raw)

    set_linear_head(network, weights, bias)

    with torch.no_grad():
        features = network.features_at(pictures, *places)
        expected = network.output(features @ weights.T + bias)
        assert torch.allclose(network.logits_at(pictures, *places), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("class_ids", "grades", "order", "places"),
    [
        ((3, 5, 7), (7, 5, 3), None, (2, 1, 0)),
        ((3, 5, 7), (7, 5, 3), "none", ()),
        ((3, 5, 7), (), None, ()),
        ((3, 5, 7), (9, 5), None, ()),
        ((3, 5, 7), (9, 7, 5), None, (2, 1)),
        ((3, 5), (5, 3), None, ()),
        ((3, 5), (9, 5, 3), "corn", ()),
        ((3, 5, 7, 9), (9, 1, 3, 7), "corn", (3, 0, 2)),
    ],
)
def test_grades_are_the_places_of_those_that_training_sees(class_ids, grades, order, places) -> None:
    spec = NetworkSpec(NetworkName.UNET, len(class_ids), order=order)

    ordered = with_order(spec, class_ids=class_ids, grades=grades)

    assert ordered.grades == places
    assert ordered.order == ((order or "cumulative") if places else None)
    assert NetworkSpec.from_dict(ordered.to_dict()) == ordered


@pytest.mark.parametrize(
    "settings",
    [
        {"grades": (0, 1)},
        {"grades": (0, 1), "order": "none"},
        {"grades": (0,), "order": "corn"},
        {"grades": (0, 0), "order": "corn"},
        {"grades": (0, 3), "order": "corn"},
        {"order": "rising"},
    ],
)
def test_grades_that_make_no_sense_are_refused(settings) -> None:
    with pytest.raises(InvalidSetting):
        NetworkSpec(NetworkName.UNET, 3, **settings)
