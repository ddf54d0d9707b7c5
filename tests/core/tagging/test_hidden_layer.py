from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from fcnlab.core.tagging.hidden_layer import DIRECTIONS, HIDDEN, answer_weights, directions_of, gradient, train


def test_the_gradient_is_that_of_torch() -> None:
    rng = np.random.default_rng(0)
    shapes = ((2, 5, HIDDEN), (2, 1, HIDDEN), (2, HIDDEN, 3), (2, 1, 3))
    layers = tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)
    places = rng.normal(size=(9, 5)).astype(np.float32)
    answers = rng.integers(-1, 2, (9, 3)).astype(np.int8)
    weights = np.stack([answer_weights(answers)] * 2)
    units = (rng.random((2, HIDDEN, 1)) < 0.5).astype(np.float32) * 2
    targets = (answers == 1).astype(np.float32)
    inner, inner_bias, outer, outer_bias = (torch.from_numpy(layer).requires_grad_() for layer in layers)
    hidden = torch.tanh(torch.from_numpy(places) @ inner + inner_bias)
    scores = hidden @ (outer * torch.from_numpy(units)) + outer_bias
    F.binary_cross_entropy_with_logits(
        scores, torch.from_numpy(targets).expand(2, 9, 3), weight=torch.from_numpy(weights), reduction="sum"
    ).backward()

    slopes = gradient(layers, places, targets, weights, units)  # type: ignore[arg-type]

    for slope, parameter in zip(slopes, (inner, inner_bias, outer, outer_bias), strict=True):
        assert parameter.grad is not None
        np.testing.assert_allclose(slope, parameter.grad.numpy(), atol=1e-5)


def test_yes_and_no_of_a_tag_count_alike_and_unknown_nothing() -> None:
    answers = np.array([[1, -1], [0, 1], [0, 0], [0, -1]], np.int8)

    weights = answer_weights(answers)

    assert weights[answers == -1].sum() == 0
    for tag in range(2):
        assert np.isclose(weights[answers[:, tag] == 1, tag].sum(), weights[answers[:, tag] == 0, tag].sum())
    assert np.isclose(weights.sum(), 1)


def test_a_network_is_the_same_whatever_is_trained_beside_it() -> None:
    rng = np.random.default_rng(1)
    places, answers = rng.normal(size=(300, 4)).astype(np.float32), rng.integers(0, 2, (300, 2)).astype(np.int8)
    weights = answer_weights(answers)

    alone, beside = (train(places, answers, np.stack([weights] * count), seed=3) for count in (1, 5))

    np.testing.assert_allclose(alone.log_odds(places)[0], beside.log_odds(places)[0], atol=1e-4)
    assert not np.allclose(beside.log_odds(places)[0], beside.log_odds(places)[1], atol=1e-2)


def test_directions_keep_the_distances_of_few_images() -> None:
    features = np.random.default_rng(2).normal(size=(12, 200)).astype(np.float32) * 7 + 100
    features[:, 5] = 1.0
    standardised = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-3) / 200**0.5

    places = directions_of(features, seed=0).along(features)

    assert places.shape[1] <= min(11, DIRECTIONS)
    np.testing.assert_allclose(places @ places.T, standardised @ standardised.T, atol=1e-3)
