from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.coords import check_inside, to_full, to_working, working_hw
from fcnlab.errors import ClickOutsideImage


def test_a_small_picture_is_worked_on_at_its_own_size():
    assert working_hw((300, 500), 1536) == (300, 500)


def test_a_large_picture_keeps_its_proportions():
    assert working_hw((2000, 4000), 1000) == (500, 1000)


def test_a_very_long_picture_keeps_at_least_one_row():
    assert working_hw((1, 9000), 512) == (1, 512)


def test_every_working_pixel_comes_back_from_the_full_size_pixels_it_covers():
    full, working = 1200, 500
    positions, pixels = to_working(np.arange(full), full=full, working=working)

    back = (positions + 0.5) * (full / working) - 0.5

    assert np.allclose(back, np.arange(full))
    assert set(pixels) == set(range(working))
    assert np.abs(positions - pixels).max() <= 0.5 + 1e-9


@pytest.mark.parametrize(("row", "col"), [(-1, 0), (30, 0), (0, 40), (0, -1)])
def test_a_point_outside_is_refused_with_the_size_of_the_image(row: int, col: int):
    with pytest.raises(ClickOutsideImage, match="rows run from 0 to 29, columns from 0 to 39"):
        check_inside(np.array([row]), np.array([col]), (30, 40))


@pytest.mark.parametrize(("full", "working"), [(7, 7), (100, 99), (360, 180), (1000, 333), (4001, 1536), (5, 1)])
def test_a_working_pixel_gone_to_full_size_and_back_is_the_same(full: int, working: int) -> None:
    positions = np.arange(working)

    found = to_full(positions, full=full, working=working)

    assert found.min() >= 0
    assert found.max() < full
    np.testing.assert_array_equal(to_working(found, full=full, working=working)[1], positions)
