"""Intervals of shares: what clustered answers are worth in independent ones, and the interval of so many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

from fcnlab.core.surveys.sampling_error import SamplingError

POOLED_ANSWERS = 10.0
"""The design effect of a class counts as much as that of all classes when so many answers name it."""


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Ends (K,) of the intervals of K shares, the effective number of answers (K,) behind each, and behind all."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    effective_answers: NDArray[np.float64]
    pooled: float


def beta_interval(
    shares: NDArray[np.float64], answers: NDArray[np.float64], level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper ends (K,) of the Jeffreys interval of shares (K,) met in so many independent answers (K,).

    A share of 0 has 0 as its lower end, a share of 1 has 1 as its upper; endless answers leave the share itself.

    Reference: Brown, Cai and DasGupta 2001, Statistical Science 16:101.
    """
    is_finite = np.isfinite(answers)
    n = np.where(is_finite, answers, 1.0)
    a, b = shares * n + 0.5, (1 - shares) * n + 0.5
    low = np.where(shares <= 0, 0.0, np.minimum(shares, beta.ppf((1 - level) / 2, a, b)))
    high = np.where(shares >= 1, 1.0, np.maximum(shares, beta.ppf((1 + level) / 2, a, b)))
    return np.where(is_finite, low, shares), np.where(is_finite, high, shares)


def cover_intervals(
    shares: NDArray[np.float64], error: SamplingError, counts: NDArray[np.int64], spread, unmet, unseen, events, *, level: float
) -> Intervals:
    """Intervals of shares whose errors were estimated from few images.

    The effective number of answers is that of independent ones with the same variance, and less for the degrees of
    freedom; the interval is the Jeffreys interval of so many. Where few answers name a class its design effect is
    mostly that of all classes.

    Args:
        shares: (K,) 0 to 1.
        error: of the shares, degrees of freedom included.
        counts: (K,) answers that name each class.

    Reference: Korn and Graubard 1998, Survey Methodology 24:193.
    """
    n = float(counts.sum())
    smooth = (shares * n + 0.5) / (n + 1)
    independent = smooth * (1 - smooth) / n
    pooled = error.variances.sum() / max(spread.sum(), 1e-300)
    own_ = np.divide(error.variances, spread, out=np.full(len(spread), pooled), where=spread > 0)
    trust = events / (events + POOLED_ANSWERS)
    variances = (trust * own_ + (1 - trust) * pooled) * (spread + unmet) + unseen
    effects = variances / independent
    pooled = effects.mean()
    quantiles = np.where(np.isfinite(error.degrees), t.ppf((1 + level) / 2, error.degrees), norm.ppf((1 + level) / 2))
    penalty = (norm.ppf((1 + level) / 2) / quantiles) ** 2
    with np.errstate(divide="ignore"):
        effective = np.where(effects > 0, n / effects * penalty, np.inf)
    return Intervals(*beta_interval(shares, effective, level), effective, n / pooled if pooled > 0 else np.inf)
