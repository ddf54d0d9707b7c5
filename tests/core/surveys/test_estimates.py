from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers
from fcnlab.core.surveys.estimates import (
    ESTIMATORS,
    CoverEstimate,
    Method,
    as_if_independent,
    by_confusion,
    corrected,
    from_answers,
    predicted,
)
from fcnlab.errors import InvalidSurvey
from tests.support.surveys import made_up, renamed, shuffled, stratum

METHODS = list(ESTIMATORS)


def numbers(estimate: CoverEstimate) -> np.ndarray:
    """(K, 6) all that is said of each class."""
    return np.array(
        [
            (cover.share, cover.low, cover.high, cover.n_answers, cover.effective_answers, cover.widening)
            for cover in estimate.classes
        ]
    )


def widths(estimate: CoverEstimate) -> np.ndarray:
    return numbers(estimate)[:, 2] - numbers(estimate)[:, 1]


def anything(seed: int) -> StratumAnswers:
    """A stratum with whatever may happen: a few images, a rare class, single answers, "don't know"."""
    rng = np.random.default_rng(seed)
    n_images = int(rng.integers(2, 9))
    return made_up(
        seed,
        n_images=n_images,
        n_per_image=int(rng.integers(1, 6)),
        population=int(rng.integers(n_images, 3 * n_images)),
        n_classes=int(rng.integers(2, 9)),
        alike=float(rng.choice([0.0, 0.5, 0.95])),
        right=float(rng.choice([0.0, 0.5, 1.0])),
        unknown=float(rng.choice([0.0, 0.6])),
    )[0]


@pytest.mark.parametrize("method", METHODS)
def test_whatever_was_answered_shares_lie_in_their_intervals_and_these_in_0_to_1(method: Method) -> None:
    for seed in range(100):
        table = numbers(ESTIMATORS[method]([anything(seed)]))
        share, low, high, _, effective, widening = table.T

        assert np.isfinite(table[:, :4]).all(), seed
        assert ((low >= 0) & (low <= share) & (share <= high) & (high <= 1)).all(), seed
        assert not np.isnan(effective).any(), seed
        assert (effective > 0).all(), seed
        assert (widening >= 0).all(), seed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(6))
def test_neither_the_order_of_answers_nor_the_numbers_of_images_matter(method: Method, seed: int) -> None:
    answers, _ = made_up(seed, right=0.7, unknown=0.1)

    assert numbers(ESTIMATORS[method]([shuffled(answers, seed)])) == pytest.approx(
        numbers(ESTIMATORS[method]([answers])), rel=1e-6, abs=1e-9
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(6))
def test_classes_by_other_names_have_the_same_shares(method: Method, seed: int) -> None:
    answers, _ = made_up(seed, right=0.7, n_classes=4)
    order = np.array([2, 0, 3, 1])

    estimate, other = (ESTIMATORS[method]([each]) for each in (answers, renamed(answers, order)))

    assert numbers(other)[order] == pytest.approx(numbers(estimate), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_two_classes_have_mirrored_intervals(method: Method) -> None:
    answers, _ = made_up(3, right=0.7, n_classes=2, unknown=0.1)

    first, second = numbers(ESTIMATORS[method]([answers]))

    assert second[:3] == pytest.approx(1 - first[[0, 2, 1]])
    assert second[4:] == pytest.approx(first[4:])


@pytest.mark.parametrize("method", METHODS)
def test_a_surer_interval_holds_the_less_sure_one(method: Method) -> None:
    answers, _ = made_up(0, right=0.7)

    sure, surer = (numbers(ESTIMATORS[method]([answers], level=level)) for level in (0.8, 0.95))

    assert (surer[:, 1] <= sure[:, 1]).all()
    assert (surer[:, 2] >= sure[:, 2]).all()
    assert (surer[:, 2] - surer[:, 1] > sure[:, 2] - sure[:, 1]).all()


@pytest.mark.parametrize("method", ["as_if_independent", "from_answers", "by_confusion"])
def test_shares_add_up_to_one(method: Method) -> None:
    for seed in range(30):
        assert ESTIMATORS[method]([anything(seed)]).shares.sum() == pytest.approx(1)


def test_answers_of_an_image_that_agree_widen_the_interval_and_independent_ones_do_not() -> None:
    alike = [np.median(numbers(from_answers([made_up(seed, alike=0.9)[0]]))[:, 5]) for seed in range(20)]
    independent = [np.median(numbers(from_answers([made_up(seed, alike=0.0)[0]]))[:, 5]) for seed in range(20)]

    assert np.median(alike) > 2
    assert np.median(independent) == pytest.approx(1.05, abs=0.15)


def test_effective_answers_lie_near_the_images_if_those_are_of_one_class_each() -> None:
    images = np.repeat(np.arange(30), 10)
    classes = (images % 3 == 0).astype(int)

    estimate = from_answers([stratum(images.tolist(), classes.tolist(), population=10**6)])

    assert estimate.effective_answers == pytest.approx(30, rel=0.15)
    assert estimate.n_answers == 300


def test_with_every_pixel_of_every_image_answered_nothing_is_left_to_chance() -> None:
    classes = [0, 1, 1, 1, 0, 0]
    answers = stratum([0, 0, 1, 1, 2, 2], classes, sizes=[2.0, 2.0, 2.0])
    masks = np.array([[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]])
    model = Predictions(np.array(classes), np.arange(3), masks, np.full(3, 2.0))

    for method in ("from_answers", "corrected", "by_confusion"):
        estimate = ESTIMATORS[method]([replace(answers, predictions=model)])

        assert widths(estimate).tolist() == [0, 0]
        assert estimate.shares == pytest.approx([0.5, 0.5])
        assert np.isinf(estimate.effective_answers)


def test_more_of_the_images_surveyed_make_a_shorter_interval() -> None:
    answers, _ = made_up(1, alike=0.6, n_images=20)

    few, many, all_of_them = (
        widths(from_answers([replace(answers, population_images=population)])) for population in (2000, 25, 20)
    )

    assert (few > many).all()
    assert (many > all_of_them).all()


def test_large_images_weigh_more() -> None:
    answers = stratum([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 1, 1], sizes=[8000.0, 1000.0, 1000.0], population=99)

    assert from_answers([answers]).shares == pytest.approx([0.8, 0.2])
    assert as_if_independent([answers]).shares == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("method", ["corrected", "by_confusion"])
def test_a_perfect_model_leaves_nearly_no_width_and_the_truth(method: Method) -> None:
    for seed in range(5):
        answers, truth = made_up(seed, n_images=60, right=1.0)
        estimate = ESTIMATORS[method]([answers])

        assert (widths(estimate) < 0.2 * widths(from_answers([answers]))).all()
        assert estimate.shares == pytest.approx(truth, abs=0.01)


def test_a_useless_model_costs_a_few_percent() -> None:
    ratios = []
    for seed in range(40):
        answers, _ = made_up(seed, right=0.0)
        ratios.append((widths(corrected([answers])) / widths(from_answers([answers]))).mean())

    assert np.mean(ratios) < 1.06
    assert max(ratios) < 1.3


def test_the_better_the_model_the_shorter_the_interval() -> None:
    mean = {
        right: np.mean([widths(corrected([made_up(seed, n_images=40, right=right)[0]])) for seed in range(15)])
        for right in (0.3, 0.7, 0.95)
    }

    assert mean[0.95] < 0.7 * mean[0.7]
    assert mean[0.7] < 0.95 * mean[0.3]


def test_a_model_that_is_wrong_where_nobody_looked_makes_the_interval_wider() -> None:
    answers, _ = made_up(2, right=1.0, alike=0.05)
    assert answers.predictions is not None
    shares = answers.predictions.shares.copy()
    elsewhere = np.setdiff1d(np.arange(len(shares)), answers.predictions.surveyed)[:60]
    shares[elsewhere] = [0.0, 0.0, 1.0]

    trusted = corrected([answers])
    doubted = corrected([replace(answers, predictions=replace(answers.predictions, shares=shares))])

    assert (widths(doubted)[[0, 2]] > 2 * widths(trusted)[[0, 2]]).all()


@pytest.mark.parametrize("method", ["from_answers", "corrected"])
@pytest.mark.parametrize("right", [0.4, 0.9])
def test_nine_of_ten_intervals_hold_the_truth(method: Method, right: float) -> None:
    held = []
    for seed in range(160):
        answers, truth = made_up(seed, right=right, unknown=0.1)
        table = numbers(ESTIMATORS[method]([answers]))
        held.append((table[:, 1] <= truth) & (truth <= table[:, 2]))

    assert 0.86 <= np.mean(held) <= 0.95


def test_dont_know_leaves_a_model_that_is_right_everywhere_its_shares() -> None:
    answers, truth = made_up(4, n_images=100, right=1.0, unknown=0.5)

    assert corrected([answers]).shares == pytest.approx(truth, abs=0.04)
    assert by_confusion([answers]).shares == pytest.approx(truth, abs=0.04)


@pytest.mark.parametrize("method", ["from_answers", "corrected", "by_confusion"])
def test_strata_weigh_by_their_pixels(method: Method) -> None:
    small, large = (made_up(seed, right=0.8)[0] for seed in (0, 1))
    small, large = replace(small, population_size=1e5), replace(large, population_size=3e5)
    estimate: Callable[..., CoverEstimate] = ESTIMATORS[method]

    both, alone, other = estimate([small, large]), estimate([small]), estimate([large])

    if method != "corrected":  # a model is tuned over all strata
        assert both.shares == pytest.approx(0.25 * alone.shares + 0.75 * other.shares)
    assert both.n_answers == 400
    assert both.n_images == 40
    assert (widths(both) < widths(other)).all()


def test_strata_that_differ_make_the_share_of_all_surer_than_one_survey_of_both() -> None:
    low = stratum(np.repeat(np.arange(20), 5).tolist(), [1, 0, 0, 0, 0] * 20, population=1000)
    high = stratum(np.repeat(np.arange(20), 5).tolist(), [1, 1, 1, 1, 0] * 20, population=1000)
    mixed = stratum(np.repeat(np.arange(40), 5).tolist(), [1, 0, 0, 0, 0] * 20 + [1, 1, 1, 1, 0] * 20, population=2000)

    assert from_answers([low, high]).shares == pytest.approx(from_answers([mixed]).shares)
    assert (widths(from_answers([low, high])) < 0.75 * widths(from_answers([mixed]))).all()


def test_what_no_share_can_be_told_from_is_explained() -> None:
    single = replace(stratum([0, 0], [0, 1], population=40), name="2024")
    three = stratum([0, 0, 1], [0, 1, 2], n_classes=3)

    for call, message in (
        (lambda: from_answers([]), "no strata"),
        (lambda: from_answers([single]), "one image of stratum '2024' has answers, out of 40"),
        (lambda: from_answers([three, stratum([0, 1], [0, 1])]), "different classes"),
        (lambda: from_answers([three], level=90), "between 0 and 1"),
        (lambda: corrected([three]), "no predicted masks"),
        (lambda: by_confusion([three]), "no predicted masks"),
        (lambda: predicted([three]), "no predicted masks"),
    ):
        with pytest.raises(InvalidSurvey, match=message):
            call()
    assert as_if_independent([single]).shares == pytest.approx([0.5, 0.5])


def test_the_bias_of_predicted_masks_is_met() -> None:
    answers, truth = made_up(0, n_images=100, right=0.6, alike=0.1)

    covers = predicted([answers], level=0.99)

    assert answers.predictions is not None
    for cover, share, true in zip(covers, answers.predictions.cover, truth, strict=True):
        assert cover.share == pytest.approx(share)
        assert cover.bias_low <= share - true <= cover.bias_high
        assert cover.bias_low < cover.bias < cover.bias_high
    assert max(abs(cover.bias) for cover in covers) > 0.05


def test_a_class_nobody_met_may_still_be_there() -> None:
    answers = stratum(np.repeat(np.arange(10), 10).tolist(), [0, 1] * 50, n_classes=3, population=500)

    cover = from_answers([answers]).classes[2]

    assert cover.share == cover.low == 0
    assert 0.01 < cover.high < 0.06


def test_answers_that_are_all_dont_know_in_an_image_count_as_no_pixels_of_any_class() -> None:
    answers = stratum([0, 0, 1, 1, 2, 2], [0, 1, UNKNOWN, UNKNOWN, 1, 1], population=50)

    assert from_answers([answers]).shares == pytest.approx([0.25, 0.75])


def test_images_that_are_each_of_one_class_leave_something_to_chance_until_all_pixels_are_answered() -> None:
    images, classes = np.repeat(np.arange(4), 10), np.repeat([0, 0, 0, 1], 10)
    sizes = np.full(4, 1000.0)

    (cover, _) = from_answers([StratumAnswers(images, classes, 2, sizes, 4)]).classes

    assert cover.low < 0.75 < cover.high
    assert cover.effective_answers < 1000
