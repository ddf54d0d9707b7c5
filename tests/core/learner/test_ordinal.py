"""The cumulative logit model: laws of its loss, and of the head that holds it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit

from fcnlab.core.learner.head import PENALTY, Head, Samples, fit_head, kept_head, point_weights
from fcnlab.core.learner.ordinal import DIRECTION_PENALTY, OrdinalLoss, grade_log_probabilities
from fcnlab.core.learner.signed_scores import (
    class_scores,
    margins,
    n_scores,
    probabilities_of,
    signed_scores_of,
)

WIDTH = 30
GRADES = (6, 2, 9, 4)
"""Class ids in the order of the grades: not the order of the ids."""


def graded_samples(class_ids=GRADES, *, n_each: int = 15, noise: float = 1.0, seed: int = 0) -> Samples:
    """Samples (N, WIDTH) whose first feature rises with the place of their class in `class_ids`."""
    rng = np.random.default_rng(seed)
    places = np.repeat(np.arange(len(class_ids)), n_each)
    features = rng.normal(size=(len(places), WIDTH)) * 0.5
    features[:, 0] = places + rng.normal(size=len(places)) * noise
    order = rng.permutation(len(places))
    weights = rng.uniform(0.5, 1.5, len(places)).astype(np.float32)
    return Samples(features[order].astype(np.float32), np.asarray(class_ids)[places][order], weights)


def loss_of(n_grades: int = 4, seed: int = 0) -> tuple[OrdinalLoss, Samples, np.ndarray]:
    samples = graded_samples(tuple(range(n_grades)), seed=seed)
    weights = point_weights(samples.class_ids, samples.weights, tuple(range(n_grades)), "balanced")
    targets = samples.class_ids.astype(np.int64)
    return (
        OrdinalLoss(samples.features, targets, weights, n_grades=n_grades, penalty=DIRECTION_PENALTY),
        samples,
        weights,
    )


def defined_loss(position: np.ndarray, samples: Samples, weights: np.ndarray) -> float:
    """Minus the weighted log likelihood plus the penalty, as McCullagh 1980 writes the likelihood down."""
    direction, thresholds = position[:WIDTH], position[WIDTH:]
    below = expit(np.concatenate([[-np.inf], thresholds, [np.inf]]) - (samples.features @ direction)[:, None])
    likelihoods = np.diff(below, axis=1)[np.arange(len(weights)), samples.class_ids]
    return float(-(weights * np.log(likelihoods)).sum() + DIRECTION_PENALTY / 2 * direction @ direction)


def scores_at(samples: Samples, head: Head) -> np.ndarray:
    """Scores (1 or K, N) at samples."""
    weights, bias = margins(head)
    scores = class_scores((samples.features @ weights.T + bias).T, head)
    assert len(scores) == n_scores(head)
    return scores


def log_odds(samples: Samples, head: Head) -> np.ndarray:
    """(K, N) up to a number per sample."""
    scores = scores_at(samples, head)
    return np.concatenate([np.zeros_like(scores), scores]) if len(scores) == 1 else scores


def probabilities(samples: Samples, head: Head) -> np.ndarray:
    """(N, K) at samples."""
    return probabilities_of(signed_scores_of(scores_at(samples, head))).T


@pytest.mark.parametrize("n_grades", [3, 4, 7])
def test_the_gradient_is_that_of_the_likelihood(n_grades: int):
    loss, samples, weights = loss_of(n_grades)
    rng = np.random.default_rng(1)

    for _ in range(5):
        thresholds = np.cumsum(rng.uniform(0.3, 2, n_grades - 1)) - 2
        place = np.concatenate([rng.normal(size=WIDTH) * 0.5, thresholds])
        wanted = approx_fprime(place, defined_loss, 1e-6, samples, weights)

        assert np.allclose(loss.gradient_at(place), wanted, atol=1e-4)


def test_the_loss_is_convex_where_thresholds_are_in_order_and_where_they_are_not():
    loss, samples, weights = loss_of()
    rng = np.random.default_rng(2)

    for _ in range(200):
        ends = rng.normal(size=(2, WIDTH + 3)) * rng.choice([0.3, 3.0])
        gradients = [loss.gradient_at(end) for end in ends]
        assert (gradients[1] - gradients[0]) @ (ends[1] - ends[0]) >= 0

        ends *= 0.3
        ends[:, WIDTH:] = np.cumsum(np.abs(ends[:, WIDTH:]) + 0.01, axis=1)
        values = [defined_loss(place, samples, weights) for place in (*ends, ends.mean(axis=0))]
        assert values[2] <= (values[0] + values[1]) / 2 + 1e-9


def test_the_gradient_has_no_step_where_the_loss_is_continued():
    loss, _, _ = loss_of()
    rng = np.random.default_rng(3)
    start, way = rng.normal(size=(2, WIDTH + 3))
    start[WIDTH:], way[:WIDTH], way[WIDTH:] = (-1.0, 0.0, 1.0), 0, (0.0, -1.0, 0.0)  # the lowest gap shrinks, and turns

    steps = np.linspace(0.5, 1.5, 4001)
    along = np.array([way @ loss.gradient_at(start + step * way) for step in steps])

    assert (np.diff(along) >= 0).all()
    assert np.diff(along).max() < 0.02 * (along[-1] - along[0])


@pytest.mark.parametrize("rare", [1, 0.01, 1e-5])
def test_thresholds_at_the_minimum_are_as_far_apart_as_is_promised(rare: float):
    samples = graded_samples((0, 1, 2, 3), noise=3.0)
    samples = replace(samples, weights=np.where(samples.class_ids == 2, rare, samples.weights).astype(np.float32))

    head = fit_head(samples, grades=(0, 1, 2, 3), class_weight="none", regularisation=100.0)

    shares = point_weights(samples.class_ids, samples.weights, (), "none")
    shares = np.bincount(samples.class_ids, shares)[1:-1]
    assert head.scale is not None
    assert (np.diff(head.scale.thresholds) >= np.log1p(shares / (1 - shares)) * 0.99 - 1e-6).all()


def test_the_fit_is_where_the_likelihood_of_grades_is_flat():
    samples = graded_samples((0, 1, 2, 3))
    head = fit_head(samples, grades=(0, 1, 2, 3))
    assert head.scale is not None

    loss, _, _ = loss_of()

    assert np.abs(loss.gradient_at(np.concatenate([head.weights[0], head.scale.thresholds]))).max() < 1e-5


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0), (*GRADES, 0, 12)])
def test_a_warm_fit_ends_where_a_cold_one_does(class_ids):
    samples = graded_samples(class_ids)
    part = Samples(samples.features[3:], samples.class_ids[3:], samples.weights[3:])

    cold = fit_head(samples, grades=GRADES)
    for earlier in (
        fit_head(part, grades=GRADES),
        fit_head(part, grades=GRADES[::-1]),
        fit_head(part, grades=GRADES[:3]),
        fit_head(part),
        fit_head(graded_samples((3, 4)), grades=GRADES),
    ):
        warm = fit_head(samples, grades=GRADES, start=earlier)
        assert np.abs(probabilities(samples, cold) - probabilities(samples, warm)).max() < 1e-3

    plain, after = fit_head(samples), fit_head(samples, start=cold)
    assert np.abs(probabilities(samples, plain) - probabilities(samples, after)).max() < 1e-3


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0, 12)])
def test_a_fit_that_goes_on_from_the_last_one_needs_fewer_gradients_and_none_without_news(class_ids):
    samples = graded_samples(class_ids, n_each=60)
    part = Samples(samples.features[1:], samples.class_ids[1:], samples.weights[1:])

    cold = fit_head(samples, grades=GRADES)

    assert fit_head(samples, grades=GRADES, start=fit_head(part, grades=GRADES)).gradients < cold.gradients
    assert fit_head(samples, grades=GRADES, start=cold).gradients < cold.gradients / 4


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0, 12)])
def test_the_order_of_samples_does_not_matter(class_ids):
    samples = graded_samples(class_ids)
    order = np.random.default_rng(5).permutation(len(samples.class_ids))
    turned = Samples(samples.features[order], samples.class_ids[order], samples.weights[order])

    one, other = (fit_head(these, grades=GRADES) for these in (samples, turned))

    assert np.abs(probabilities(samples, one) - probabilities(samples, other)).max() < 1e-3


@pytest.mark.parametrize("grades", [(3, 7), (7, 3), (3,), (5, 3), ()])
def test_grades_of_two_classes_alone_change_nothing(grades):
    samples = graded_samples((3, 7))

    plain, graded = fit_head(samples), fit_head(samples, grades=grades)

    assert graded.scale is None
    assert np.array_equal(plain.weights, graded.weights)
    assert np.array_equal(plain.bias, graded.bias)


def test_two_grades_among_other_classes_are_told_apart_as_two_classes_are():
    samples = graded_samples((3, 7, 11))
    of_grades = np.isin(samples.class_ids, (3, 7))
    pair = Samples(samples.features[of_grades], samples.class_ids[of_grades], samples.weights[of_grades])

    head = fit_head(samples, grades=(3, 7))
    alone = fit_head(pair, regularisation=DIRECTION_PENALTY * 2 / PENALTY * 3 / 2)  # they weigh two thirds of all

    joint = probabilities(pair, head)[:, :2]
    assert np.abs(joint / joint.sum(axis=1, keepdims=True) - probabilities(pair, alone)).max() < 5e-3


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0), (*GRADES, 0, 12)])
def test_probabilities_sum_to_one_and_those_of_all_grades_are_what_a_head_without_them_says(class_ids):
    samples = graded_samples(class_ids)
    head = fit_head(samples, grades=GRADES)
    others = [class_id for class_id in head.class_ids if class_id not in GRADES]

    given = probabilities(samples, head)

    assert head.class_ids == tuple(sorted(class_ids))
    assert np.allclose(given.sum(axis=1), 1, atol=1e-5)
    if others:
        weights = point_weights(samples.class_ids, samples.weights, head.class_ids, "balanced").astype(np.float32)
        together = np.where(np.isin(samples.class_ids, GRADES), 200, samples.class_ids)
        merged = fit_head(Samples(samples.features, together, weights), class_weight="none")
        wanted = probabilities(samples, merged)[:, : len(others)]
        places = [head.class_ids.index(class_id) for class_id in others]
        assert np.allclose(given[:, places], wanted, atol=1e-5)


def test_probabilities_of_grades_at_most_k_fall_along_the_direction():
    thresholds = np.array([-2.0, -1.99, 0.5, 4.0], np.float32)
    z = np.linspace(-60, 60, 2001, dtype=np.float32)

    shares = np.exp(grade_log_probabilities(z, thresholds).astype(np.float64))

    assert np.isfinite(shares).all()
    assert np.allclose(shares.sum(axis=0), 1, atol=1e-5)
    at_most = np.cumsum(shares, axis=0)[:-1]
    assert (np.diff(at_most, axis=1) <= 1e-6).all()
    assert np.allclose(at_most, expit(thresholds[:, None].astype(np.float64) - z), atol=1e-5)
    assert (np.diff(shares.argmax(axis=0)) >= 0).all()


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0)])
def test_grades_in_reverse_mirror_the_direction_and_change_no_probability(class_ids):
    samples = graded_samples(class_ids)

    up, down = (fit_head(samples, grades=grades) for grades in (GRADES, GRADES[::-1]))

    assert up.scale is not None
    assert down.scale is not None
    assert np.allclose(up.weights[-1], -down.weights[-1], atol=1e-3)
    assert np.allclose(up.scale.thresholds, -down.scale.thresholds[::-1], atol=1e-3)
    assert np.abs(probabilities(samples, up) - probabilities(samples, down)).max() < 1e-3


@pytest.mark.parametrize("left", [(2, 9, 4), (6, 9), (0, 6), (0, 12), (0, 12, 9), (6, 2, 9, 4), (12, 2)])
def test_the_odds_between_classes_that_are_left_stay_what_they_were(left):
    samples = graded_samples((*GRADES, 0, 12))
    head = fit_head(samples, grades=GRADES)
    places = [k for k, class_id in enumerate(head.class_ids) if class_id in left]

    kept = kept_head(head, places)
    again = kept_head(kept, range(len(places)))

    before, after = log_odds(samples, head)[places], log_odds(samples, kept)
    assert kept.class_ids == tuple(sorted(left))
    assert kept.n_outputs == len(kept.weights) == len(kept.bias)
    assert np.abs((before[1:] - before[:1]) - (after[1:] - after[:1])).max() < 1e-4
    assert np.array_equal(log_odds(samples, again), after)


@pytest.mark.parametrize("class_ids", [GRADES, (*GRADES, 0), (*GRADES, 0, 12)])
def test_grades_that_count_less_are_less_sure_and_leave_the_other_classes_alone(class_ids):
    samples = graded_samples(class_ids)
    head = fit_head(samples, grades=GRADES)
    weights, bias = margins(head)
    linear = (samples.features @ weights.T + bias).T

    whole, less = (
        probabilities_of(signed_scores_of(class_scores(linear, head, grade_weight=weight))) for weight in (1, 0.25)
    )

    assert head.scale is not None
    places = list(head.scale.places)
    others = [k for k in range(len(head.class_ids)) if k not in places]
    assert np.abs(whole[others] - less[others]).max(initial=0) < 1e-5
    assert (less[places].max(axis=0) <= whole[places].max(axis=0) + 1e-5).all()
