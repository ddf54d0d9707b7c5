from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score

from fcnlab.core.tagging.scores import average_precision, expected_calibration_error, tag_scores
from fcnlab.errors import InvalidTag


def drawn(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    answers = rng.integers(0, 2, (n, 4)).astype(np.int8)
    probabilities = np.clip(answers * 0.3 + rng.random((n, 4)) * 0.7, 0, 1).round(1).astype(np.float32)
    answers[rng.random((n, 4)) < 0.2] = -1
    return probabilities, answers


def test_average_precision_is_that_of_scikit_learn_with_ties_and_weights() -> None:
    probabilities, answers = drawn()
    weights = np.random.default_rng(0).integers(0, 4, (3, 80)).astype(np.float64)

    precision = average_precision(probabilities, answers, weights)

    for row in range(3):
        for tag in range(4):
            told = answers[:, tag] >= 0
            wanted = average_precision_score(
                answers[told, tag], probabilities[told, tag], sample_weight=weights[row, told]
            )
            assert np.isclose(precision[row, tag], wanted)


def test_f1_is_that_of_scikit_learn() -> None:
    probabilities, _ = drawn()
    answers = np.random.default_rng(9).integers(0, 2, probabilities.shape).astype(np.int8)

    score = tag_scores(probabilities, answers)

    assert score.micro_f1 is not None
    assert score.macro_f1 is not None
    assert np.isclose(score.micro_f1.value, f1_score(answers, probabilities >= 0.5, average="micro"))
    assert np.isclose(score.macro_f1.value, f1_score(answers, probabilities >= 0.5, average="macro"))


def test_unknown_answers_and_images_without_any_count_nowhere() -> None:
    probabilities, answers = drawn()
    answers[::5] = -1
    kept = (answers >= 0).any(axis=1)

    assert tag_scores(probabilities, answers) == tag_scores(probabilities[kept], answers[kept])


def test_a_tag_with_answers_of_one_kind_has_no_average_precision_and_says_why() -> None:
    probabilities, answers = drawn()
    answers[:, 1] = np.where(answers[:, 1] == 0, -1, answers[:, 1])

    score = tag_scores(probabilities, answers)

    others = [tag.average_precision for index, tag in enumerate(score.tags) if index != 1]
    values = [precision.value for precision in others if precision is not None]
    assert score.tags[1].average_precision is None
    assert score.tags[1].n_no == 0
    assert "1 of 4 tags" in score.why_missing
    assert score.mean_average_precision is not None
    assert np.isclose(score.mean_average_precision.value, np.mean(values))


def test_without_answers_there_are_no_scores_and_no_error() -> None:
    score = tag_scores(np.full((3, 2), 0.5, np.float32), np.full((3, 2), -1, np.int8))

    assert score.mean_average_precision is score.micro_f1 is score.calibration_error is None
    assert score.n_images == 0


def test_more_images_make_intervals_shorter_and_they_hold_the_value() -> None:
    few, many = (tag_scores(*drawn(n)) for n in (40, 640))

    for score in (few, many):
        assert score.mean_average_precision is not None
        assert score.mean_average_precision.low <= score.mean_average_precision.value
        assert score.mean_average_precision.value <= score.mean_average_precision.high
    assert few.mean_average_precision is not None
    assert many.mean_average_precision is not None
    width = many.mean_average_precision.high - many.mean_average_precision.low
    assert width < 0.5 * (few.mean_average_precision.high - few.mean_average_precision.low)


def test_probabilities_that_come_true_as_often_as_they_say_have_no_calibration_error() -> None:
    probabilities = np.repeat([0.25, 0.75], 8)[:, None]
    answers = np.array([1, 0, 0, 0] * 2 + [1, 1, 1, 0] * 2, np.int8)[:, None]

    assert expected_calibration_error(probabilities, answers) == pytest.approx(0)
    assert expected_calibration_error(1 - probabilities, answers) == pytest.approx(0.5)


def test_what_is_no_probability_is_explained() -> None:
    probabilities, answers = drawn()

    with pytest.raises(InvalidTag, match="between 0 and 1"):
        tag_scores(probabilities * np.float32("nan"), answers)
    with pytest.raises(InvalidTag, match="column per tag"):
        tag_scores(probabilities[:, :2], answers)
    with pytest.raises(InvalidTag, match="level"):
        tag_scores(probabilities, answers, level=95)
