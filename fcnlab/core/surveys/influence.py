"""How each estimator makes shares of answers, and what every answer adds to them: what their errors are taken from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers, one_hot
from fcnlab.core.surveys.sampling_error import (
    effective_number,
    image_means,
    leverage_factors,
    two_stage_error,
)
from fcnlab.errors import InvalidSurvey

LEAST_IN_GROUP, LEAST_IMAGES = 5, 3
"""Answers with a predicted class, and images they are in, below which it is put together with other rare ones."""

PSEUDO = 0.5
"""So many answers a class may owe to what nobody answered yet (Jeffreys' prior); half as many with a full model."""

TUNING_IMAGES = 5.0
"""The weight of a model is tuned for a class as if so many images had spoken for the weight of all classes."""

SURPRISE = 2.0
"""Standard errors by which predicted shares may vary more in all images than in the surveyed ones by chance."""

MOST_LEVERAGE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Linearised:
    """Shares of a stratum in all its pixels, and how answers move them.

    Attributes:
        totals: (K,) float64, part of the pixels that is of each class.
        told: part of the pixels of which a person can tell the class; the rest is UNKNOWN.
        residuals: (N, K) float64, what answers add to the totals; their weighted sums are zero.
        told_residuals: (N,) float64, the same for `told`.
        factors: (N, K) or (N, 1) float64, leverage of images (`sampling_error.leverage_factors`).
        unmet: (K,) float64, answers that a class may owe to kinds of answers nobody gave yet, see PSEUDO.
        unseen: (K,) float64, variance that residuals do not show, since no image of a kind was surveyed.
    """

    totals: NDArray[np.float64]
    told: float
    residuals: NDArray[np.float64]
    told_residuals: NDArray[np.float64]
    factors: NDArray[np.float64]
    unmet: NDArray[np.float64]
    unseen: NDArray[np.float64]


def plain(answers: StratumAnswers) -> Linearised:
    """Shares from the answers alone: images weigh by their size, answers of an image alike."""
    weights, answered = answers.answer_weights, answers.answered
    is_told = (answers.classes != UNKNOWN).astype(np.float64)
    totals, told = weights @ answered, float(weights @ is_told)
    factors = leverage_factors(answers.image_weights)[answers.images, None]
    unmet, unseen = np.full(answers.n_classes, PSEUDO), np.zeros(answers.n_classes)
    return Linearised(totals, told, answered - totals, is_told - told, factors, unmet, unseen)


@dataclass(frozen=True, slots=True, eq=False)
class Tuning:
    """How much of a model's correction counts for each class: weights (K,), 0 (plain) to 1 (difference estimator).

    `trust` (K,), 0 to 1, says how much of each weight comes from the class itself and not from all classes.
    """

    weights: NDArray[np.float64]
    trust: NDArray[np.float64]


def model_assisted(answers: StratumAnswers, tuning: Tuning) -> Linearised:
    """Plain shares, corrected by how far the model's shares at the answered pixels are from those in all pixels."""
    predictions, base, weights = predictions_of(answers), plain(answers), tuning.weights
    predicted = one_hot(predictions.classes, answers.n_classes)
    means = answers.answer_weights @ predicted
    centred = predicted - means
    leverage = answers.image_weights[:, None] + tuning.trust * _slope_leverage(answers, centred)
    return Linearised(
        base.totals + weights * (predictions.cover - means),
        base.told,
        base.residuals - weights * centred,
        base.told_residuals,
        leverage_factors(np.minimum(leverage, np.maximum(MOST_LEVERAGE, answers.image_weights[:, None])))[
            answers.images
        ],
        PSEUDO * (1 - weights / 2),
        weights**2 * _unseen(answers, predictions, np.eye(answers.n_classes)),
    )


def tuned(strata: Sequence[StratumAnswers], parts: Sequence[float]) -> Tuning:
    """The weights of the model with which the estimated variance of `model_assisted` is least.

    A class that few images speak for takes most of its weight from all classes together. How much the model's shares
    vary is known from its masks of all images; where the surveyed ones happen to vary more, that counts.

    Args:
        parts: what part of all pixels each stratum is.

    Reference: Angelopoulos, Duchi and Zrnic 2023, arXiv:2311.01453 (power tuning), with images as what is drawn.
    """
    n_classes = strata[0].n_classes
    common, spread, images = (np.zeros(n_classes) for _ in range(3))
    for answers, part in zip(strata, parts, strict=True):
        predictions, base = predictions_of(answers), plain(answers)
        predicted = one_hot(predictions.classes, n_classes)
        centred = predicted - answers.answer_weights @ predicted
        residuals = base.residuals - base.told_residuals[:, None] * (base.totals / base.told)
        errors = [
            two_stage_error(answers, values, base.factors)
            for values in (residuals + centred, residuals - centred, centred)
        ]
        variances = [error.variances for error in errors if error is not None]
        if variances:
            common += part**2 * (variances[0] - variances[1]) / 4
            spread += part**2 * np.maximum(variances[2], _known_variances(answers, predictions))
        images += effective_number(image_means(answers, centred) * answers.image_weights[:, None])
    pooled = common.sum() / spread.sum() if spread.sum() > 0 else 0.0
    each = np.divide(common, spread, out=np.full(n_classes, pooled), where=spread > 0)
    trust = images / (images + TUNING_IMAGES)
    return Tuning(np.clip(trust * each + (1 - trust) * pooled, 0, 1), trust)


def _slope_leverage(answers: StratumAnswers, centred: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, K) part that each image has in the tuned weight of the model."""
    squares = (answers.image_weights[:, None] * image_means(answers, centred)) ** 2
    total = squares.sum(axis=0)
    return np.asarray(np.divide(squares, total, out=np.zeros_like(squares), where=total > 0), np.float64)


def post_stratified(answers: StratumAnswers) -> Linearised:
    """Shares of classes among the answers of each predicted class, weighed by how much of that class is predicted.

    Reference: Olofsson et al. 2014, Remote Sensing of Environment 148:42, with images as what is drawn.
    """
    predictions = predictions_of(answers)
    groups = merged_groups(answers, predictions)
    group, n_groups = groups[predictions.classes], int(groups.max()) + 1
    weights = answers.answer_weights
    in_population = np.bincount(groups, predictions.cover, minlength=n_groups)
    in_sample = np.bincount(group, weights, minlength=n_groups)
    observed = np.column_stack([answers.answered, answers.classes != UNKNOWN])
    columns = [np.bincount(group, weights * column, minlength=n_groups) for column in observed.T]
    rates = np.column_stack(columns) / in_sample[:, None]
    totals = in_population @ rates
    cells = np.bincount(answers.images * n_groups + group, weights, minlength=answers.n_images * n_groups)
    leverage = cells.reshape(answers.n_images, n_groups) / in_sample
    residuals = (observed - rates[group]) * (in_population / in_sample)[group, None]
    return Linearised(
        totals[:-1],
        float(totals[-1]),
        residuals[:, :-1],
        residuals[:, -1],
        leverage_factors(leverage)[answers.images, group, None],
        np.full(answers.n_classes, PSEUDO),
        _unseen(answers, predictions, rates[groups, :-1]),
    )


def merged_groups(answers: StratumAnswers, predictions: Predictions) -> NDArray[np.int64]:
    """(K,) the group of each predicted class, so that every group has answers enough in images enough.

    The rarest predicted classes come together until they are enough; what is left over joins the last group.
    """
    counts = np.bincount(predictions.classes, minlength=answers.n_classes)
    is_met = np.zeros((answers.n_classes, answers.n_images), bool)
    is_met[predictions.classes, answers.images] = True
    least_images = min(LEAST_IMAGES, answers.n_images)
    groups, number = np.zeros(answers.n_classes, np.int64), 0
    order = np.argsort(counts, kind="stable")
    start = 0
    for end in range(1, answers.n_classes + 1):
        groups[order[end - 1]] = number
        parts = order[start:end], order[end:]
        if all(
            counts[part].sum() >= LEAST_IN_GROUP and is_met[part].any(axis=0).sum() >= least_images for part in parts
        ):
            start, number = end, number + 1
    return groups


def _known_variances(answers: StratumAnswers, predictions: Predictions) -> NDArray[np.float64]:
    """(K,) variance of the model's shares at as many pixels in as many images: known, since all masks are."""
    m, population, shares = answers.n_images, answers.population_images, predictions.shares
    relative = (predictions.sizes / predictions.sizes.mean())[:, None]
    between = ((relative * (shares - predictions.cover)) ** 2).sum(axis=0) / max(1, population - 1)
    within = (relative**2 * shares * (1 - shares)).mean(axis=0) * np.mean(1 / answers.per_image)
    return np.asarray(((1 - m / population) * between + within) / m, np.float64)


def _unseen(answers: StratumAnswers, predictions: Predictions, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) variance of the mean that images unlike all surveyed ones may cause, as their predicted masks show.

    A model may be right in all surveyed images and wrong in a few others, whose masks then differ from those: what
    shares vary more in all images than in the surveyed ones, and more than by chance, may all be error.

    Args:
        values: (K, K) what a pixel of each predicted class adds to each share.
    """
    m, population = answers.n_images, answers.population_images
    means = predictions.shares @ values
    relative = (predictions.sizes / predictions.sizes.mean())[:, None]
    of_all = ((relative * (means - predictions.cover @ values)) ** 2).sum(axis=0) / max(1, population - 1) / m
    weights, surveyed = answers.image_weights, means[predictions.surveyed]
    factors = leverage_factors(weights)
    of_surveyed = (weights * factors) ** 2 @ (surveyed - weights @ surveyed) ** 2
    chance = 1 + SURPRISE * math.sqrt(2 / max(1, m - 1))
    return np.asarray((1 - m / population) * np.maximum(0, of_all - chance * of_surveyed), np.float64)


def predictions_of(answers: StratumAnswers) -> Predictions:
    """The predictions of a stratum.

    Raises:
        InvalidSurvey: it has none.
    """
    if answers.predictions is None:
        raise InvalidSurvey(f"{answers.place} has no predicted masks: predict all its images, or estimate from answers")
    return answers.predictions
