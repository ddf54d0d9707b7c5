"""How far estimated shares may be from the truth when images are drawn, and then pixels in them.

Reference: Cochran 1977, Sampling Techniques, 3rd ed., sections 11.8 (two stages) and 6.4 (ratios).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import StratumAnswers


@dataclass(frozen=True, slots=True, eq=False)
class SamplingError:
    """What answers show of the errors of shares; arrays are (K,) float64.

    Attributes:
        variances: estimated.
        degrees: degrees of freedom of each; infinite where the variance is zero.
        from_pixels: the variances if all images were alike and only pixels were left to chance.
    """

    variances: NDArray[np.float64]
    degrees: NDArray[np.float64]
    from_pixels: NDArray[np.float64]


def two_stage_error(
    answers: StratumAnswers, residuals: NDArray[np.float64], factors: NDArray[np.float64]
) -> SamplingError | None:
    """The error of a weighted mean over answers; None (unknown) for one image out of several.

    With f the part of the images that is surveyed, the variance is (1 - f) times that between the means of images,
    plus f times that between the answers of an image. Where all images are surveyed only the latter is left.

    Args:
        residuals: (N, K) what each answer adds to the estimate beyond the mean, whose weighted mean is zero: for a
            ratio its linearisation.
        factors: (N, K) or (N, 1), what residuals are multiplied by for the variance between images, since the mean
            they are taken from holds their image (`leverage_factors`).
    """
    surveyed = answers.n_images / answers.population_images
    if answers.n_images == 1 and surveyed < 1:
        return None
    between, within = between_images(answers, residuals * factors), within_images(answers, residuals)
    if within is None:
        within = between  # no image has two answers: what images differ by holds what answers differ by
    parts = (1 - surveyed) * between, surveyed * within
    degrees = image_degrees(answers, residuals), pixel_degrees(answers, residuals)
    return SamplingError(parts[0] + parts[1], satterthwaite(parts, degrees), within)


def between_images(answers: StratumAnswers, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) variance of the estimate if the images were drawn from endlessly many."""
    means = image_means(answers, residuals)
    return np.asarray(answers.image_weights**2 @ means**2, np.float64)


def within_images(answers: StratumAnswers, residuals: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(K,) variance of the estimate if other pixels were drawn in the same images; None if no image has two answers.

    Images with a single answer are taken to vary as the others do on average.
    """
    counts = answers.per_image
    if counts.max() < 2:
        return np.zeros(residuals.shape[1]) if (counts >= answers.sizes).all() else None
    return np.asarray(_of_pixels(answers, residuals).sum(axis=0), np.float64)


def _of_pixels(answers: StratumAnswers, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, K) what each image adds to the variance between pixels; at least one image has two answers."""
    counts = answers.per_image.astype(np.float64)
    deviations = residuals - image_means(answers, residuals)[answers.images]
    squares = _sums(answers, deviations**2)
    several = counts >= 2
    variances = np.empty_like(squares)
    variances[several] = squares[several] / (counts[several, None] - 1)
    variances[~several] = squares[several].sum(axis=0) / (counts[several] - 1).sum()
    left = np.clip(1 - counts / answers.sizes, 0, 1)
    return np.asarray((answers.image_weights**2 * left / counts)[:, None] * variances, np.float64)


def image_means(answers: StratumAnswers, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, K) means over the answers of each image of values (N, K)."""
    return np.asarray(_sums(answers, values) / answers.per_image[:, None], np.float64)


def _sums(answers: StratumAnswers, values: NDArray[np.float64]) -> NDArray[np.float64]:
    columns = [np.bincount(answers.images, column, minlength=answers.n_images) for column in values.T]
    return np.column_stack(columns)


def leverage_factors(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What residuals are multiplied by since the mean they are taken from holds their image: 1 / sqrt(1 - share).

    For images of equal size that makes m / (m - 1) of the variance. Reference: Bell and McCaffrey 2002, Survey
    Methodology 28:169 (bias reduced linearization).

    Args:
        shares: part that the image has in the mean, 0 to 1; an image that is the whole mean counts as it is.
    """
    return np.asarray(1 / np.sqrt(np.where(shares < 1 - 1e-9, 1 - shares, 1.0)), np.float64)


def image_degrees(answers: StratumAnswers, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) degrees of freedom of the variance between images: at most m - 1.

    Fewer where some images are much larger than others, or where few of them make up most of the variance: the more
    kurtosis, the less a variance says.
    """
    m, weights = answers.n_images, answers.image_weights
    by_size = max(1.0, float(1 / np.sum(weights**2)) - 1)
    contributing = effective_number(weights[:, None] * image_means(answers, residuals))
    kurtosis = np.divide(m, contributing, out=np.full_like(contributing, 3.0), where=contributing > 0)
    return np.asarray(np.clip(2 * m / np.maximum(kurtosis - 1, 1e-9), 1.0, by_size), np.float64)


def effective_number(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) how many of the values (N, K) make up their sum of squares; zero where all are zero."""
    largest = np.abs(values).max(axis=0)  # without it squares of squares would be lost below 1e-308
    relative = (values / np.where(largest > 0, largest, 1.0)) ** 2
    return np.asarray(relative.sum(axis=0) ** 2 / np.maximum((relative**2).sum(axis=0), 1.0), np.float64)


def pixel_degrees(answers: StratumAnswers, residuals: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) degrees of freedom of the variance between pixels: N - m, fewer where few images make up most of it."""
    counts = answers.per_image
    if counts.max() < 2:
        return np.full(residuals.shape[1], max(1.0, answers.n_images - 1))
    parts = _of_pixels(answers, residuals)
    return satterthwaite(list(parts), np.maximum(1, counts - 1).tolist())


def satterthwaite(
    parts: Sequence[NDArray[np.float64]], degrees: Sequence[float | NDArray[np.float64]]
) -> NDArray[np.float64]:
    """(K,) degrees of freedom of the sum of variances (K,), each with its own; infinite where the sum is zero.

    Reference: Satterthwaite 1946, Biometrics Bulletin 2:110.
    """
    total = np.sum(parts, axis=0)
    squares = np.sum([part**2 / freedom for part, freedom in zip(parts, degrees, strict=True)], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(squares > 0, total**2 / squares, np.inf), np.float64)
