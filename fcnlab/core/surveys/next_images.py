"""Which further images of a survey help most, and how sure they make a share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from fcnlab.core.surveys.answers import StratumAnswers
from fcnlab.core.surveys.planning import expected_widths, need_of, neyman_allocation


def next_images(
    strata: Sequence[StratumAnswers], drawn: Sequence[int], n_images: int, n_per_image: int, *, class_index: int | None
) -> list[int]:
    """How many of so many further images to draw from each stratum, so that the share of a class is surest.

    Args:
        drawn: images of each stratum that are asked about already, with answers or without.
        class_index: None: all classes alike.

    Raises:
        InvalidSurvey: more images than are left, or answers of which nothing can be told; see `planning.spread_of`.
    """
    needs = [
        replace(need_of(answers, n_per_image, class_index=class_index), surveyed=n)
        for answers, n in zip(strata, drawn, strict=True)
    ]
    return neyman_allocation(needs, n_images)


def expected_width(
    strata: Sequence[StratumAnswers],
    n_more: Sequence[int],
    n_per_image: int,
    *,
    class_index: int,
    level: float,
) -> float:
    """Width of the interval of a class in all strata together, after so many more images in each.

    The squares of the widths of strata add up, each weighted by its part of all pixels, as their variances do.

    Raises:
        InvalidSurvey: as in `planning.expected_widths`.
    """
    total = sum(answers.total_size for answers in strata)
    return math.sqrt(
        sum(
            (answers.total_size / total * float(expected_widths(answers, n, n_per_image, level=level)[class_index]))
            ** 2
            for answers, n in zip(strata, n_more, strict=True)
        )
    )
