from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.surveys.comparing import compare, share_draws
from fcnlab.core.surveys.estimates import ClassCover, from_answers
from fcnlab.errors import InvalidSurvey
from tests.support.surveys import made_up


def test_draws_of_a_share_have_its_interval() -> None:
    cover = from_answers([made_up(0)[0]]).classes[0]

    low, high = np.quantile(share_draws(cover, np.random.default_rng(0), 100_000), [0.05, 0.95])

    assert (low, high) == pytest.approx((cover.low, cover.high), abs=0.003)


def test_a_share_that_nothing_is_left_to_chance_of_is_drawn_as_it_is() -> None:
    cover = ClassCover(0.25, 0.25, 0.25, 10, float("inf"), 0.0)

    assert set(share_draws(cover, np.random.default_rng(0), 50)) == {0.25}


def test_a_year_with_more_is_told_from_one_with_less_and_not_from_itself() -> None:
    answers, _ = made_up(0, n_images=80, alike=0.1)
    swapped = replace(answers, classes=(answers.classes + 1) % 3)
    first, second = from_answers([answers]), from_answers([swapped])

    itself = compare(first, first, np.random.default_rng(1))
    other = compare(first, second, np.random.default_rng(1))

    for comparison in itself:
        assert comparison.difference.low < 0 < comparison.difference.high
        assert comparison.ratio.low < 1 < comparison.ratio.high
        assert comparison.difference.probability_more == pytest.approx(0.5, abs=0.02)
    for comparison, gain in zip(other, first.shares - second.shares, strict=True):
        assert comparison.difference.median == pytest.approx(gain, abs=0.01)
        assert comparison.difference.low < gain < comparison.difference.high
    largest = int(np.argmax(first.shares - second.shares))
    assert other[largest].difference.probability_more > 0.99


def test_nine_of_ten_differences_hold_the_true_one() -> None:
    held = []
    for seed in range(120):
        (first, before), (second, after) = (made_up(seed * 2 + year, alike=0.4) for year in (0, 1))
        comparisons = compare(from_answers([first]), from_answers([second]), np.random.default_rng(seed), n_draws=2000)
        held += [
            comparison.difference.low <= gain <= comparison.difference.high
            for comparison, gain in zip(comparisons, before - after, strict=True)
        ]

    assert 0.86 <= np.mean(held) <= 0.95


def test_equal_seeds_compare_alike() -> None:
    first, second = (from_answers([made_up(seed)[0]]) for seed in (0, 1))

    assert compare(first, second, np.random.default_rng(7)) == compare(first, second, np.random.default_rng(7))


def test_estimates_of_other_classes_or_levels_are_not_compared() -> None:
    first = from_answers([made_up(0)[0]])

    for other in (from_answers([made_up(0, n_classes=4)[0]]), from_answers([made_up(0)[0]], level=0.8)):
        with pytest.raises(InvalidSurvey, match="same classes"):
            compare(first, other, np.random.default_rng(0))
