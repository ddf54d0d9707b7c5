from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.surveys.answers import UNKNOWN, StratumAnswers, unknown_as_class
from fcnlab.core.surveys.estimates import from_answers
from fcnlab.errors import InvalidSurvey
from tests.support.surveys import made_up, stratum


def test_weights_of_answers_are_the_sizes_of_their_images_shared_out() -> None:
    answers = stratum([0, 0, 0, 1], [0, 1, 1, 0], sizes=[300.0, 100.0])

    assert np.allclose(answers.answer_weights, [0.25, 0.25, 0.25, 0.25])
    assert from_answers([replace(answers, population_images=2)]).shares == pytest.approx([0.5, 0.5])


def test_dont_know_is_left_out_or_a_class_of_its_own() -> None:
    answers = stratum([0, 0, 1, 1], [0, UNKNOWN, 1, 1])

    left_out, as_class = from_answers([answers]).shares, from_answers([unknown_as_class(answers)]).shares

    assert left_out == pytest.approx([1 / 3, 2 / 3])
    assert as_class == pytest.approx([1 / 4, 1 / 2, 1 / 4])
    assert as_class[:2] / as_class[:2].sum() == pytest.approx(left_out)


def test_a_model_predicts_dont_know_nowhere() -> None:
    answers, _ = made_up(0, right=0.8, unknown=0.2)

    predictions = unknown_as_class(answers).predictions

    assert predictions is not None
    assert predictions.shares.shape == (200, 4)
    assert predictions.cover[3] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros(0, int), "classes": np.zeros(0, int)}, "no answers yet"),
        ({"classes": np.full(4, UNKNOWN)}, "don't know"),
        ({"classes": np.array([0, 1, 2, 0])}, "none of its 2 classes"),
        ({"classes": np.array([0, 1, -2, 0])}, "none of its 2 classes"),
        ({"images": np.array([0, 0, 2, 2])}, "without an answer"),
        ({"images": np.array([0, 1, 2, 2])}, "3 images, and 2 sizes"),
        ({"images": np.array([-1, 0, 1, 1])}, "without an answer"),
        ({"images": np.array([0, 1])}, "4 answers about 2 points"),
        ({"population_images": 1}, "2 images and is said to have 1"),
        ({"sizes": np.array([10.0, 0.0])}, "no size"),
        ({"sizes": np.array([10.0, np.nan])}, "no size"),
        ({"population_size": 0.0}, "no size"),
        ({"n_classes": 1}, "at least two"),
    ],
)
def test_answers_that_do_not_fit_are_refused_in_words(change: dict[str, object], message: str) -> None:
    answers = replace(stratum([0, 0, 1, 1], [0, 1, 1, 0]), name="reef 3")

    with pytest.raises(InvalidSurvey, match=message) as refused:
        replace(answers, **change)

    assert "reef 3" in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shares": np.full((199, 3), 1 / 3)}, "predict every image"),
        ({"shares": np.full((200, 3), 0.3)}, "add up to one"),
        ({"shares": np.full((200, 3), np.nan)}, "add up to one"),
        ({"sizes": np.ones(3)}, "3 sizes"),
        ({"sizes": np.zeros(200)}, "no size"),
        ({"classes": np.zeros(7, int)}, "7 of their pixels"),
        ({"classes": np.full(200, 3)}, "none of its 3 classes"),
        ({"surveyed": np.zeros(20, int)}, "of each, once"),
        ({"surveyed": np.arange(190, 210)}, "no predicted mask"),
    ],
)
def test_predictions_that_do_not_fit_are_refused_in_words(change: dict[str, object], message: str) -> None:
    answers, _ = made_up(0, right=0.8)
    assert answers.predictions is not None

    with pytest.raises(InvalidSurvey, match=message):
        replace(answers, predictions=replace(answers.predictions, **change))


def test_the_size_of_a_stratum_is_what_is_said_else_that_of_its_masks_else_estimated() -> None:
    answers, _ = made_up(0, right=0.8)
    assert answers.predictions is not None
    unsaid = replace(answers, population_size=None)

    assert replace(answers, population_size=7e5).total_size == 7e5
    assert unsaid.total_size == answers.predictions.sizes.sum()
    assert replace(unsaid, predictions=None).total_size == pytest.approx(200 * answers.sizes.mean())


def test_answers_count_only_what_names_a_class() -> None:
    answers: StratumAnswers = stratum([0, 0, 1, 1], [0, UNKNOWN, 1, 1])

    assert answers.n_answers == 3
    assert answers.class_counts.tolist() == [1, 2]
    assert answers.per_image.tolist() == [2, 2]
