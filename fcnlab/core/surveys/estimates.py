"""Shares of classes with intervals, from answers alone or with the masks of a model, over strata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from fcnlab.core.surveys.answers import StratumAnswers
from fcnlab.core.surveys.influence import (
    Linearised,
    Tuning,
    model_assisted,
    plain,
    post_stratified,
    predictions_of,
    tuned,
)
from fcnlab.core.surveys.intervals import CoverError, beta_interval, cover_intervals
from fcnlab.core.surveys.sampling_error import effective_number, satterthwaite, two_stage_error
from fcnlab.errors import InvalidSurvey

Method = Literal["as_if_independent", "from_answers", "corrected", "by_confusion"]

OFFERED: tuple[Method, ...] = ("from_answers",)
"""Methods whose 90 % intervals held the truth in no less than 88 % of surveys, on all sets and with all designs that
benchmarks/survey_coverage.py measures. Those with a model came down to 86 % on some, mostly with 20 images."""

LEVEL = 0.9


@dataclass(frozen=True, slots=True)
class ClassCover:
    """The share of a class in all pixels.

    Attributes:
        share: estimated, 0 to 1.
        low, high: ends of its interval.
        n_answers: answers that name the class.
        effective_answers: independent answers that would tell as much; infinite when nothing is left to chance.
        widening: how many times as wide the interval is as one that takes answers as independent.
    """

    share: float
    low: float
    high: float
    n_answers: int
    effective_answers: float
    widening: float


@dataclass(frozen=True, slots=True)
class CoverEstimate:
    """Shares of all classes by a method.

    Attributes:
        method: how they were estimated.
        level: how often intervals hold the truth.
        n_answers, n_images: behind them, over all strata.
        classes: K of them.
        effective_answers: behind all shares together, from their pooled design effect.
    """

    method: Method
    level: float
    n_answers: int
    n_images: int
    classes: tuple[ClassCover, ...]
    effective_answers: float

    @property
    def shares(self) -> NDArray[np.float64]:
        """(K,) float64 shares; with a model they may add up to a little more or less than one."""
        return np.array([cover.share for cover in self.classes])


def as_if_independent(strata: Sequence[StratumAnswers], *, level: float = LEVEL) -> CoverEstimate:
    """Shares of the answers, each counting alike, as if every pixel had been drawn on its own: for comparison only."""
    check_strata(strata, level)
    counts = class_counts(strata)
    n = float(counts.sum())
    low, high = beta_interval(counts / n, np.full(len(counts), n), level)
    classes = tuple(
        ClassCover(float(count / n), float(lower), float(upper), int(count), n, 1.0)
        for count, lower, upper in zip(counts, low, high, strict=True)
    )
    return CoverEstimate("as_if_independent", level, int(n), sum(answers.n_images for answers in strata), classes, n)


def from_answers(strata: Sequence[StratumAnswers], *, level: float = LEVEL) -> CoverEstimate:
    """Shares from the answers alone; intervals count with answers of one image being alike.

    Raises:
        InvalidSurvey: no strata, strata of different classes, a level that is none, or a stratum with one image out
            of several.
    """
    check_strata(strata, level)
    return _estimate("from_answers", strata, _combined(strata, [plain(answers) for answers in strata]), level)


def corrected(strata: Sequence[StratumAnswers], *, level: float = LEVEL) -> CoverEstimate:
    """Shares from answers, corrected by a model that has seen all pixels; its weight is tuned for each class.

    The better the model is, the shorter are the intervals; a useless one hardly makes them longer. They are a little
    too sure where a model is right in nearly all images and wrong in a few large ones, and with 20 images or fewer.

    Raises:
        InvalidSurvey: as in `from_answers`, or a stratum without predictions.

    Reference: Angelopoulos et al. 2023, Science 382:669, and arXiv:2311.01453 (prediction-powered inference).
    """
    check_strata(strata, level)
    tuning = tuned(strata, _parts(strata))
    combined = _with_model(strata, [model_assisted(answers, tuning) for answers in strata])
    return _estimate("corrected", strata, combined, level)


def by_confusion(strata: Sequence[StratumAnswers], *, level: float = LEVEL) -> CoverEstimate:
    """Shares of classes among the answers of each predicted class, weighed by how much of it the model predicts.

    Shares add up to one. Intervals are too sure where those of `corrected` are, and longer with few images.

    Raises:
        InvalidSurvey: as in `corrected`.

    Reference: Olofsson et al. 2014, Remote Sensing of Environment 148:42.
    """
    check_strata(strata, level)
    return _estimate(
        "by_confusion", strata, _with_model(strata, [post_stratified(answers) for answers in strata]), level
    )


ESTIMATORS: dict[Method, Callable[..., CoverEstimate]] = {
    "as_if_independent": as_if_independent,
    "from_answers": from_answers,
    "corrected": corrected,
    "by_confusion": by_confusion,
}


@dataclass(frozen=True, slots=True)
class PredictedCover:
    """The share of a class in the masks of a model, and by how much the answers say that it is too high.

    Attributes:
        share: in all predicted pixels, 0 to 1.
        bias, bias_low, bias_high: predicted minus true share, estimated from the answers, and its interval.
    """

    share: float
    bias: float
    bias_low: float
    bias_high: float
    level: float


def check_strata(strata: Sequence[StratumAnswers], level: float) -> None:
    """Refuse what no share can be estimated from.

    Raises:
        InvalidSurvey: no strata, strata of different classes, or a level that is not between 0 and 1.
    """
    if not strata:
        raise InvalidSurvey("a survey has no strata: add images to it")
    if len({answers.n_classes for answers in strata}) > 1:
        raise InvalidSurvey("the strata of a survey have different classes: give all of them the same list")
    if not 0 < level < 1:
        raise InvalidSurvey(f"the level of an interval is between 0 and 1, not {level}")


def class_counts(strata: Sequence[StratumAnswers]) -> NDArray[np.int64]:
    """(K,) int64 answers of all strata that name each class."""
    return np.asarray(np.sum([answers.class_counts for answers in strata], axis=0), np.int64)


def _parts(strata: Sequence[StratumAnswers]) -> list[float]:
    total = sum(answers.total_size for answers in strata)
    return [answers.total_size / total for answers in strata]


def _combined(
    strata: Sequence[StratumAnswers], linearised: Sequence[Linearised]
) -> tuple[NDArray[np.float64], CoverError]:
    """Shares (K,) of the pixels whose class can be told, and their error: strata weigh by size, variances add up."""
    parts = _parts(strata)
    told = sum(part * linear.told for part, linear in zip(parts, linearised, strict=True))
    totals = np.sum([part * linear.totals for part, linear in zip(parts, linearised, strict=True)], axis=0)
    shares = np.asarray(totals / told, np.float64)
    return shares, _error(strata, linearised, [part / told for part in parts], shares)


def _with_model(
    strata: Sequence[StratumAnswers], linearised: Sequence[Linearised]
) -> tuple[NDArray[np.float64], CoverError]:
    """As `_combined`; as long as a model was hardly seen to err, its errors are taken to be as alike as answers are."""
    shares, error = _combined(strata, linearised)
    of_answers = _combined(strata, [plain(answers) for answers in strata])[1]
    return shares, replace(error, usual_effect=of_answers.design_effect)


def _estimate(
    method: Method,
    strata: Sequence[StratumAnswers],
    combined: tuple[NDArray[np.float64], CoverError],
    level: float,
) -> CoverEstimate:
    shares, error = np.clip(combined[0], 0, 1), combined[1]
    counts = class_counts(strata)
    n = int(counts.sum())
    intervals = cover_intervals(shares, error, n, level)
    low, high = beta_interval(shares, np.full(len(shares), float(n)), level)
    widening = (intervals.high - intervals.low) / (high - low)
    classes = tuple(
        ClassCover(float(share), float(lower), float(upper), int(count), float(effective), float(wider))
        for share, lower, upper, count, effective, wider in zip(
            shares, intervals.low, intervals.high, counts, intervals.effective_answers, widening, strict=True
        )
    )
    n_images = sum(answers.n_images for answers in strata)
    return CoverEstimate(method, level, n, n_images, classes, intervals.effective_in_all)


def _error(
    strata: Sequence[StratumAnswers],
    linearised: Sequence[Linearised],
    parts: Sequence[float],
    shares: NDArray[np.float64],
) -> CoverError:
    """The error of shares, from what answers add to them; a share is a ratio to the pixels whose class can be told."""
    errors, contributions = [], []
    unmet, unseen = np.zeros(len(shares)), np.zeros(len(shares))
    n_answers = sum(len(answers.images) for answers in strata)
    for answers, linear, part in zip(strata, linearised, parts, strict=True):
        residuals = part * (linear.residuals - linear.told_residuals[:, None] * shares)
        error = two_stage_error(answers, residuals, linear.factors)
        if error is None:
            raise InvalidSurvey(
                f"one image of {answers.place} has answers, out of {answers.population_images}: how much images "
                "differ shows from the second one on, so answer points of another"
            )
        errors.append(error)
        weights = answers.answer_weights
        contributions.append(residuals * weights[:, None])
        unmet += part**2 * float(np.sum(weights**2)) * answers.part_left * linear.unmet / n_answers
        unseen += part**2 * linear.unseen
    moved = np.concatenate(contributions)
    variances = [error.variances for error in errors]
    return CoverError(
        np.sum(variances, axis=0),
        satterthwaite(variances, [error.degrees for error in errors]),
        np.sum([error.from_pixels for error in errors], axis=0),
        (moved**2).sum(axis=0),
        effective_number(moved),
        unmet,
        unseen,
    )


def predicted(strata: Sequence[StratumAnswers], *, level: float = LEVEL) -> tuple[PredictedCover, ...]:
    """Shares of K classes in the masks of a model, with what the answers say of their bias; no estimate of the truth.

    Raises:
        InvalidSurvey: as in `corrected`.
    """
    check_strata(strata, level)
    parts, n_classes = _parts(strata), strata[0].n_classes
    raw = np.sum([part * predictions_of(answers).cover for part, answers in zip(parts, strata, strict=True)], axis=0)
    as_it_is = Tuning(np.ones(n_classes), np.zeros(n_classes))
    shares, error = _with_model(strata, [model_assisted(answers, as_it_is) for answers in strata])
    bias = raw - shares
    reach = t.ppf((1 + level) / 2, error.pooled_degrees) * np.sqrt(error.pooled)
    return tuple(
        PredictedCover(float(share), float(middle), float(middle - far), float(middle + far), level)
        for share, middle, far in zip(raw, bias, reach, strict=True)
    )
