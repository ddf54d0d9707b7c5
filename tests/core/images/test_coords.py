from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.images.coords import check_inside, learner_hw, to_full, to_working, working_hw
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import ClickOutsideImage, InvalidSetting


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


@pytest.mark.parametrize(
    ("resolution", "image_hw", "wanted"),
    [
        (None, (9000, 12000), (1152, 1536)),  # as before there was a resolution
        ("auto", (900, 1200), (900, 1200)),
        ("auto", (3000, 4000), (1152, 1536)),
        ("auto", (9000, 12000), (2250, 3000)),  # never coarser than four pixels to one
        (1.0, (9000, 12000), (9000, 12000)),
        ("auto", (6145, 20), (1537, 5)),
        (2.5, (1000, 2000), (400, 800)),
        (64.0, (3, 50), (1, 1)),
    ],
)
def test_the_resolution_decides_how_large_the_working_picture_is(resolution, image_hw, wanted):
    assert learner_hw(image_hw, LearnerSpec(resolution=resolution)) == wanted


def test_settings_from_before_there_was_a_resolution_mean_what_they_meant():
    old = {name: value for name, value in LearnerSpec().to_dict().items() if name != "resolution"}

    assert LearnerSpec.from_dict(old).resolution is None
    assert LearnerSpec.from_dict(LearnerSpec(resolution=2.0).to_dict()).resolution == 2.0


@pytest.mark.parametrize("resolution", [0.5, 65, float("nan"), "fine"])
def test_a_resolution_that_is_none_is_refused(resolution):
    with pytest.raises(InvalidSetting, match="resolution"):
        LearnerSpec(resolution=resolution)
