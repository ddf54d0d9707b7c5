"""From what was drawn to points."""

from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.images.palette import palette_of
from fcnlab.core.images.scribbles import MOST_PER_CLASS, MOST_PER_SHAPE, Shape, dotted, points_of_shapes
from fcnlab.domain.events import Point
from fcnlab.domain.project import ClassLabel

DRAWN_HW = (200, 300)


def shape(corners: list[tuple[float, float]], class_id: int = 1, *, is_area: bool = False) -> Shape:
    return Shape(np.array(corners, np.float64), is_area, class_id)


def box(left: float, top: float, right: float, bottom: float, class_id: int = 1) -> Shape:
    return shape([(left, top), (right, top), (right, bottom), (left, bottom)], class_id, is_area=True)


def points(*shapes: Shape, image_hw: tuple[int, int] = DRAWN_HW) -> list[Point]:
    return points_of_shapes(shapes, drawn_hw=DRAWN_HW, image_hw=image_hw)


def test_points_of_a_line_lie_on_it_at_equal_distances_from_end_to_end() -> None:
    found = points(shape([(20.5, 50.5), (220.5, 50.5)]))

    cols = [point.col for point in found]
    assert {point.row for point in found} == {50}
    assert (cols[0], cols[-1]) == (20, 220)
    assert set(np.diff(cols)) == {10}


def test_points_of_a_line_lie_at_equal_distances_however_fast_it_was_drawn() -> None:
    slow = [(20.5 + step, 50.5) for step in range(150)]
    fast = [(170.5, 50.5), (220.5, 50.5)]

    assert points(shape(slow + fast)) == points(shape([(20.5, 50.5), (220.5, 50.5)]))


def test_a_line_of_a_single_place_is_one_point() -> None:
    assert points(shape([(7.2, 9.9)])) == [Point(9, 7, 1)]


def test_a_long_line_gives_no_more_points_than_a_shape_may() -> None:
    zigzag = [(10.0 + 280 * (step % 2), 3.0 * step) for step in range(60)]

    assert len(points(shape(zigzag))) <= MOST_PER_SHAPE


@pytest.mark.parametrize("area", [box(20, 30, 200, 170), shape([(10, 10), (290, 40), (60, 190)], is_area=True)])
def test_points_of_an_area_lie_inside_and_are_spread_over_all_of_it(area: Shape) -> None:
    found = np.array([(point.col, point.row) for point in points(area)], float)

    low, high = area.corners.min(axis=0), area.corners.max(axis=0)
    assert MOST_PER_SHAPE * 0.6 <= len(found) <= MOST_PER_SHAPE
    assert (found >= low - 1).all()
    assert (found <= high + 1).all()
    assert ((found.max(axis=0) - found.min(axis=0)) > 0.6 * (high - low)).all()
    nearest = np.sort(np.hypot(*(found[:, None] - found).transpose(2, 0, 1)), axis=1)[:, 1]
    assert nearest.min() > 0.4 * nearest.max()


def test_points_of_a_bent_area_lie_in_it_and_not_in_its_bend() -> None:
    bent = shape([(20, 20), (280, 20), (280, 60), (60, 60), (60, 180), (20, 180)], is_area=True)

    for point in points(bent):
        assert point.row <= 61 or point.col <= 61


def test_the_smallest_area_gives_a_point() -> None:
    (point,) = points(box(50, 60, 50, 60))

    assert (point.row, point.col) == (60, 50)


def test_a_class_drawn_often_gets_no_more_points_than_a_class_may_and_each_shape_one_at_least() -> None:
    often = [box(10 + 20 * k, 10, 24 + 20 * k, 30, 1) for k in range(12)]

    found = points(*often, shape([(10, 150), (250, 150)], 2))

    counts = {class_id: sum(point.class_id == class_id for point in found) for class_id in (1, 2)}
    assert 12 <= counts[1] <= MOST_PER_CLASS
    assert counts[2] == 25
    for one in often:
        left, right = one.corners[0, 0], one.corners[1, 0]
        assert any(point.class_id == 1 and left - 1 <= point.col <= right + 1 for point in found)


def test_where_shapes_cross_the_last_one_counts_and_no_pixel_has_two_points() -> None:
    found = points(shape([(20.5, 50.5), (220.5, 50.5)], 1), shape([(20.5, 50.5), (220.5, 50.5)], 2))

    assert {point.class_id for point in found} == {2}
    assert len({(point.row, point.col) for point in found}) == len(found)


def test_places_are_those_of_the_full_size_image() -> None:
    image_hw = (1000, 3000)  # drawn five and ten times smaller

    (point,) = points(shape([(299.9, 199.9)]), image_hw=image_hw)
    (middle,) = points(shape([(100.0, 50.0)]), image_hw=image_hw)

    assert (point.row, point.col) == (999, 2999)
    assert (middle.row, middle.col) == (250, 1000)


def test_what_was_drawn_outside_the_picture_is_left_out() -> None:
    found = points(shape([(-50, 20), (50, 20)]), shape([(400, 400)]))

    assert found
    assert all(0 <= point.col <= 50 for point in found)
    assert points() == []


def test_dots_show_points_in_the_colour_of_their_class_and_leave_the_picture_alone() -> None:
    palette = palette_of([ClassLabel(0, "a", "#0072B2", 0), ClassLabel(1, "b", "#E69F00", 1)])
    rgb = np.zeros((40, 60, 3), np.uint8)

    shown = dotted(rgb, [Point(100, 250, 1)], palette, image_hw=(200, 300))

    assert tuple(shown[20, 50]) == (0xE6, 0x9F, 0x00)
    assert not rgb.any()
