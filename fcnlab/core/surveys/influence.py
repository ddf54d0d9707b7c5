"""How each estimator makes shares of answers, and what every answer adds to them: what their errors are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers, one_hot
from fcnlab.core.surveys.sampling_error import (
    image_means,
    leverage_factors,
    two_stage_error,
)
from fcnlab.errors import InvalidSurvey

LEAST_IN_GROUP = 5
"""Answers with a predicted class below which it is put together with other rare ones."""

PSEUDO = 0.5
"""Of every way in which model and answer may disagree so many answers are added to those met (Jeffreys' prior)."""

TUNING_IMAGES = 5.0
"""The weight of a model is tuned for a class as if so many images had spoken for the weight of all classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """Shares of a stratum in all its pixels, and how answers move them.

    Attributes:
        totals: (K,) float64, part of the pixels that is of each class.
        told: part of the pixels of which a person can tell the class; the rest is UNKNOWN.
        residuals: (N, K) float64, what answers add to the totals, with leverage; weighted sums are about zero.
        told_residuals: (N,) float64, the same for `told`.
        unmet: (K,) float64, answers that a class may owe to kinds of answers nobody gave yet, see `PSEUDO`.
        unseen: (K,) float64, variance that the residuals do not show since images unlike the surveyed ones are left.
    """

    totals: NDArray[np.float64]
    told: float
    residuals: NDArray[np.float64]
    told_residuals: NDArray[np.float64]
    unmet: NDArray[np.float64]
    unseen: NDArray[np.float64]


def plain(answers: StratumAnswers) -> Linearised:
    """Shares from the answers alone: images weigh by their size, answers of an image alike."""
    weights, answered = answers.answer_weights, answers.answered
    is_told = (answers.classes != UNKNOWN).astype(np.float64)
    totals, told = weights @ answered, float(weights @ is_told)
    factors = leverage_factors(answers.image_weights)[answers.images]
    nothing = np.zeros(answers.n_classes)
    residuals = (answered - totals) * factors[:, None]
    return Linearised(totals, told, residuals, (is_told - told) * factors, nothing + 0.5, nothing)


def model_assisted(answers: StratumAnswers, model_weights: NDArray[np.float64], trust) -> Linearised:
    """Plain shares, corrected by how far the model's shares at the answered pixels are from those in all pixels.

    Args:
        model_weights: (K,) how much of that correction counts for each class, 0 (plain) to 1 (difference estimator).
    """
    predictions = predictions_of(answers)
    base = plain(answers)
    weights, predicted = answers.answer_weights, one_hot(predictions.classes, answers.n_classes)
    means = weights @ predicted
    totals = base.totals + model_weights * (predictions.cover - means)
    centred = predicted - means
    residuals = answers.answered - base.totals - model_weights * centred
    factors = leverage_factors(_regression_leverage(answers, centred, trust))
    names = np.eye(answers.n_classes)
    unseen = model_weights**2 * _unseen(answers, predictions, names)
    return Linearised(
        totals,
        base.told,
        residuals * factors[answers.images],
        base.told_residuals,
        PSEUDO * (1 - model_weights / 2),
        unseen,
    )


def _known(answers: StratumAnswers, predictions: Predictions, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) variance of the sampled mean of values (K, K) given to predicted classes, known since all masks are."""
    relative = (predictions.sizes / predictions.sizes.mean())[:, None]
    means, squares = predictions.shares @ values, predictions.shares @ values**2
    deviations = relative * (means - predictions.cover @ values)
    m, population = answers.n_images, answers.population_images
    between = (deviations**2).sum(axis=0) / max(1, population - 1)
    within = (relative**2 * (squares - means**2)).mean(axis=0)
    return np.asarray((1 - m / population) * between / m + within * np.mean(1 / answers.per_image) / m, np.float64)


def _unseen(answers: StratumAnswers, predictions: Predictions, values: NDArray[np.float64]) -> NDArray[np.float64]:
    m, population = answers.n_images, answers.population_images
    relative = (predictions.sizes / predictions.sizes.mean())[:, None]
    means = predictions.shares @ values
    between = ((relative * (means - predictions.cover @ values))**2).sum(axis=0) / max(1, population - 1) / m
    drawn = means[predictions.surveyed]
    weights = answers.image_weights
    seen = (weights**2 / np.maximum(1e-9,1 - weights)) @ (drawn - weights @ drawn)**2
    return (1 - m / population) * np.maximum(0, between - SLACK(answers) * seen)

import os
def SLACK(a): return 1 + float(os.environ.get("SL","1.5")) * (2 / max(1,a.n_images - 1))**.5

def _regression_leverage(answers: StratumAnswers, centred: NDArray[np.float64], trust) -> NDArray[np.float64]:
    """(m, K) part that each image has in the mean and in the tuned weight of the model."""
    squares = (answers.image_weights[:, None] * image_means(answers, centred)) ** 2
    total = squares.sum(axis=0)
    in_slope = np.divide(squares, total, out=np.zeros_like(squares), where=total > 0)
    return np.asarray(np.minimum(0.9, answers.image_weights[:, None] + trust * in_slope), np.float64)


def tuned_weights(strata: Sequence[StratumAnswers], parts: Sequence[float]) -> NDArray[np.float64]:
    """(K,) weights of the model, 0 to 1, with which the estimated variance of `model_assisted` is least.

    A class that few images speak for takes most of its weight from all classes together.

    Args:
        parts: what part of all pixels each stratum is.

    Reference: Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453 (power tuning), with images as what is drawn.
    """
    n_classes = strata[0].n_classes
    common, spread, images = (np.zeros(n_classes) for _ in range(3))
    for answers, part in zip(strata, parts, strict=True):
        predicted = one_hot(predictions_of(answers).classes, n_classes)
        centred = predicted - answers.answer_weights @ predicted
        base = plain(answers).residuals
        both, difference, alone = (
            two_stage_error(answers, values) for values in (base + centred, base - centred, centred)
        )
        if both is None or difference is None or alone is None:
            continue
        common += part**2 * (both.variances - difference.variances) / 4
        spread += part**2 * np.maximum(alone.variances, _known(answers, predictions_of(answers), np.eye(n_classes)))
        images += (image_means(answers, predicted + answers.answered) > 0).sum(axis=0)
    pooled = common.sum() / spread.sum() if spread.sum() > 0 else 0.0
    each = np.divide(common, spread, out=np.full(n_classes, pooled), where=spread > 0)
    mixed = (images * each + TUNING_IMAGES * pooled) / (images + TUNING_IMAGES)
    return np.asarray(np.clip(mixed, 0, 1), np.float64), images / (images + TUNING_IMAGES)


def post_stratified(answers: StratumAnswers) -> Linearised:
    """Shares of classes among the answers of each predicted class, weighed by how much of that class is predicted.

    Reference: Olofsson et al. 2014, Remote Sensing of Environment 148:42, with images as what is drawn.
    """
    predictions = predictions_of(answers)
    groups = merged_groups(answers, predictions)
    group, n_groups = groups[predictions.classes], int(groups.max()) + 1
    in_population = np.bincount(groups, predictions.cover, minlength=n_groups)
    weights = answers.answer_weights
    in_sample = np.bincount(group, weights, minlength=n_groups)
    answered = answers.answered
    told = answered.sum(axis=1)
    columns = [np.bincount(group, weights * column, minlength=n_groups) for column in (*answered.T, told)]
    rates = np.column_stack(columns) / in_sample[:, None]
    totals = in_population @ rates
    cells = np.bincount(answers.images * n_groups + group, weights, minlength=answers.n_images * n_groups)
    leverage = cells.reshape(answers.n_images, n_groups) / in_sample
    factors = leverage_factors(leverage)[answers.images, group] * (in_population / in_sample)[group]
    residuals = (np.column_stack([answered, told]) - rates[group]) * factors[:, None]
    values = rates[groups][:, :-1]
    centred = values[predictions.classes] - weights @ values[predictions.classes]
    unseen = _unseen(answers, predictions, values)
    unmet = np.full(answers.n_classes, PSEUDO)
    return Linearised(totals[:-1], float(totals[-1]), residuals[:, :-1], residuals[:, -1], unmet, unseen)


def merged_groups(answers: StratumAnswers, predictions: Predictions) -> NDArray[np.int64]:
    """(K,) the group of each predicted class, so that every group has answers enough in at least three images.

    The rarest predicted classes come together until they are enough, and with the next one as long as they are not.
    """
    counts = np.bincount(predictions.classes, minlength=answers.n_classes)
    is_met = np.zeros((answers.n_classes, answers.n_images), bool)
    is_met[predictions.classes, answers.images] = True
    groups = np.zeros(answers.n_classes, np.int64)
    in_group, met, number = 0, np.zeros(answers.n_images, bool), 0
    order = np.argsort(counts, kind="stable")
    for position, class_index in enumerate(order):
        groups[class_index] = number
        in_group, met = in_group + counts[class_index], met | is_met[class_index]
        rest = order[position + 1 :]
        rest_met = is_met[rest].any(axis=0).sum() if len(rest) else 0
        enough = in_group >= LEAST_IN_GROUP and met.sum() >= min(3, answers.n_images)
        if enough and counts[rest].sum() >= LEAST_IN_GROUP and rest_met >= min(3, answers.n_images):
            number, in_group, met = number + 1, 0, np.zeros(answers.n_images, bool)
    return groups


def predictions_of(answers: StratumAnswers) -> Predictions:
    """The predictions of a stratum.

    Raises:
        InvalidSurvey: it has none.
    """
    if answers.predictions is None:
        raise InvalidSurvey(f"{answers.place} has no predicted masks: predict all its images, or estimate from answers")
    return answers.predictions
