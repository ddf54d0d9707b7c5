"""How much more of a class there is in one stratum or year than in another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.estimates import ClassCover, CoverEstimate
from fcnlab.core.surveys.posterior import Compared, difference_of, ratio_of
from fcnlab.errors import InvalidSurvey

DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class ClassComparison:
    """How much more (difference of shares) and how many times as much (ratio) the first has of a class."""

    difference: Compared
    ratio: Compared


def compare(
    first: CoverEstimate, second: CoverEstimate, rng: np.random.Generator, *, n_draws: int = DRAWS
) -> tuple[ClassComparison, ...]:
    """Each class of two estimates from different images, compared by draws from the distributions of their shares.

    Where the same images were surveyed twice the intervals are too wide: what stays the same in an image counts twice.

    Raises:
        InvalidSurvey: the estimates are of different classes or levels.
    """
    if len(first.classes) != len(second.classes) or first.level != second.level:
        raise InvalidSurvey("only estimates of the same classes and the same level can be compared")
    pairs = [
        (share_draws(former, rng, n_draws), share_draws(latter, rng, n_draws))
        for former, latter in zip(first.classes, second.classes, strict=True)
    ]
    return tuple(ClassComparison(difference_of(*pair, first.level), ratio_of(*pair, first.level)) for pair in pairs)


def share_draws(cover: ClassCover, rng: np.random.Generator, n_draws: int = DRAWS) -> NDArray[np.float64]:
    """(n_draws,) float64 shares drawn from the beta distribution of which the interval of a class is made."""
    n = cover.effective_answers
    if not np.isfinite(n):
        return np.full(n_draws, cover.share)
    return rng.beta(cover.share * n + 0.5, (1 - cover.share) * n + 0.5, n_draws)
