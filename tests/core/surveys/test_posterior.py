from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from fcnlab.core.surveys.posterior import (
    difference_of,
    highest_density,
    posterior_of,
    pseudo_counts,
    ratio_of,
    scaled_posterior,
)
from fcnlab.errors import InvalidSurvey


def test_the_mean_after_a_uniform_prior_is_laplaces_rule() -> None:
    posterior = posterior_of(np.array([7, 2, 0]), "uniform")

    assert posterior.mean == pytest.approx(np.array([8, 3, 1]) / 12)
    assert posterior.maximum_likelihood == pytest.approx([7 / 9, 2 / 9, 0])
    assert posterior.mode == pytest.approx([7 / 9, 2 / 9, 0])


def test_two_classes_have_a_beta_posterior() -> None:
    low, high = posterior_of(np.array([3, 9]), "jeffreys").intervals(0.8)

    assert low[0] == pytest.approx(beta.ppf(0.1, 3.5, 9.5))
    assert high[0] == pytest.approx(beta.ppf(0.9, 3.5, 9.5))
    assert low[1] == pytest.approx(1 - high[0])


def test_densities_are_those_of_the_share_of_each_class() -> None:
    posterior = posterior_of(np.array([4, 9, 0]), "uniform")
    shares = (np.arange(20_000) + 0.5) / 20_000

    densities = posterior.densities(shares)

    assert densities.mean(axis=1) == pytest.approx(np.ones(3), rel=1e-4)
    assert (densities * shares).mean(axis=1) == pytest.approx(posterior.mean, rel=1e-4)


def test_a_class_with_a_parameter_of_one_or_less_has_its_mode_at_zero() -> None:
    assert posterior_of(np.array([5, 3, 0]), 0.5).mode == pytest.approx([4.5 / 7, 2.5 / 7, 0])
    with pytest.raises(InvalidSurvey, match="no single mode"):
        _ = posterior_of(np.array([0, 0]), "uniform").mode


def test_without_answers_no_share_is_likeliest_but_the_prior_has_a_mean() -> None:
    posterior = posterior_of(np.zeros(4), "jeffreys")

    assert posterior.mean == pytest.approx(np.full(4, 0.25))
    with pytest.raises(InvalidSurvey, match="answer a few points"):
        _ = posterior.maximum_likelihood


@pytest.mark.parametrize("prior", [0, -1.0, [1, 0], float("nan"), float("inf"), "flat", [1, 2, 3]])
def test_priors_that_make_no_posterior_are_refused(prior: str | float | list[float]) -> None:
    with pytest.raises(InvalidSurvey):
        pseudo_counts(prior, 2)


@pytest.mark.parametrize("counts", [[3], [1, -1], [1, float("nan")], [[1, 2], [3, 4]]])
def test_counts_that_are_none_are_refused(counts: list[float]) -> None:
    with pytest.raises(InvalidSurvey):
        posterior_of(np.array(counts))


def test_numbers_of_the_users_are_pseudo_counts() -> None:
    assert posterior_of(np.array([4, 6]), [2, 8]).mean == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize(("a", "b"), [(3.0, 40.0), (40.0, 3.0), (12.0, 12.0), (0.5, 30.0), (30.0, 0.5), (1.0, 9.0)])
def test_the_highest_density_interval_holds_as_much_and_is_no_wider(a: float, b: float) -> None:
    low, high = highest_density(a, b, level=0.9)
    tails = beta.ppf([0.05, 0.95], a, b)

    assert beta.cdf(high, a, b) - beta.cdf(low, a, b) == pytest.approx(0.9, abs=1e-6)
    assert high - low <= tails[1] - tails[0] + 1e-9


def test_the_highest_density_interval_of_a_skewed_posterior_is_shorter() -> None:
    posterior = posterior_of(np.array([1, 49]))
    shortest, tails = posterior.intervals(0.9, "highest-density"), posterior.intervals(0.9)

    assert (shortest[1] - shortest[0])[0] < 0.95 * (tails[1] - tails[0])[0]


def test_draws_have_the_mean_and_the_quantiles_of_the_posterior() -> None:
    posterior = posterior_of(np.array([30, 60, 10]))

    draws = posterior.draws(np.random.default_rng(0), 40_000)

    assert draws.sum(axis=1) == pytest.approx(1)
    assert draws.mean(axis=0) == pytest.approx(posterior.mean, abs=0.002)
    assert np.quantile(draws, 0.05, axis=0) == pytest.approx(posterior.intervals(0.9)[0], abs=0.003)


def test_the_probability_that_a_class_covers_more_is_that_of_draws() -> None:
    posterior = posterior_of(np.array([14, 10, 40]))
    draws = posterior.draws(np.random.default_rng(1), 60_000)

    more = posterior.probability_more(0, 1)

    assert more == pytest.approx(np.mean(draws[:, 0] > draws[:, 1]), abs=0.006)
    assert more + posterior.probability_more(1, 0) == pytest.approx(1)
    assert posterior_of(np.array([5, 5])).probability_more(0, 1) == pytest.approx(0.5)


def test_further_answers_vary_more_than_those_of_a_known_share() -> None:
    posterior = posterior_of(np.array([10, 10]))

    further = posterior.predictive(np.random.default_rng(2), 50, 20_000)

    assert (further.sum(axis=1) == 50).all()
    a = b = 10.5
    assert further[:, 0].mean() == pytest.approx(25, abs=0.2)
    assert further[:, 0].var() == pytest.approx(50 * 0.25 * (a + b + 50) / (a + b + 1), rel=0.05)


def test_fewer_effective_answers_make_a_wider_posterior_of_the_same_shares() -> None:
    counts = np.array([20, 60, 20])
    plain, scaled = posterior_of(counts), scaled_posterior(counts / 100, 25.0)

    assert scaled.maximum_likelihood == pytest.approx(plain.maximum_likelihood)
    assert scaled.counts.sum() == pytest.approx(25)
    widths = [np.subtract(*posterior.intervals()[::-1]) for posterior in (scaled, plain)]
    assert (widths[0] / widths[1] > 1.7).all()
    with pytest.raises(InvalidSurvey):
        scaled_posterior(np.zeros(2), 10)
    with pytest.raises(InvalidSurvey):
        scaled_posterior(np.ones(2), np.inf)


def test_differences_and_ratios_are_those_of_the_draws() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.beta(40, 60, 50_000), rng.beta(20, 80, 50_000)

    difference, ratio = difference_of(first, second), ratio_of(first, second)

    assert difference.low < difference.median < difference.high
    assert difference.median == pytest.approx(0.2, abs=0.01)
    assert ratio.median == pytest.approx(2, abs=0.05)
    assert difference.probability_more == ratio.probability_more > 0.99
    swapped = difference_of(second, first)
    assert swapped.low == pytest.approx(-difference.high, abs=1e-3)
    assert swapped.probability_more == pytest.approx(1 - difference.probability_more)


def test_a_ratio_to_nothing_is_infinite_and_to_itself_even() -> None:
    nothing, something = np.zeros(100), np.full(100, 0.1)

    assert ratio_of(something, nothing).median == np.inf
    assert ratio_of(nothing, nothing).median == 1
    assert ratio_of(nothing, nothing).probability_more == 0.5
