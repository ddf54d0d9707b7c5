from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fcnlab.core.surveys.estimates import from_answers
from fcnlab.core.surveys.planning import (
    MOST_PER_IMAGE,
    StratumNeed,
    best_per_image,
    expected_widths,
    need_of,
    neyman_allocation,
    spread_of,
)
from fcnlab.errors import InvalidSurvey
from tests.support.surveys import made_up, stratum


def strata_of(seed: int) -> list[StratumNeed]:
    rng = np.random.default_rng(seed)
    available = rng.integers(3, 40, 4)
    return [
        StratumNeed(float(rng.uniform(0.1, 5)), float(rng.uniform(0, 1)), int(rng.integers(0, most // 2)), int(most))
        for most in available
    ]


@pytest.mark.parametrize("seed", range(12))
def test_allocations_are_whole_add_up_and_keep_to_what_there_is(seed: int) -> None:
    strata = strata_of(seed)
    left = sum(need.available - need.surveyed for need in strata)

    for n in (8, 15, left):
        allocation = neyman_allocation(strata, n)

        assert sum(allocation) == n
        for need, images in zip(strata, allocation, strict=True):
            assert min(2, need.available) <= need.surveyed + images <= need.available


def test_the_variance_of_no_other_allocation_is_less() -> None:
    strata = [StratumNeed(3, 0.2, 0, 9), StratumNeed(1, 0.5, 3, 9), StratumNeed(2, 0.4, 1, 9)]

    def variance(allocation: tuple[int, ...]) -> float:
        return sum(
            (need.part * need.deviation) ** 2 / (need.surveyed + images)
            for need, images in zip(strata, allocation, strict=True)
        )

    others = [
        allocation
        for allocation in product(range(10), repeat=3)
        if sum(allocation) == 10
        and all(2 <= need.surveyed + n <= need.available for need, n in zip(strata, allocation, strict=True))
    ]

    assert variance(tuple(neyman_allocation(strata, 10))) == pytest.approx(min(map(variance, others)))


def test_many_images_go_in_proportion_to_size_and_deviation() -> None:
    strata = [StratumNeed(1, 0.1, 0, 10**4), StratumNeed(1, 0.3, 0, 10**4), StratumNeed(2, 0.3, 0, 10**4)]

    assert neyman_allocation(strata, 1000) == pytest.approx([100, 300, 600], abs=1)


def test_the_order_of_strata_does_not_matter() -> None:
    strata = strata_of(3)

    assert neyman_allocation(strata[::-1], 20)[::-1] == neyman_allocation(strata, 20)


def test_strata_that_vary_nowhere_share_by_size() -> None:
    strata = [StratumNeed(1, 0, 0, 100), StratumNeed(3, 0, 0, 100)]

    assert neyman_allocation(strata, 40) == pytest.approx([10, 30], abs=1)


@pytest.mark.parametrize(
    ("n", "need", "message"),
    [
        (3, StratumNeed(1, 0.2, 0, 9), "3 images cannot be shared out"),
        (40, StratumNeed(1, 0.2, 0, 9), "18 are left"),
        (5, StratumNeed(0, 0.2, 0, 9), "size above zero"),
        (5, StratumNeed(1, float("nan"), 0, 9), "size above zero"),
        (5, StratumNeed(1, 0.2, 10, 9), "no more surveyed"),
    ],
)
def test_what_cannot_be_shared_out_is_explained(n: int, need: StratumNeed, message: str) -> None:
    with pytest.raises(InvalidSurvey, match=message):
        neyman_allocation([need, StratumNeed(1, 0.2, 0, 9)], n)


def test_the_spread_of_a_stratum_is_told_apart_into_images_and_pixels() -> None:
    spreads = [spread_of(made_up(seed, n_images=150, population=3000, alike=0.4, n_classes=2)[0]) for seed in range(8)]

    ratios = [spread.between[0] / (spread.between[0] + spread.within[0]) for spread in spreads]

    assert np.mean(ratios) == pytest.approx(0.4, abs=0.07)
    independent = spread_of(made_up(0, n_images=150, population=3000, alike=0.0, n_classes=2)[0])
    assert independent.between[0] < 0.05 * independent.within[0]


def test_more_images_and_more_points_make_the_expected_interval_shorter() -> None:
    answers, _ = made_up(0, alike=0.4)

    now, more, most = (expected_widths(answers, n, 10) for n in (0, 20, 100))

    assert (now > more).all()
    assert (more > most).all()
    assert (expected_widths(answers, 20, 40) < more).all()


@pytest.mark.parametrize("alike", [0.0, 0.4])
def test_the_expected_width_is_about_what_comes(alike: float) -> None:
    expected, came = [], []
    for seed in range(30):
        few, many = (made_up(seed, n_images=n, alike=alike, population=300)[0] for n in (30, 90))
        expected.append(expected_widths(few, 60, 10).mean())
        came.append(np.mean([cover.high - cover.low for cover in from_answers([many]).classes]))

    assert np.mean(expected) == pytest.approx(np.mean(came), rel=0.12)


@pytest.mark.parametrize("population", [24, 40, 2000])
def test_of_no_more_images_the_expected_width_is_that_of_now(population: int) -> None:
    now, expected = [], []
    for seed in range(10):
        answers, _ = made_up(seed, n_images=20, population=population, alike=0.3)
        expected.append(expected_widths(answers, 0, 10).mean())
        now.append(np.mean([cover.high - cover.low for cover in from_answers([answers]).classes]))

    assert np.mean(expected) == pytest.approx(np.mean(now), rel=0.08)


def test_a_stratum_needs_more_images_the_more_these_differ() -> None:
    alike, different = (need_of(made_up(2, n_images=60, alike=alike)[0], 10) for alike in (0.05, 0.7))

    assert different.deviation > 1.5 * alike.deviation
    assert (alike.surveyed, alike.available) == (60, 200)


def test_dear_images_are_worth_more_points_and_images_that_differ_fewer() -> None:
    answers, _ = made_up(0, alike=0.2, n_images=80)
    different, _ = made_up(0, alike=0.7, n_images=80)

    cheap, dear = (best_per_image(answers, 0, image_cost=cost, point_cost=1) for cost in (1, 100))

    assert 1 <= cheap < dear
    assert dear == pytest.approx(10 * cheap, abs=10)
    assert best_per_image(different, 0, image_cost=100, point_cost=1) < dear


def test_images_without_any_difference_take_all_points_and_pure_ones_a_single_one() -> None:
    same = stratum(np.repeat(np.arange(10), 4).tolist(), [0, 1, 0, 1] * 10, population=99)
    pure = stratum(np.repeat(np.arange(10), 4).tolist(), [0] * 20 + [1] * 20, population=99)

    assert best_per_image(same, 0, image_cost=5, point_cost=1) == MOST_PER_IMAGE
    assert best_per_image(pure, 0, image_cost=5, point_cost=1) == 1


def test_what_cannot_be_planned_is_explained() -> None:
    answers, _ = made_up(0)
    single = stratum([0, 0], [0, 1], population=9)
    scattered = stratum([0, 1, 2], [0, 1, 0], population=9)

    for call, message in (
        (lambda: expected_widths(answers, 181, 10), "180 images left"),
        (lambda: expected_widths(answers, 10, 0), "0 points each"),
        (lambda: spread_of(single), "answer points of another"),
        (lambda: spread_of(scattered), "more per image"),
        (lambda: best_per_image(answers, 0, image_cost=0, point_cost=1), "above zero"),
    ):
        with pytest.raises(InvalidSurvey, match=message):
            call()
