"""Which further images help most."""

from __future__ import annotations

import pytest

from fcnlab.core.surveys.next_images import expected_width, next_images
from fcnlab.core.surveys.planning import expected_widths
from fcnlab.errors import InvalidSurvey
from tests.support.surveys import made_up

LEVEL = 0.9


def test_images_go_where_the_class_varies_most_and_all_of_them_are_shared_out() -> None:
    alike, different = (made_up(seed, n_images=30, alike=alike)[0] for seed, alike in ((1, 0.02), (2, 0.8)))

    shares = next_images([alike, different], [30, 30], 24, 10, class_index=0)

    assert sum(shares) == 24
    assert shares[1] > 2 * shares[0]


def test_images_that_wait_for_answers_count_as_drawn() -> None:
    strata = [made_up(1, n_images=20, alike=0.4)[0]] * 2

    shares = next_images(strata, [20, 60], 40, 10, class_index=1)

    assert shares == [40, 0]


def test_of_one_stratum_the_width_is_its_own_and_of_two_alike_it_is_shorter() -> None:
    answers, _ = made_up(3, alike=0.4)
    own_width = float(expected_widths(answers, 10, 10, level=LEVEL)[2])

    assert expected_width([answers], [10], 10, class_index=2, level=LEVEL) == pytest.approx(own_width)
    both = expected_width([answers, answers], [10, 10], 10, class_index=2, level=LEVEL)
    assert both == pytest.approx(own_width / 2**0.5)


def test_more_images_than_are_left_are_refused() -> None:
    answers, _ = made_up(3, n_images=20, population=30)

    with pytest.raises(InvalidSurvey, match="10 are left"):
        next_images([answers], [20], 11, 10, class_index=0)
