"""What was answered about the pixels of a survey, stratum by stratum, and what a model predicts there."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import InvalidSurvey

UNKNOWN = -1
"""The class of an answer "don't know"."""

SUM_TOLERANCE = 1e-3
"""Shares of an image add up to one within this much: they may come as float32, or rounded in a table."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model predicts for a stratum; it must not have learned from the answers of the survey.

    Attributes:
        classes: (N,) int64, the class predicted at the pixel of each answer, 0 to K - 1.
        shares: (M, K) float64, share of each class in the predicted mask of every image of the stratum; rows add up
            to one.
        sizes: (M,) float64, pixels (or area) of every image of the stratum.
        surveyed: (m,) int64, the row of `shares` and `sizes` of each surveyed image.
    """

    classes: NDArray[np.int64]
    surveyed: NDArray[np.int64]
    shares: NDArray[np.float64]
    sizes: NDArray[np.float64]

    @property
    def cover(self) -> NDArray[np.float64]:
        """(K,) share of each class in all predicted pixels of the stratum."""
        return np.asarray(self.sizes @ self.shares / self.sizes.sum(), np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class StratumAnswers:
    """The answers of a stratum: images drawn at random without replacement, and pixels drawn at random in each.

    Attributes:
        images: (N,) int64, which of the surveyed images each answer is about, 0 to m - 1; every image has an answer.
        classes: (N,) int64, what was answered, 0 to K - 1, or UNKNOWN.
        n_classes: K, at least 2.
        sizes: (m,) float64, pixels (or area) of each surveyed image.
        population_images: M, images in the stratum, surveyed or not; at least m.
        population_size: pixels (or area) of all of them, in the unit of `sizes`. None: that of the predictions, or
            M times the mean size of the surveyed images.
        predictions: what a model says, None without a model.
        name: of the stratum, for messages.

    Raises:
        InvalidSurvey: no answers, only UNKNOWN, or numbers that do not fit together.
    """

    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    n_classes: int
    sizes: NDArray[np.float64]
    population_images: int
    population_size: float | None = None
    predictions: Predictions | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _check_answers(self)
        if self.predictions is not None:
            _check_predictions(self, self.predictions)

    @property
    def n_images(self) -> int:
        """Images with answers."""
        return len(self.sizes)

    @property
    def n_answers(self) -> int:
        """Answers that name a class."""
        return int((self.classes != UNKNOWN).sum())

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """(K,) int64, answers that name each class."""
        return np.bincount(self.classes[self.classes != UNKNOWN], minlength=self.n_classes)

    @property
    def per_image(self) -> NDArray[np.int64]:
        """(m,) int64, answers about each surveyed image, those that name no class included."""
        return np.bincount(self.images, minlength=self.n_images)

    @property
    def image_weights(self) -> NDArray[np.float64]:
        """(m,) float64, each surveyed image's part of their pixels."""
        return np.asarray(self.sizes / self.sizes.sum(), np.float64)

    @property
    def answer_weights(self) -> NDArray[np.float64]:
        """(N,) float64 that add up to one: answers of an image share its weight."""
        return np.asarray((self.image_weights / self.per_image)[self.images], np.float64)

    @property
    def part_left(self) -> float:
        """Part of the pixels that is left to chance: none where every pixel of every image is answered."""
        surveyed = self.n_images / self.population_images
        return 1 - surveyed * float(np.mean(np.clip(self.per_image / self.sizes, 0, 1)))

    @property
    def answered(self) -> NDArray[np.float64]:
        """(N, K) float64, one at the class of each answer; rows of UNKNOWN are zero."""
        return one_hot(self.classes, self.n_classes)

    @property
    def total_size(self) -> float:
        """Pixels (or area) of all images of the stratum, estimated where nobody said it."""
        if self.population_size is not None:
            return self.population_size
        if self.predictions is not None:
            return float(self.predictions.sizes.sum())
        return self.population_images * float(self.sizes.mean())

    @property
    def place(self) -> str:
        """The stratum as messages call it."""
        return f"stratum '{self.name}'" if self.name else "the survey"


def one_hot(classes: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """(N, K) float64, one at each class (N,); rows of UNKNOWN are zero."""
    return np.asarray(classes[:, None] == np.arange(n_classes), np.float64)


def unknown_as_class(answers: StratumAnswers) -> StratumAnswers:
    """The reading in which "don't know" is class K of K + 1: shares are then of all pixels.

    Left as they are, estimators read UNKNOWN as left out: shares are then of the pixels of which a person can tell the
    class. A model predicts class K nowhere.
    """
    classes = np.where(answers.classes == UNKNOWN, answers.n_classes, answers.classes).astype(np.int64)
    predictions = answers.predictions
    if predictions is not None:
        predictions = replace(predictions, shares=np.pad(predictions.shares, ((0, 0), (0, 1))))
    return replace(answers, classes=classes, n_classes=answers.n_classes + 1, predictions=predictions)


def _check_answers(answers: StratumAnswers) -> None:
    n_images, place = len(answers.sizes), answers.place
    if answers.n_classes < 2:
        raise InvalidSurvey(f"{place} has {answers.n_classes} classes: shares need at least two")
    if not len(answers.classes):
        raise InvalidSurvey(f"{place} has no answers yet: answer a few of its points")
    if len(answers.images) != len(answers.classes):
        raise InvalidSurvey(
            f"{place} has {len(answers.classes)} answers about {len(answers.images)} points: give one for each"
        )
    if answers.images.min() < 0 or not np.bincount(answers.images, minlength=n_images).all():
        raise InvalidSurvey(f"{place} counts images without an answer: leave them out")
    if answers.images.max() >= n_images:
        raise InvalidSurvey(f"{place} has answers about {int(answers.images.max()) + 1} images, and {n_images} sizes")
    if answers.classes.min() < UNKNOWN or answers.classes.max() >= answers.n_classes:
        raise InvalidSurvey(f"{place} has an answer that is none of its {answers.n_classes} classes")
    if (answers.classes == UNKNOWN).all():
        raise InvalidSurvey(f'every answer of {place} is "don\'t know": no share can be told from them')
    if answers.population_images < n_images:
        raise InvalidSurvey(
            f"{place} has answers about {n_images} images and is said to have {answers.population_images}"
        )
    _check_sizes(answers.sizes, place)
    if answers.population_size is not None:
        _check_sizes(np.array([answers.population_size]), place)


def _check_predictions(answers: StratumAnswers, predictions: Predictions) -> None:
    place, wanted = answers.place, (answers.population_images, answers.n_classes)
    if predictions.shares.shape != wanted:
        raise InvalidSurvey(
            f"predicted shares of {place} are of {predictions.shares.shape} images and classes, not of {wanted}: "
            "predict every image of it, surveyed or not"
        )
    if len(predictions.sizes) != wanted[0]:
        raise InvalidSurvey(f"{place} has {wanted[0]} images, and {len(predictions.sizes)} sizes of predicted masks")
    surveyed = predictions.surveyed
    if len(surveyed) != answers.n_images or len(np.unique(surveyed)) != len(surveyed):
        raise InvalidSurvey(f"{place} has {answers.n_images} surveyed images: name the mask of each, once")
    if surveyed.min() < 0 or surveyed.max() >= wanted[0]:
        raise InvalidSurvey(f"a surveyed image of {place} has no predicted mask: predict every image of it")
    _check_sizes(predictions.sizes, place)
    is_share = np.isfinite(predictions.shares).all() and predictions.shares.min() >= 0
    if not is_share or np.abs(predictions.shares.sum(axis=1) - 1).max() > SUM_TOLERANCE:
        raise InvalidSurvey(f"predicted shares of an image of {place} do not add up to one")
    if len(predictions.classes) != len(answers.classes):
        raise InvalidSurvey(
            f"{place} has {len(answers.classes)} answers, and predictions at {len(predictions.classes)} of their pixels"
        )
    if predictions.classes.min() < 0 or predictions.classes.max() >= answers.n_classes:
        raise InvalidSurvey(f"a class predicted in {place} is none of its {answers.n_classes} classes")


def _check_sizes(sizes: NDArray[np.float64], place: str) -> None:
    if not np.isfinite(sizes).all() or sizes.min() <= 0:
        raise InvalidSurvey(f"an image of {place} has no size: every image has pixels")
