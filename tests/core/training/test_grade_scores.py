"""Laws of the mean absolute error in grades and of quadratic weighted kappa."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.training.grade_scores import GradeTally, grade_score
from fcnlab.core.training.scores import confusion, score_of
from fcnlab.domain.scores import GradeScore, PointScore, score_from_dict, score_to_dict

GRADES = (7, 2, 9, 4)
"""Ids whose order is not theirs as numbers."""

IDS = np.array(GRADES)
Ints = NDArray[np.int64]


def scored(truth: Ints, answers: Ints, images: Ints | None = None) -> GradeScore:
    """The score of places in the order."""
    score = grade_score(IDS[answers], IDS[truth], grades=GRADES, images=images)
    assert score is not None
    return score


def kappa_by_tables(truth: Ints, answers: Ints) -> float:
    """Cohen 1968 as it is written: weighted tables of observed and expected shares."""
    table = np.zeros((4, 4))
    np.add.at(table, (truth, answers), 1)
    shares = table / table.sum()
    weights = np.square(np.subtract.outer(np.arange(4), np.arange(4)))
    expected = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    return 1 - float((weights * shares).sum() / (weights * expected).sum())


def test_kappa_and_mae_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        truth, answers = rng.integers(0, 4, (2, 50))

        score = scored(truth, answers)

        assert score.kappa == pytest.approx(kappa_by_tables(truth, answers))
        assert score.mae == pytest.approx(np.abs(truth - answers).mean())


def test_a_table_worked_out_by_hand() -> None:
    truth, answers = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])

    score = scored(truth, answers)

    # D = 1/4; truth has mean 3/4 and variance 11/16, answers 1 and 1/2: E = 11/16 + 1/2 + 1/16 = 5/4
    assert score.kappa == pytest.approx(1 - (1 / 4) / (5 / 4))
    assert score.mae == pytest.approx(0.25)


def test_kappa_is_one_of_the_truth_itself_zero_by_chance_and_minus_one_reversed() -> None:
    rng = np.random.default_rng(1)
    truth, chance = rng.integers(0, 4, (2, 20_000))
    even = np.tile(np.arange(4), 50)

    assert scored(truth, truth).kappa == pytest.approx(1)
    assert scored(truth, chance).kappa == pytest.approx(0, abs=0.03)
    assert scored(even, 3 - even).kappa == pytest.approx(-1)
    assert scored(truth, np.full_like(truth, 2)).kappa == pytest.approx(0)


def test_a_miss_by_two_grades_costs_kappa_four_times_a_miss_by_one() -> None:
    truth = np.tile(np.arange(4), 25)
    by_one, by_two = truth.copy(), truth.copy()
    by_one[:2], by_two[:2] = (1, 0), (2, 3)  # the shares of the answers stay nearly the same

    one, two = scored(truth, by_one), scored(truth, by_two)

    assert one.kappa is not None
    assert two.kappa is not None
    assert (1 - two.kappa) / (1 - one.kappa) == pytest.approx(4, rel=0.05)
    assert two.mae == pytest.approx(2 * float(one.mae or 0))


def test_only_pairs_of_grades_count_and_the_others_are_told() -> None:
    truth, answers = np.array([7, 2, 9, 0, 0, 4]), np.array([7, 2, 0, 2, 0, 0])

    score = grade_score(answers, truth, grades=GRADES)

    assert score is not None
    assert (score.n_points, score.lost, score.added) == (2, 2, 1)
    assert (score.mae, score.kappa) == (0, 1)


@pytest.mark.parametrize(
    ("truth", "answers", "mae"), [([2, 2, 2], [2, 9, 9], 2 / 3), ([2, 2], [2, 2], 0.0), ([2], [9], 1.0)]
)
def test_a_single_grade_has_no_kappa(truth: list[int], answers: list[int], mae: float) -> None:
    score = grade_score(np.array(answers), np.array(truth), grades=GRADES)

    assert score is not None
    assert score.mae == pytest.approx(mae)
    assert (score.kappa, score.low, score.high) == (None, None, None)


def test_without_a_pair_there_is_no_figure() -> None:
    lost = grade_score(np.array([0, 0]), np.array([7, 2]), grades=GRADES)
    of_others = grade_score(np.array([0, 1]), np.array([1, 1]), grades=GRADES)

    assert lost == GradeScore(None, None, None, None, 0, lost=2)
    assert of_others is None


@pytest.mark.parametrize("n_images", [1, 2, 4])
def test_a_few_images_give_no_interval(n_images: int) -> None:
    truth = np.arange(40) % 4

    score = scored(truth, truth, np.arange(40) % n_images)

    assert (score.kappa, score.low, score.high) == (pytest.approx(1), None, None)


@pytest.mark.parametrize("images", [None, np.arange(12) % 6])
def test_few_points_are_never_certain(images: Ints | None) -> None:
    truth = np.arange(12) % 4

    score = scored(truth, truth, images)

    assert score.high == pytest.approx(1)
    assert score.low is not None
    assert 0 < score.low < 0.95


def test_points_that_follow_their_image_make_the_interval_wider() -> None:
    rng = np.random.default_rng(3)
    images = np.repeat(np.arange(12), 40)
    truth = rng.integers(0, 4, images.size)
    is_good = rng.random(12) < 0.5
    answers = np.where(is_good[images], truth, rng.integers(0, 4, images.size))

    by_point, by_image = scored(truth, answers), scored(truth, answers, images)

    widths = [score.high - score.low for score in (by_point, by_image) if score.high and score.low is not None]
    assert len(widths) == 2
    assert widths[1] > 1.5 * widths[0]


@pytest.mark.parametrize(("is_by_image", "n_labelled"), [(False, 12), (True, 12), (True, 6)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(*, is_by_image: bool, n_labelled: int) -> None:
    rng = np.random.default_rng(5)
    kappas, holds = [], []

    def labelled(n_images: int) -> tuple[Ints, Ints, Ints]:
        images = np.repeat(np.arange(n_images), 15)
        noise = rng.uniform(0.3, 1.5, n_images) if is_by_image else np.full(n_images, 0.8)
        truth = rng.integers(0, 4, images.size)
        answers = np.clip(np.rint(truth + rng.normal(0, noise[images])), 0, 3).astype(np.int64)
        return truth, answers, images

    truth, answers, _ = labelled(20_000)
    population = kappa_by_tables(truth, answers)
    for _ in range(200):
        truth, answers, images = labelled(n_labelled)
        score = scored(truth, answers, images if is_by_image else None)
        assert score.low is not None
        assert score.high is not None
        kappas.append(score.kappa)
        holds.append(score.low <= population <= score.high)

    assert 0.9 <= np.mean(holds) <= 0.995
    assert np.mean(np.array(kappas, np.float64)) == pytest.approx(population, abs=0.02)


def test_masks_give_what_their_pixels_give() -> None:
    rng = np.random.default_rng(2)
    truths, masks = rng.choice(np.array([0, *GRADES, 255], np.uint8), (2, 5, 13, 17))
    masks[masks == 255] = 0

    tally = GradeTally(GRADES)
    for truth, mask in zip(truths, masks, strict=True):
        tally.add(confusion(truth, mask, 256))
    of_masks = tally.score()

    is_known = truths != 255
    images = np.broadcast_to(np.arange(5)[:, None, None], truths.shape)[is_known]
    of_pixels = grade_score(
        masks[is_known].astype(np.int64), truths[is_known].astype(np.int64), grades=GRADES, images=images
    )
    assert of_masks is not None
    assert of_pixels is not None
    assert of_masks.n_points == of_pixels.n_points
    assert (of_masks.lost, of_masks.added, of_masks.n_images) == (of_pixels.lost, of_pixels.added, 5)
    for name in ("mae", "kappa", "low", "high"):
        assert getattr(of_masks, name) == pytest.approx(getattr(of_pixels, name))


def test_a_score_with_grades_comes_back_from_plain_values_and_one_without_is_what_it_was() -> None:
    classes = np.array([0, 1, 2, 3, 0])
    score = score_of(np.array([0, 1, 1, 3, 2]), classes, class_ids=(7, 2, 9, 4), grades=GRADES)
    without = score_of(np.array([0, 1, 1, 3, 2]), classes, class_ids=(7, 2, 9, 4))

    assert score.grades is not None
    assert score.grades.n_points == 5
    assert score_from_dict(score_to_dict(score)) == score
    assert "grades" not in score_to_dict(without)
    restored = score_from_dict(score_to_dict(without))
    assert isinstance(restored, PointScore)
    assert restored.grades is None
