from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.surveys.answers import StratumAnswers
from fcnlab.core.surveys.influence import plain
from fcnlab.core.surveys.sampling_error import (
    effective_number,
    image_degrees,
    satterthwaite,
    two_stage_error,
    within_images,
)
from tests.support.surveys import made_up, stratum


def error_of(answers: StratumAnswers):
    linear = plain(answers)
    return two_stage_error(answers, linear.residuals, linear.factors)


def test_the_variance_is_that_of_the_textbook_for_images_of_one_size() -> None:
    images, points, population = 6, 5, 20
    classes = np.random.default_rng(0).integers(0, 2, images * points)
    answers = stratum(np.repeat(np.arange(images), points).tolist(), classes.tolist(), population=population)
    shares = classes.reshape(images, points).mean(axis=1)
    between, within = shares.var(ddof=1), (points / (points - 1) * shares * (1 - shares)).mean()
    f, g = images / population, points / 1000

    error = error_of(answers)

    assert error is not None
    expected = (1 - f) * between / images + f * (1 - g) * within / (images * points)
    assert error.variances == pytest.approx([expected, expected])


def test_draws_of_images_and_pixels_vary_as_much_as_the_estimated_variance_says() -> None:
    rng = np.random.default_rng(1)
    shares, m, n, population = rng.beta(1, 3, 30), 12, 4, 30
    estimates, variances = [], []
    for _ in range(1500):
        drawn = rng.choice(population, m, replace=False)
        classes = (rng.random((m, n)) < shares[drawn, None]).astype(int).ravel()
        error = error_of(stratum(np.repeat(np.arange(m), n).tolist(), classes.tolist(), population=population))
        assert error is not None
        estimates.append(classes.mean())
        variances.append(error.variances[1])

    assert np.mean(variances) == pytest.approx(np.var(estimates), rel=0.1)


def test_one_image_out_of_several_has_no_variance_and_the_only_one_has() -> None:
    answers = stratum([0, 0, 0], [0, 1, 1])

    assert error_of(replace(answers, population_images=2)) is None
    only = error_of(answers)
    assert only is not None
    assert only.variances == pytest.approx(np.full(2, (2 / 9) / 2 * (1 - 3 / 1000)))


def test_when_every_image_is_surveyed_only_pixels_are_left_to_chance() -> None:
    answers = stratum([0, 0, 1, 1], [0, 0, 1, 1])

    all_surveyed, some = error_of(answers), error_of(replace(answers, population_images=50))

    assert all_surveyed is not None
    assert some is not None
    assert all_surveyed.variances.tolist() == [0, 0]
    assert (some.variances > 0.1).all()


def test_every_pixel_answered_leaves_no_variance() -> None:
    answers = stratum([0, 0, 1, 1], [0, 1, 1, 1], sizes=[2.0, 2.0])

    error = error_of(answers)

    assert error is not None
    assert error.variances.tolist() == [0, 0]
    assert np.isinf(error.degrees).all()


def test_single_answers_vary_as_those_of_other_images_do() -> None:
    residuals = plain(stratum([0, 1, 2], [0, 1, 1])).residuals
    assert within_images(stratum([0, 1, 2], [0, 1, 1]), residuals) is None

    mixed = stratum([0, 0, 1], [0, 1, 1])
    variances = within_images(mixed, plain(mixed).residuals)

    assert variances is not None
    two, single = 0.25 * 0.5 / 2 * (1 - 2 / 1000), 0.25 * 0.5 * (1 - 1 / 1000)
    assert variances == pytest.approx([two + single] * 2)


@pytest.mark.parametrize("seed", range(5))
def test_answers_that_are_more_alike_leave_more_variance(seed: int) -> None:
    variances = []
    for alike in (0.0, 0.6):
        error = error_of(made_up(seed, alike=alike, n_images=60)[0])
        assert error is not None
        variances.append(error.variances.sum())

    assert variances[1] > 2 * variances[0]


def test_degrees_of_a_sum_lie_between_the_least_and_all_together() -> None:
    degrees = satterthwaite([np.array([1.0, 4.0, 0.0]), np.array([1.0, 0.0, 0.0])], [5.0, 7.0])

    assert 5 <= degrees[0] <= 12
    assert degrees[1] == pytest.approx(5)
    assert np.isinf(degrees[2])


def test_the_number_of_values_that_make_up_a_sum() -> None:
    values = np.array([[1.0, 0.0, 1e-200], [-1.0, 0.0, 1e-200], [1.0, 0.0, 0.0], [1.0, 9.0, 0.0]])

    assert effective_number(values) == pytest.approx([4, 1, 2])
    assert effective_number(np.zeros((3, 2))).tolist() == [0, 0]


def test_a_variance_that_few_images_make_up_has_few_degrees_of_freedom() -> None:
    answers = stratum(np.repeat(np.arange(20), 4).tolist(), [0] * 72 + [1] * 8, population=500)
    even = stratum(np.repeat(np.arange(20), 4).tolist(), [0] * 40 + [1] * 40, population=500)
    uneven = replace(even, sizes=np.array([20000.0] * 2 + [1000.0] * 18))

    few, many, of_size = (image_degrees(each, plain(each).residuals) for each in (answers, even, uneven))

    assert few == pytest.approx([40 / (20 * (18 * 0.1**4 + 2 * 0.9**4) / 1.8**2 - 1)] * 2)
    assert many == pytest.approx([19, 19])
    assert (of_size < 5).all()
