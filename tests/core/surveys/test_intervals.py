from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from scipy.stats import beta, binom

from fcnlab.core.surveys.intervals import CoverError, beta_interval, cover_intervals

SHARES = np.array([0.6, 0.38, 0.02])


def independent_error(n: int) -> CoverError:
    binomial = SHARES * (1 - SHARES) / n
    unmet = np.full(3, 0.5 / n**2)
    return CoverError(binomial, np.full(3, np.inf), 0 * binomial, binomial, SHARES * n, unmet, np.zeros(3))


def test_the_interval_is_that_of_jeffreys() -> None:
    low, high = beta_interval(np.array([0.3]), np.array([50.0]), 0.9)

    assert low[0] == pytest.approx(beta.ppf(0.05, 15.5, 35.5))
    assert high[0] == pytest.approx(beta.ppf(0.95, 15.5, 35.5))


def test_the_ends_of_shares_of_nothing_and_everything_are_nothing_and_everything() -> None:
    low, high = beta_interval(np.array([0.0, 1.0]), np.array([20.0, 20.0]), 0.9)

    assert (low[0], high[1]) == (0, 1)
    assert high[0] == pytest.approx(1 - low[1])
    assert 0.05 < high[0] < 0.15


def test_endless_answers_leave_the_share_and_none_leave_nearly_everything_open() -> None:
    low, high = beta_interval(np.array([0.2, 0.2]), np.array([np.inf, 0.0]), 0.9)

    assert (low[0], high[0]) == (0.2, 0.2)
    assert low[1] < 0.01
    assert high[1] > 0.99


def test_nine_of_ten_intervals_of_independent_answers_hold_the_share() -> None:
    counts = np.arange(201)
    low, high = beta_interval(counts / 200, np.full(201, 200.0), 0.9)

    held = [
        binom.pmf(counts, 200, share)[(low <= share) & (share <= high)].sum() for share in np.linspace(0.01, 0.99, 400)
    ]

    assert np.mean(held) == pytest.approx(0.9, abs=0.01)
    assert min(held) > 0.8


def test_independent_answers_are_worth_what_they_are() -> None:
    intervals = cover_intervals(SHARES, independent_error(500), 500, 0.9)

    assert intervals.effective_answers == pytest.approx(np.full(3, 500), rel=0.02)
    assert intervals.effective_in_all == pytest.approx(500, rel=0.02)


def test_twice_the_variance_halves_what_answers_are_worth() -> None:
    error = independent_error(500)

    intervals = cover_intervals(SHARES, replace(error, variances=2 * error.variances), 500, 0.9)

    assert intervals.effective_answers == pytest.approx(np.full(3, 250), rel=0.02)


def test_few_degrees_of_freedom_make_answers_worth_less() -> None:
    error = replace(independent_error(500), degrees=np.array([2.0, 10.0, 100.0]))

    worth = cover_intervals(SHARES, error, 500, 0.9).effective_answers

    assert worth[0] < 0.4 * 500
    assert 0.7 * 500 < worth[1] < 0.95 * 500


def test_a_rare_class_takes_the_design_effect_of_all_and_a_frequent_one_its_own() -> None:
    error = independent_error(500)
    variances = error.variances * [3.0, 3.0, 0.0]

    pooled = replace(error, variances=variances, answers=np.array([200.0, 190.0, 1.0])).pooled

    assert pooled[:2] / error.independent[:2] == pytest.approx([3, 3], rel=0.05)
    assert pooled[2] / error.independent[2] == pytest.approx(2.75, rel=0.1)


def test_images_never_vary_less_than_their_pixels() -> None:
    error = replace(independent_error(500), from_pixels=independent_error(500).variances)

    for luck in (0.0, 0.2, 1.0):
        lucky = replace(error, variances=luck * error.variances)
        assert lucky.pooled == pytest.approx(error.pooled, rel=1e-6)


def test_a_rare_class_has_more_degrees_of_freedom_than_a_frequent_one_and_two_classes_the_same() -> None:
    error = replace(independent_error(500), degrees=np.full(3, 19.0))
    two = CoverError(*(getattr(error, field.name)[:2] for field in fields(error)[:-1]))

    assert 19 <= error.pooled_degrees[0] < error.pooled_degrees[2] < 60
    assert two.pooled_degrees == pytest.approx([19, 19])


def test_a_design_effect_that_few_answers_show_is_mostly_the_usual_one() -> None:
    error = replace(independent_error(500), usual_effect=4.0)

    few, many = (replace(error, answers=np.full(3, n)).design_effect for n in (0.1, 1000.0))

    assert few == pytest.approx(4, abs=0.1)
    assert many == pytest.approx(1, abs=0.1)


def test_what_answers_do_not_show_is_added() -> None:
    error = independent_error(500)

    assert replace(error, unseen=np.full(3, 1e-3)).pooled == pytest.approx(error.pooled + 1e-3)
    assert (replace(error, unmet=np.full(3, 1e-4)).pooled > error.pooled).all()
