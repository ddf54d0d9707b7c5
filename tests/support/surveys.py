"""Surveys of made-up strata, for the laws of shares and intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers


def stratum(
    images: list[int],
    classes: list[int],
    *,
    n_classes: int = 2,
    population: int | None = None,
    sizes: list[float] | None = None,
) -> StratumAnswers:
    """Answers as they are written down; all images are of 1000 pixels where no sizes are given."""
    n_images = max(images) + 1
    return StratumAnswers(
        np.array(images),
        np.array(classes),
        n_classes,
        np.full(n_images, 1000.0) if sizes is None else np.array(sizes),
        population or n_images,
    )


def made_up(
    seed: int,
    *,
    n_images: int = 20,
    n_per_image: int = 10,
    population: int = 200,
    n_classes: int = 3,
    alike: float = 0.3,
    right: float | None = None,
    unknown: float = 0.0,
) -> tuple[StratumAnswers, NDArray[np.float64]]:
    """Answers about a made-up population, and the true shares of its classes.

    Args:
        alike: correlation of two answers of an image, 0 to 1 (not included).
        right: how often the model predicts the true class, else any at random; None: no model.
        unknown: how often the answer is "don't know".
    """
    rng = np.random.default_rng(seed)
    usual = rng.dirichlet(np.full(n_classes, 2.0))
    shares = np.tile(usual, (population, 1))
    if alike > 0:
        shares = rng.dirichlet(np.maximum(usual, 1e-3) * (1 / alike - 1), population)
    sizes = rng.integers(500, 2000, population).astype(np.float64)
    surveyed = rng.choice(population, n_images, replace=False)
    images = np.repeat(np.arange(n_images), n_per_image)
    classes = np.array([rng.choice(n_classes, p=shares[surveyed[image]]) for image in images])
    answered = np.where(rng.random(len(classes)) < unknown, UNKNOWN, classes)
    answered[0] = classes[0]
    answers = StratumAnswers(images, answered, n_classes, sizes[surveyed], population, float(sizes.sum()))
    if right is not None:
        is_right = rng.random(len(classes)) < right
        predicted = np.where(is_right, classes, rng.integers(0, n_classes, len(classes)))
        masks = right * shares + (1 - right) / n_classes
        answers = replace(answers, predictions=Predictions(predicted, surveyed, masks, sizes))
    return answers, sizes @ shares / sizes.sum()


def renamed(answers: StratumAnswers, order: NDArray[np.int64]) -> StratumAnswers:
    """The same answers where class k is called `order[k]`."""
    classes = np.where(answers.classes == UNKNOWN, UNKNOWN, order[answers.classes])
    predictions = answers.predictions
    if predictions is not None:
        shares = np.empty_like(predictions.shares)
        shares[:, order] = predictions.shares
        predictions = replace(predictions, classes=order[predictions.classes], shares=shares)
    return replace(answers, classes=classes, predictions=predictions)


def shuffled(answers: StratumAnswers, seed: int) -> StratumAnswers:
    """The same answers in another order, and the images called by other numbers."""
    rng = np.random.default_rng(seed)
    order, names = rng.permutation(len(answers.classes)), rng.permutation(answers.n_images)
    sizes = np.empty_like(answers.sizes)
    sizes[names] = answers.sizes
    predictions = answers.predictions
    if predictions is not None:
        surveyed = np.empty_like(predictions.surveyed)
        surveyed[names] = predictions.surveyed
        predictions = replace(predictions, classes=predictions.classes[order], surveyed=surveyed)
    return replace(
        answers,
        images=names[answers.images][order],
        classes=answers.classes[order],
        sizes=sizes,
        predictions=predictions,
    )
