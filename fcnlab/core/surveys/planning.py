"""How many images and points a survey needs, and how its images are shared out among strata."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import UNKNOWN, StratumAnswers
from fcnlab.core.surveys.influence import plain
from fcnlab.core.surveys.intervals import CoverError, cover_intervals
from fcnlab.core.surveys.sampling_error import between_images, effective_number, satterthwaite, within_images
from fcnlab.errors import InvalidSurvey

MOST_PER_IMAGE = 1000
"""More points in an image than anybody answers."""


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """How answers of a stratum differ: between images, without the chance of drawing pixels, and within an image.

    Attributes:
        shares: (K,) float64, from the answers alone.
        between: (K,) float64, variance of the true shares of images about that of all; 0 or more.
        within: (K,) float64, variance of an answer about the share of its image.
    """

    shares: NDArray[np.float64]
    between: NDArray[np.float64]
    within: NDArray[np.float64]


def spread_of(answers: StratumAnswers) -> Spread:
    """The spread of a stratum, from its answers so far.

    Reference: Cochran 1977, Sampling Techniques, 3rd ed., section 10.3.

    Raises:
        InvalidSurvey: fewer than two images have answers, or no image has two.
    """
    base = plain(answers)
    if answers.n_images < 2:
        raise InvalidSurvey(f"one image of {answers.place} does not show how images differ: answer points of another")
    shares = base.totals / base.told
    residuals = (base.residuals - base.told_residuals[:, None] * shares) / base.told
    within = within_images(answers, residuals)
    if within is None:
        raise InvalidSurvey(f"no image of {answers.place} has two answers: more per image show how alike they are")
    left = np.clip(1 - answers.per_image / answers.sizes, 0, 1)
    scale = float(np.sum(answers.image_weights**2))
    per_answer = float(np.sum(answers.image_weights**2 * left / answers.per_image))
    of_means = between_images(answers, residuals * base.factors)
    drawn = float(np.sum(answers.image_weights**2 / answers.per_image))
    one_answer = within / per_answer if per_answer > 0 else np.zeros(answers.n_classes)
    between = np.maximum(0, of_means - one_answer * drawn) / scale
    return Spread(shares, between, one_answer)


def expected_widths(
    answers: StratumAnswers, n_more_images: int, n_per_image: int, *, level: float = 0.9
) -> NDArray[np.float64]:
    """(K,) widths that intervals from answers alone will have after so many more images with so many points each.

    Args:
        answers: of the stratum so far.
        n_more_images: 0 or more, at most the images that are left.

    Raises:
        InvalidSurvey: more images than are left, no points, or answers that `spread_of` refuses.
    """
    left = answers.population_images - answers.n_images
    if not 0 <= n_more_images <= left or n_per_image < 1:
        raise InvalidSurvey(
            f"{answers.place} has {left} images left, of which {n_more_images} cannot be surveyed with "
            f"{n_per_image} points each"
        )
    spread, m = spread_of(answers), answers.n_images
    images = m + n_more_images
    per_image = np.concatenate([answers.per_image, np.full(n_more_images, n_per_image)])
    surveyed = images / answers.population_images
    unevenness = m * float(np.sum(answers.image_weights**2))
    sizes = np.concatenate([answers.sizes, np.full(n_more_images, answers.sizes.mean())])
    pixels_left = np.clip(1 - per_image / sizes, 0, 1)
    from_pixels = spread.within * float(np.mean(pixels_left / per_image)) * unevenness / images
    parts = (1 - surveyed) * (spread.between * unevenness / images + from_pixels), surveyed * from_pixels
    degrees = max(1.0, images / unevenness - 1), float(max(1, per_image.sum() - images))
    n = float(per_image.sum()) * float(np.mean(answers.classes != UNKNOWN))
    smooth = (spread.shares * n + 0.5) / (n + 1)
    independent = smooth * (1 - smooth) / n
    residuals = plain(answers).residuals * answers.answer_weights[:, None]
    error = CoverError(
        parts[0] + parts[1],
        satterthwaite(parts, degrees),
        from_pixels,
        independent,
        effective_number(residuals) * (n / answers.n_answers),
        np.zeros(answers.n_classes),
        np.zeros(answers.n_classes),
    )
    intervals = cover_intervals(spread.shares, error, round(n), level)
    return np.asarray(intervals.high - intervals.low, np.float64)


def best_per_image(answers: StratumAnswers, class_index: int, *, image_cost: float, point_cost: float) -> int:
    """How many points to answer in an image so that the share of a class is surest for the cost.

    Args:
        image_cost: of turning to another image (finding it, photographing it), in any unit.
        point_cost: of answering a point, in the same unit.

    Returns:
        1 to MOST_PER_IMAGE; the latter where images do not differ beyond the chance of drawing pixels.

    Raises:
        InvalidSurvey: a cost that is not above zero, or answers that `spread_of` refuses.

    Reference: Cochran 1977, Sampling Techniques, 3rd ed., section 10.6.
    """
    if not (image_cost > 0 and point_cost > 0 and math.isfinite(image_cost / point_cost)):
        raise InvalidSurvey("what an image and a point cost are numbers above zero")
    spread = spread_of(answers)
    within = float(spread.within[class_index])
    between = float(spread.between[class_index]) - within / float(answers.sizes.mean())
    if within <= 0:
        return 1
    if between <= 0:
        return MOST_PER_IMAGE
    return int(np.clip(round(math.sqrt(within / between * image_cost / point_cost)), 1, MOST_PER_IMAGE))


@dataclass(frozen=True, slots=True)
class StratumNeed:
    """What the sharing out of images has to know of a stratum.

    Attributes:
        part: its part of all pixels (or any number in proportion to it).
        deviation: standard deviation of the shares that its images show, `sqrt(between + within / points)`.
        surveyed: images with answers already.
        available: images in the stratum, the surveyed ones included.
    """

    part: float
    deviation: float
    surveyed: int
    available: int


def need_of(answers: StratumAnswers, n_per_image: int, *, class_index: int | None = None) -> StratumNeed:
    """What a stratum needs, from its answers so far, for a class or (None) for all classes alike.

    Raises:
        InvalidSurvey: answers that `spread_of` refuses.
    """
    spread = spread_of(answers)
    variances = spread.between + spread.within / n_per_image
    variance = variances.sum() if class_index is None else variances[class_index]
    return StratumNeed(answers.total_size, math.sqrt(float(variance)), answers.n_images, answers.population_images)


def neyman_allocation(strata: Sequence[StratumNeed], n_images: int, *, least: int = 2) -> list[int]:
    """How many further images to survey in each stratum, so that the share in all of them together is surest.

    Whole numbers that add up to `n_images`: images go one after the other to where they help most, which is the best
    there is in whole numbers. Where no stratum is known to vary, they are shared out by size.

    Args:
        n_images: to share out, 0 or more.
        least: images a stratum shall have, the surveyed ones included, if it has as many.

    Raises:
        InvalidSurvey: more images than are left, fewer than every stratum needs at least, or numbers below zero.

    Reference: Neyman 1934, Journal of the Royal Statistical Society 97:558; Wright 2012, The American Statistician
    66:217 (whole numbers).
    """
    for need in strata:
        if not (need.part > 0 and need.deviation >= 0 and 0 <= need.surveyed <= need.available):
            raise InvalidSurvey("a stratum has a size above zero, and no more surveyed images than images")
    missing = [max(0, min(least, need.available) - need.surveyed) for need in strata]
    left = sum(need.available - need.surveyed for need in strata)
    if not sum(missing) <= n_images <= left:
        raise InvalidSurvey(
            f"{n_images} images cannot be shared out: {left} are left in all strata, and {sum(missing)} are needed "
            f"to have {least} in each"
        )
    is_alike = all(need.deviation == 0 for need in strata)
    worth = [need.part * (1.0 if is_alike else need.deviation) for need in strata]
    allocation = list(missing)

    def entry(index: int) -> tuple[float, float, int]:
        n = strata[index].surveyed + allocation[index]
        return -worth[index] / math.sqrt(n * (n + 1)) if n else -math.inf, -worth[index], index

    queue = [entry(index) for index in range(len(strata))]
    heapq.heapify(queue)
    while sum(allocation) < n_images:
        index = heapq.heappop(queue)[2]
        if strata[index].surveyed + allocation[index] < strata[index].available:
            allocation[index] += 1
            heapq.heappush(queue, entry(index))
    return allocation
