"""The Dirichlet posterior of class shares, as if every answer told of them alone.

Answers of one image are alike, so the posterior of their plain counts is too narrow; `scaled_posterior` takes the
effective number of answers (`estimates.CoverEstimate`) in place of the plain one.

Reference: Gelman et al. 2013, Bayesian Data Analysis, 3rd ed., sections 2.4, 3.4 and 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc
from scipy.stats import beta

from fcnlab.domain.survey import PRIORS
from fcnlab.errors import InvalidSurvey

IntervalKind = Literal["equal-tailed", "highest-density"]


def pseudo_counts(prior: str | float | Sequence[float], n_classes: int) -> NDArray[np.float64]:
    """(K,) float64 pseudo-counts of a prior given by name (PRIORS), by one number for all classes, or by K numbers.

    Raises:
        InvalidSurvey: a name nobody defined, a wrong number of numbers, or one that is not above zero: the posterior
            of a class without answers would then be no distribution.
    """
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise InvalidSurvey(f"there is no prior '{prior}': take {' or '.join(sorted(PRIORS))}, or numbers")
        prior = PRIORS[prior]
    counts = np.asarray(prior, np.float64)
    if counts.ndim and counts.shape != (n_classes,):
        raise InvalidSurvey(f"the prior has {counts.size} numbers for {n_classes} classes: give one for each")
    if not np.isfinite(counts).all() or (counts <= 0).any():
        raise InvalidSurvey("a prior of zero or less makes no posterior of a class nobody met: take numbers above zero")
    return np.array(np.broadcast_to(counts, n_classes), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class DirichletPosterior:
    """What is known of the shares of K classes: a Dirichlet distribution; a beta distribution for two classes.

    Attributes:
        counts: (K,) float64, answers of each class.
        prior: (K,) float64, pseudo-counts, above zero.
    """

    counts: NDArray[np.float64]
    prior: NDArray[np.float64]

    @property
    def parameters(self) -> NDArray[np.float64]:
        """(K,) float64 parameters of the distribution."""
        return np.asarray(self.counts + self.prior, np.float64)

    @property
    def mean(self) -> NDArray[np.float64]:
        """(K,) float64 expected shares; they add up to one."""
        return np.asarray(self.parameters / self.parameters.sum(), np.float64)

    @property
    def maximum_likelihood(self) -> NDArray[np.float64]:
        """(K,) float64 shares of the answers, without the prior.

        Raises:
            InvalidSurvey: there are no answers.
        """
        if not self.counts.sum() > 0:
            raise InvalidSurvey("without answers no share is likeliest: answer a few points")
        return np.asarray(self.counts / self.counts.sum(), np.float64)

    @property
    def mode(self) -> NDArray[np.float64]:
        """(K,) float64 shares where the density is highest (maximum a posteriori).

        A class whose parameter is 1 or less lies on the boundary: its density falls from share 0 on (at less than 1 it
        is infinite there), so that its share is 0 and the others are those of a Dirichlet without it.

        Raises:
            InvalidSurvey: no parameter is above 1, so that the density has no highest place inside and several, or
                all places alike, on the boundary.
        """
        excess = np.maximum(self.parameters - 1, 0)
        if not excess.sum() > 0:
            raise InvalidSurvey(
                "the posterior has no single mode while no class has more than one answer and pseudo-count together: "
                "answer more points, or take the mean"
            )
        return np.asarray(excess / excess.sum(), np.float64)

    def intervals(
        self, level: float = 0.9, kind: IntervalKind = "equal-tailed"
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper ends (K,) float64 of the credible interval of each class.

        Args:
            level: probability that the share lies inside.
            kind: as much probability below as above, or the shortest interval (see `highest_density`).
        """
        a, b = self.parameters, self.parameters.sum() - self.parameters
        if kind == "equal-tailed":
            return beta.ppf((1 - level) / 2, a, b), beta.ppf((1 + level) / 2, a, b)
        ends = np.array([highest_density(*pair, level=level) for pair in zip(a.tolist(), b.tolist(), strict=True)])
        return ends[:, 0], ends[:, 1]

    def densities(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, n) float64 density of the share of each class at shares (n,) above 0 and below 1."""
        a, b = self.parameters, self.parameters.sum() - self.parameters
        return np.asarray(beta.pdf(shares, a[:, None], b[:, None]), np.float64)

    def draws(self, rng: np.random.Generator, n_draws: int) -> NDArray[np.float64]:
        """(n_draws, K) float64 shares drawn from the posterior."""
        return rng.dirichlet(self.parameters, n_draws)

    def predictive(self, rng: np.random.Generator, n_answers: int, n_draws: int) -> NDArray[np.int64]:
        """(n_draws, K) int64 answers of each class among further ones: draws of a Dirichlet-multinomial."""
        return rng.multinomial(n_answers, self.draws(rng, n_draws))

    def probability_more(self, class_index: int, other: int) -> float:
        """Probability that one class covers more than another; exact, since p / (p + q) of the two is beta."""
        a, b = self.parameters[class_index], self.parameters[other]
        return float(betainc(b, a, 0.5))


def posterior_of(
    counts: NDArray[np.integer] | NDArray[np.floating], prior: str | float | Sequence[float] = "jeffreys"
) -> DirichletPosterior:
    """The posterior of shares after counts (K,) of answers.

    Raises:
        InvalidSurvey: counts below zero, or a prior that `pseudo_counts` refuses.
    """
    values = np.asarray(counts, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all() or values.min() < 0:
        raise InvalidSurvey("a posterior takes one count, zero or more, for each of at least two classes")
    return DirichletPosterior(values, pseudo_counts(prior, len(values)))


def scaled_posterior(
    shares: NDArray[np.float64], effective_answers: float, prior: str | float | Sequence[float] = "jeffreys"
) -> DirichletPosterior:
    """The posterior after so many independent answers with these shares (K,): what clustered answers are worth.

    Args:
        shares: zero or more; they are scaled to add up to one.
        effective_answers: finite, zero or more; `CoverEstimate.effective_answers` pooled over classes.
    """
    total = float(np.sum(shares))
    if not total > 0 or not np.isfinite(effective_answers):
        raise InvalidSurvey("a posterior takes shares that are not all zero and a finite number of answers")
    return posterior_of(np.asarray(shares, np.float64) * (effective_answers / total), prior)


def highest_density(a: float, b: float, *, level: float) -> tuple[float, float]:
    """The shortest interval that holds a share of Beta(a, b) with this probability.

    Where both parameters are below 1 the density has two peaks, no interval is the highest-density region, and the
    equal-tailed one is returned.
    """
    if a < 1 and b < 1:
        return float(beta.ppf((1 - level) / 2, a, b)), float(beta.ppf((1 + level) / 2, a, b))
    if a <= 1 and b >= 1 and a != b:
        return 0.0, float(beta.ppf(level, a, b))
    if b <= 1 and a >= 1 and a != b:
        return float(beta.ppf(1 - level, a, b)), 1.0

    def width(below: float) -> float:
        return float(beta.ppf(below + level, a, b) - beta.ppf(below, a, b))

    below = float(minimize_scalar(width, bounds=(0.0, 1 - level), method="bounded", options={"xatol": 1e-9}).x)
    return float(beta.ppf(below, a, b)), float(beta.ppf(min(1.0, below + level), a, b))


@dataclass(frozen=True, slots=True)
class Compared:
    """A quantity of two populations by draws: its median, the ends of its interval, and P(first above second)."""

    median: float
    low: float
    high: float
    level: float
    probability_more: float


def difference_of(first: NDArray[np.float64], second: NDArray[np.float64], level: float = 0.9) -> Compared:
    """How much more the first covers than the second, from draws (n_draws,) of the share in each."""
    return _compared(first - second, first, second, level)


def ratio_of(first: NDArray[np.float64], second: NDArray[np.float64], level: float = 0.9) -> Compared:
    """How many times as much the first covers as the second, from draws (n_draws,) of the share in each.

    Infinite where the second may be zero.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(second > 0, first / second, np.where(first > 0, np.inf, 1.0))
    return _compared(ratios, first, second, level)


def _compared(
    values: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64], level: float
) -> Compared:
    """Quantiles that are draws themselves, so that infinite ones stay what they are."""
    low, median, high = np.quantile(values, [(1 - level) / 2, 0.5, (1 + level) / 2], method="inverted_cdf")
    more = float(np.mean(first > second) + np.mean(first == second) / 2)
    return Compared(float(median), float(low), float(high), level, more)
