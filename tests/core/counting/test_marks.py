from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.counting.marks import LARGEST, SMALLEST, MarkedPoints, magnification_for, spacing_of
from fcnlab.errors import InvalidPoints
from tests.support.maps import marks_of


def lattice(n_down: int, n_across: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = np.mgrid[:n_down, :n_across]
    return rows.ravel() * step, cols.ravel() * step


def test_the_spacing_of_a_lattice_is_its_step():
    assert spacing_of([lattice(3, 5, 7.0)]) == pytest.approx(7.0)


def test_the_images_that_hold_a_quarter_of_the_objects_closest_together_decide_on_the_spacing():
    crowded, loose = lattice(20, 30, 4.0), lattice(20, 30, 10.0)

    assert spacing_of([loose, crowded, lattice(3, 2, 11.0)]) == pytest.approx(4.0)
    assert spacing_of([loose, lattice(2, 3, 4.0)]) == pytest.approx(10.0)


def test_two_clicks_on_one_pixel_are_no_neighbours():
    rows, cols = lattice(2, 4, 6.0)

    assert spacing_of([(np.repeat(rows, 2), np.repeat(cols, 2))]) == pytest.approx(6.0)


def test_spacing_without_neighbours_follows_the_size_of_the_image():
    alone = (np.array([3.0]), np.array([4.0]))

    assert spacing_of([alone], (160, 320)) == 20
    assert spacing_of([], (160, 320)) == 20


def test_near_objects_are_enlarged_and_far_ones_reduced_within_limits():
    assert magnification_for(8, (256, 300), 1536) == pytest.approx(2)
    assert magnification_for(1, (100, 120), 1536) == LARGEST
    assert magnification_for(1000, (3000, 4000), 1536) == SMALLEST


def test_enlarging_ends_where_the_picture_fills_the_working_side():
    assert magnification_for(9, (500, 1024), 1536) == pytest.approx(1.5)


def test_objects_of_a_large_picture_do_not_vanish_to_fit_the_working_side():
    assert magnification_for(12, (6000, 8000), 1536) * 12 == pytest.approx(6)


def test_marks_of_a_smaller_map_lie_on_the_same_thing():
    marks = marks_of((0, 0, 1), (7, 11, 2))

    halved = marks.resized((8, 12), (4, 6))

    assert halved.rows.tolist() == [-0.25, 3.25]
    assert halved.cols.tolist() == [-0.25, 5.25]
    rows, cols = halved.pixels((4, 6))
    assert rows.tolist() == [0, 3]
    assert cols.tolist() == [0, 5]


def test_marks_with_a_class_missing_are_refused():
    with pytest.raises(InvalidPoints, match="2 rows, 2 columns and 1 classes"):
        MarkedPoints(np.zeros(2, np.float32), np.zeros(2, np.float32), np.zeros(1, np.int64), True)
