from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.surveys.answers import Predictions
from fcnlab.core.surveys.influence import (
    Linearised,
    Tuning,
    merged_groups,
    model_assisted,
    plain,
    post_stratified,
    tuned,
)
from tests.support.surveys import made_up, stratum


def halves(n_classes: int) -> Tuning:
    return Tuning(np.full(n_classes, 0.5), np.ones(n_classes))


@pytest.mark.parametrize("seed", range(4))
def test_what_answers_add_cancels_out(seed: int) -> None:
    answers, _ = made_up(seed, right=0.7, unknown=0.2, n_classes=4)

    for linear in (plain(answers), model_assisted(answers, halves(4)), post_stratified(answers)):
        assert answers.answer_weights @ linear.residuals == pytest.approx(np.zeros(4), abs=1e-12)
        assert answers.answer_weights @ linear.told_residuals == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("estimator", [plain, lambda answers: model_assisted(answers, halves(3)), post_stratified])
def test_what_an_image_adds_is_how_the_estimate_moves_with_its_weight(estimator) -> None:
    answers, _ = made_up(5, right=0.7, n_classes=3, n_images=30)
    image, step = 4, 1e-4
    sizes = answers.sizes.copy()
    sizes[image] *= 1 + step

    linear: Linearised = estimator(answers)
    moved = estimator(replace(answers, sizes=sizes)).totals - linear.totals

    added = (answers.answer_weights[:, None] * linear.residuals)[answers.images == image].sum(axis=0)
    assert moved / step == pytest.approx(added, rel=1e-3, abs=1e-6)


def test_a_model_without_weight_leaves_the_plain_shares_and_with_all_weight_their_difference() -> None:
    answers, _ = made_up(0, right=0.7)
    assert answers.predictions is not None
    none, full = (model_assisted(answers, Tuning(np.full(3, weight), np.zeros(3))) for weight in (0.0, 1.0))

    at_points = answers.answer_weights @ np.eye(3)[answers.predictions.classes]
    assert none.totals == pytest.approx(plain(answers).totals)
    assert full.totals == pytest.approx(plain(answers).totals + answers.predictions.cover - at_points)
    assert none.unseen == pytest.approx(np.zeros(3))


def test_the_weight_of_a_model_is_about_nothing_for_a_useless_and_about_one_for_a_perfect_one() -> None:
    def mean_weight(right: float) -> float:
        tunings = [tuned([made_up(seed, n_images=60, right=right)[0]], [1.0]) for seed in range(10)]
        assert all(((tuning.weights >= 0) & (tuning.weights <= 1)).all() for tuning in tunings)
        return float(np.mean([tuning.weights for tuning in tunings]))

    assert mean_weight(0.0) < 0.15
    assert mean_weight(1.0) > 0.9
    assert 0.2 < mean_weight(0.3) < mean_weight(0.6) < mean_weight(1.0)


def test_a_class_that_is_never_predicted_takes_the_weight_of_the_others() -> None:
    answers, _ = made_up(1, right=1.0, n_classes=2)
    assert answers.predictions is not None
    shares = np.pad(answers.predictions.shares, ((0, 0), (0, 1)))
    wider = replace(answers, n_classes=3, predictions=replace(answers.predictions, shares=shares))

    tuning = tuned([wider], [1.0])

    assert tuning.trust[2] == 0
    assert tuning.weights[2] == pytest.approx(tuned([answers], [1.0]).weights.mean(), abs=0.1)


def test_shares_by_confusion_are_those_of_the_textbook() -> None:
    classes = [0, 0, 0, 1, 1, 1, 1, 1, 0, 0]
    masks = [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]
    answers = stratum([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], classes, population=10)
    model = Predictions(np.array(masks), np.arange(5), np.tile([0.9, 0.1], (10, 1)), np.full(10, 1000.0))

    linear = post_stratified(replace(answers, predictions=model))

    assert linear.totals == pytest.approx([0.9 * 4 / 5 + 0.1 * 1 / 5, 0.9 * 1 / 5 + 0.1 * 4 / 5])


@pytest.mark.parametrize("seed", range(20))
def test_every_group_of_predicted_classes_has_answers_enough(seed: int) -> None:
    rng = np.random.default_rng(seed)
    answers, _ = made_up(seed, n_images=int(rng.integers(2, 8)), n_per_image=6, n_classes=6, right=0.8)
    assert answers.predictions is not None

    groups = merged_groups(answers, answers.predictions)

    of_answers = groups[answers.predictions.classes]
    assert set(groups) == set(range(groups.max() + 1))
    for group in range(groups.max() + 1):
        assert (of_answers == group).sum() >= 5
        assert len(set(answers.images[of_answers == group])) >= min(3, answers.n_images)


def test_frequent_classes_keep_a_group_of_their_own() -> None:
    answers, _ = made_up(0, n_images=50, n_classes=3, right=0.9)
    assert answers.predictions is not None

    assert sorted(merged_groups(answers, answers.predictions)) == [0, 1, 2]
