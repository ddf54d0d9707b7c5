"""Intervals of shares: what clustered answers are worth in independent ones, and the interval of so many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm, t

from fcnlab.core.surveys.sampling_error import satterthwaite

POOLED_ANSWERS = 10.0
"""The design effect of a class counts as much as that of all classes when so many answers make up its variance."""

MOST_DEGREES = 1e6
"""Of freedom; more make no difference."""


@dataclass(frozen=True, slots=True, eq=False)
class CoverError:
    """What is known of the errors of K shares; arrays are (K,) float64.

    Attributes:
        variances: estimated, answers of an image being alike (`sampling_error.two_stage_error`).
        degrees: degrees of freedom of the variances; infinite where they are zero.
        from_pixels: the variances if images did not differ.
        independent: the variances if answers were independent.
        answers: how many answers make up each of those.
        unmet: what is added to them for kinds of answers that nobody gave yet.
        unseen: variance that answers do not show.
        usual_effect: the design effect that all classes together are taken to have as long as few answers make up
            the variances. None: what they show.
    """

    variances: NDArray[np.float64]
    degrees: NDArray[np.float64]
    from_pixels: NDArray[np.float64]
    independent: NDArray[np.float64]
    answers: NDArray[np.float64]
    unmet: NDArray[np.float64]
    unseen: NDArray[np.float64]
    usual_effect: float | None = None

    @property
    def design_effect(self) -> float:
        """By how much answers being alike enlarges the variances of all classes; never less than pixels vary."""
        total = float(self.independent.sum())
        if not total > 0:
            return 1.0 if self.usual_effect is None else self.usual_effect
        shown = max(float(self.variances.sum()), float(self.from_pixels.sum())) / total
        if self.usual_effect is None:
            return shown
        n = float(self.answers.sum()) / 2  # an answer that makes up the variance of a class does so of another
        return (n * shown + POOLED_ANSWERS * self.usual_effect) / (n + POOLED_ANSWERS)

    @property
    def trust(self) -> NDArray[np.float64]:
        """(K,) how much of its design effect a class has from its answers and not from all classes, 0 to 1."""
        return np.asarray(self.answers / (self.answers + POOLED_ANSWERS), np.float64)

    @property
    def pooled(self) -> NDArray[np.float64]:
        """(K,) variances to count with: few answers say little of how alike those of an image are.

        Where few answers make up a variance its design effect is mostly that of all classes. Images never vary less
        than pixels of them do, though by luck they may look so: all variances are then made larger.
        """
        shown, least = float(self.variances.sum()), float(self.from_pixels.sum())
        variances = self.variances * max(1.0, least / shown) if shown > 0 else self.from_pixels
        common = self.design_effect
        each = np.divide(variances, self.independent, out=np.full_like(variances, common), where=self.independent > 0)
        effects = self.trust * each + (1 - self.trust) * common
        return np.asarray(effects * self.independent + np.maximum(effects, 1) * self.unmet + self.unseen, np.float64)

    @property
    def pooled_degrees(self) -> NDArray[np.float64]:
        """(K,) degrees of freedom of `pooled`, finite: more where most of it comes from all classes.

        Shares add up to one, so that K classes say as much as K - 1.
        """
        each = np.minimum(self.degrees, MOST_DEGREES)
        of_all = satterthwaite(list(self.variances[:, None]), list(each[:, None]))
        common = max(each.min(), min(MOST_DEGREES, float(of_all[0]) * (len(each) - 1) / len(each)))
        return np.asarray(1 / (self.trust / each + (1 - self.trust) / common), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Ends (K,) of the intervals of K shares, the effective number of answers (K,) behind each, and behind all."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    effective_answers: NDArray[np.float64]
    effective_in_all: float


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


def cover_intervals(shares: NDArray[np.float64], error: CoverError, n_answers: int, level: float) -> Intervals:
    """Intervals of shares (K,) whose errors were estimated from few images.

    The effective number of answers is that of independent ones with the same variance, and less for the degrees of
    freedom; the interval is the Jeffreys interval of so many.

    Reference: Korn and Graubard 1998, Survey Methodology 24:193.
    """
    smooth = (shares * n_answers + 0.5) / (n_answers + 1)
    binomial, variances = smooth * (1 - smooth), error.pooled
    normal = float(norm.ppf((1 + level) / 2))
    penalty = (normal / t.ppf((1 + level) / 2, error.pooled_degrees)) ** 2
    with np.errstate(divide="ignore"):
        effective = np.where(variances > 0, binomial / variances * penalty, np.inf)
    total = float((variances / penalty).sum())
    in_all = float(binomial.sum() / total) if total > 0 else np.inf
    return Intervals(*beta_interval(shares, effective, level), effective, in_all)
