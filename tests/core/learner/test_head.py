from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from fcnlab.core.learner.descent import Curvature, descend
from fcnlab.core.learner.head import BIAS_PENALTY, PENALTY, Samples, fit_head, point_weights
from fcnlab.core.learner.inverse_hessian import inverse_hessian, sample_keys
from fcnlab.errors import NoPoints


def blobs(n_classes: int, n_each: int = 20, width: int = 40) -> Samples:
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(n_classes) * 3, n_each)
    features = rng.normal(size=(len(ids), width)) * 0.5
    features[:, 0] += ids / 3
    return Samples(features.astype(np.float32), ids.astype(np.int64), np.ones(len(ids), np.float32))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_fit_is_where_the_penalised_point_loss_is_flat(n_classes: int):
    samples = blobs(n_classes)
    head = fit_head(samples)

    weights = point_weights(samples.class_ids, samples.weights, head.class_ids, "balanced")
    residual = softmax(samples.features @ head.weights.T + head.bias, axis=1)
    residual -= samples.class_ids[:, None] == np.array(head.class_ids)
    by_weight = (residual * weights[:, None]).T @ samples.features + PENALTY * head.weights
    by_bias = (residual * weights[:, None]).sum(axis=0) + BIAS_PENALTY * PENALTY * head.bias

    assert np.abs(by_weight).max() < 1e-5
    assert np.abs(by_bias).max() < 1e-5


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_warm_fit_ends_where_a_cold_one_does(n_classes: int):
    samples = blobs(n_classes)
    part = Samples(samples.features[1:], samples.class_ids[1:], samples.weights[1:])

    cold = fit_head(samples)
    warm = fit_head(samples, start=fit_head(part))

    by_cold, by_warm = (softmax(samples.features @ one.weights.T + one.bias, axis=1) for one in (cold, warm))
    assert np.abs(by_cold - by_warm).max() < 1e-3


def test_a_start_with_other_classes_leads_to_the_same_minimum():
    samples = blobs(3)

    cold, warm = fit_head(samples), fit_head(samples, start=fit_head(blobs(2)))

    assert warm.class_ids == (0, 3, 6)
    assert np.abs(cold.weights - warm.weights).max() < 5e-3


def test_balanced_weights_give_every_class_the_same_share():
    ids = np.array([0, 0, 0, 7])

    weights = point_weights(ids, np.ones(4, np.float32), (0, 7), "balanced")

    assert np.isclose(weights[:3].sum(), 0.5)
    assert np.isclose(weights[3], 0.5)


def test_unbalanced_weights_give_every_point_the_same_share():
    weights = point_weights(np.array([0, 0, 0, 7]), np.ones(4, np.float32), (0, 7), "none")

    assert np.allclose(weights, 0.25)


@pytest.mark.parametrize(("n_classes", "said"), [(1, "class 0.*second class"), (0, "no points yet")])
def test_too_few_classes_are_refused_with_what_is_missing(n_classes: int, said: str):
    with pytest.raises(NoPoints, match=said):
        fit_head(blobs(n_classes))


def test_descent_finds_the_minimum_of_a_badly_scaled_bowl_and_remembers_it():
    scales, goal = np.array([1.0, 30.0, 1000.0]), np.array([1.0, -2.0, 3.0])
    calls = []

    def gradient_at(place):
        calls.append(place)
        return scales * (place - goal)

    found, curvature = descend(gradient_at, np.zeros(3), curvature=Curvature(), tolerance=1e-9, max_steps=100)
    n_cold = len(calls)
    again, _ = descend(gradient_at, np.zeros(3), curvature=curvature, tolerance=1e-9, max_steps=100)

    assert np.allclose(found, goal)
    assert np.allclose(again, goal)
    assert len(calls) - n_cold < n_cold


def test_descent_finds_the_minimum_whatever_it_was_told_of_the_curvature():
    scales, goal = np.array([1.0, 30.0, 1000.0]), np.array([1.0, -2.0, 3.0])

    for wrong in (lambda v: -v, lambda v: v * np.nan, lambda v: 0 * v, lambda v: v / scales[::-1]):
        found, _ = descend(
            lambda place: scales * (place - goal),
            np.zeros(3),
            curvature=Curvature(),
            tolerance=1e-9,
            max_steps=300,
            precondition=wrong,
        )
        assert np.allclose(found, goal)


def test_an_inverse_hessian_takes_in_samples_one_by_one_as_if_all_had_been_there():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(40, 60)).astype(np.float32)
    curvatures, penalty = rng.uniform(0.01, 0.2, 40), np.append(np.full(60, 0.1), 0.001)
    keys = sample_keys(features, np.zeros(40, np.int64))
    whole = inverse_hessian(features, curvatures, keys, penalty)

    grown = inverse_hessian(features[:30], curvatures[:30], keys[:30], penalty)
    for index in range(30, 40):
        assert list(np.flatnonzero(grown.is_new(keys))) == list(range(index, 40))
        grown = grown.with_samples(features[[index]], curvatures[[index]], keys[[index]])

    matrix = grown.matrix - grown.added.T @ grown.added
    assert np.allclose(matrix, whole.matrix, atol=1e-3 * np.abs(whole.matrix).max())
    assert len(set(keys.tolist()) | set(sample_keys(features, np.ones(40, np.int64)).tolist())) == 80
