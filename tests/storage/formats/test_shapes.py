from __future__ import annotations

import numpy as np
import pytest

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FileClass
from fcnlab.storage.formats.reading.shapes import (
    Ellipse,
    Stamp,
    box,
    drawn,
    point_at,
    polygon,
    shape_classes,
    turned,
)
from fcnlab.storage.formats.reading.values import Rest

HW = (20, 33)


def test_a_box_between_corners_of_pixels_is_those_pixels() -> None:
    mask = drawn([box(3, 4, 5, 30, 9, "a box")], HW, ground=0)

    assert (mask[5:9, 4:30] == 3).all()
    assert (mask == 3).sum() == 4 * 26


def test_a_pixel_belongs_to_a_shape_when_its_middle_does() -> None:
    just_in = drawn([box(1, 4.49, 5.49, 7.51, 8.51, "a box")], HW, ground=0)
    just_out = drawn([box(1, 4.51, 5.51, 7.49, 8.49, "a box")], HW, ground=0)

    assert (just_in[5:9, 4:8] == 1).all()
    assert just_in.sum() == 16
    assert (just_out[6:8, 5:7] == 1).all()
    assert just_out.sum() == 4


def test_later_shapes_lie_over_earlier_ones_whatever_their_kind() -> None:
    stamp = Stamp(2, 6, 6, (4, 5), lambda: np.ones((4, 5), bool))
    mask = drawn([box(1, 0, 0, 33, 20, "a box"), stamp, Ellipse(3, 8, 8, 1, 1)], HW, ground=0)

    assert mask[6, 6] == 2
    assert mask[7, 7] == 3
    assert mask[19, 32] == 1


def test_an_ellipse_covers_about_its_area_and_turns_clockwise() -> None:
    wide = drawn([Ellipse(1, 16.5, 10, 12, 4)], HW, ground=0)
    high = drawn([Ellipse(1, 16.5, 10, 4, 12, 90)], HW, ground=0)
    slanted = drawn([Ellipse(1, 16.5, 10, 12, 2, 30)], HW, ground=0)

    assert wide.sum() == pytest.approx(np.pi * 48, rel=0.05)
    assert np.array_equal(wide, high)
    assert slanted[15, 25] == 1  # right and down: y grows downwards
    assert slanted[5, 25] == 0


def test_a_quarter_turn_of_a_box_swaps_its_sides() -> None:
    flat = box(1, 10, 8, 20, 12, "a box")

    mask = drawn([turned(flat, 90, about=(15, 10))], HW, ground=0)

    assert np.array_equal(mask, drawn([box(1, 13, 5, 17, 15, "a box")], HW, ground=0))


def test_what_reaches_over_the_border_is_cut_off() -> None:
    stamp = Stamp(2, -2, 30, (5, 6), lambda: np.ones((5, 6), bool))
    mask = drawn([box(1, -3, -2, 2, 3, "a box"), stamp], HW, ground=0)

    assert (mask == 1).sum() == 2 * 3
    assert (mask == 2).sum() == 3 * 3


@pytest.mark.parametrize(
    "shape",
    [
        box(1, 0, 0, 5000, 3, "a box"),
        Ellipse(1, 1e7, 4, 3, 3),
        Stamp(1, 0, 0, (90_000, 90_000), lambda: pytest.fail("decoded")),
    ],
)
def test_shapes_of_another_image_are_refused_before_they_are_drawn(shape: object) -> None:
    with pytest.raises(ImportRefused, match="far outside the image of 33 x 20"):
        drawn([shape], HW, ground=0)  # type: ignore[list-item]


def test_a_polygon_of_no_area_draws_nothing() -> None:
    assert drawn([polygon(1, [4, 4, 9, 4, 4, 4], "a polygon")], HW, ground=0).sum() == 0


@pytest.mark.parametrize(
    "numbers", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, float("nan")], [1, 2, 3, 4, 5, "x"]]
)
def test_polygons_want_three_corners_of_numbers(numbers: list[object]) -> None:
    with pytest.raises(ImportRefused, match="a polygon"):
        polygon(1, numbers, "a polygon")


@pytest.mark.parametrize(
    ("rest", "ground", "names"), [("background", 0, ["background", "cell"]), ("unknown", IGNORE, ["cell"])]
)
def test_pixels_outside_all_shapes_are_background_unless_said_otherwise(
    rest: Rest, ground: int, names: list[str]
) -> None:
    classes = shape_classes([FileClass("cell"), FileClass("cell")], rest=rest)

    assert classes.ground == ground
    assert [one.name for one in classes.classes] == names


def test_a_background_of_the_file_is_the_background() -> None:
    classes = shape_classes([FileClass("cell"), FileClass("_background_", "#102030")], rest="background")

    assert [one.name for one in classes.classes] == ["cell", "_background_"]
    assert classes.ground == 1


def test_more_classes_than_a_mask_holds_are_refused() -> None:
    with pytest.raises(ImportRefused, match="300 classes"):
        shape_classes([FileClass(str(number)) for number in range(300)], rest="unknown")


@pytest.mark.parametrize(("x", "y", "pixel"), [(HW[1], 3.5, (3, 32)), (2.0, HW[0], (19, 2)), (HW[1], HW[0], (19, 32))])
def test_a_point_on_the_far_edge_is_in_the_last_pixel(x: float, y: float, pixel: tuple[int, int]) -> None:
    found = point_at(x, y, 1, "a point", HW)

    assert (found.row, found.col) == pixel


def test_a_point_beyond_the_far_edge_is_not_moved() -> None:
    found = point_at(HW[1] + 1.0, 3.0, 1, "a point", HW)

    assert (found.row, found.col) == (3, HW[1] + 1)
