"""What streamlit-drawable-canvas sends, read as shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fcnlab.domain.project import ClassLabel
from fcnlab.errors import InvalidEvent
from fcnlab.web.canvas.drawing import MAX_SHAPES, ink_of, inks, read_drawing

CLASSES = [ClassLabel(0, "ground", "#0072B2", 0), ClassLabel(4, "root", "#E69F00", 1)]
BY_INK = inks(CLASSES)
PLAIN = {
    "stroke": "#E69F00",
    "scaleX": 1,
    "scaleY": 1,
    "angle": 0,
    "flipX": False,
    "flipY": False,
    "skewX": 0,
    "skewY": 0,
}
LINE = {
    **PLAIN,
    "type": "Path",
    "originX": "center",
    "originY": "center",
    "left": 60,
    "top": 55,
    "path": [["M", 20, 50], ["Q", 20, 50, 60, 50], ["L", 100, 60]],
}
POLYGON = {
    **PLAIN,
    "type": "Polygon",
    "originX": "center",
    "originY": "center",
    "left": 300,
    "top": 95,
    "points": [{"x": 250, "y": 50}, {"x": 350, "y": 60}, {"x": 320, "y": 140}],
}
BOX = {**PLAIN, "type": "Rect", "originX": "left", "originY": "top", "left": 50, "top": 150, "width": 80, "height": 40}


def drawing(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"version": "7.4.0", "objects": list(shapes), "background": ""}


def corners(shape: dict[str, Any]) -> np.ndarray:
    (one,) = read_drawing(drawing(shape), BY_INK)
    return one.corners


def test_lines_polygons_and_boxes_are_read_where_they_were_drawn() -> None:
    line, polygon, box = read_drawing(drawing(LINE, POLYGON, BOX), BY_INK)

    assert [one.class_id for one in (line, polygon, box)] == [4, 4, 4]
    assert [one.is_area for one in (line, polygon, box)] == [False, True, True]
    np.testing.assert_allclose(line.corners[[0, -1]], [[20, 50], [100, 60]])
    np.testing.assert_allclose(polygon.corners, [[250, 50], [350, 60], [320, 140]])
    np.testing.assert_allclose(box.corners, [[50, 150], [130, 150], [130, 190], [50, 190]])


@pytest.mark.parametrize("shape", [LINE, POLYGON, BOX])
def test_a_shape_that_was_moved_is_read_where_it_lies(shape: dict[str, Any]) -> None:
    moved = {**shape, "left": shape["left"] + 30, "top": shape["top"] - 12}

    np.testing.assert_allclose(corners(moved) - corners(shape), np.tile([30, -12], (len(corners(shape)), 1)))


def test_a_shape_that_was_scaled_grows_about_its_place() -> None:
    np.testing.assert_allclose(
        corners({**POLYGON, "scaleX": 2, "scaleY": 0.5}), [[200, 72.5], [400, 77.5], [340, 117.5]]
    )
    np.testing.assert_allclose(
        corners({**BOX, "scaleX": 2, "scaleY": 0.5}), [[50, 150], [210, 150], [210, 170], [50, 170]]
    )


def test_a_shape_that_was_turned_turns_clockwise_about_its_place() -> None:
    turned = corners({**BOX, "angle": 90})

    np.testing.assert_allclose(turned, [[50, 150], [50, 230], [10, 230], [10, 150]], atol=1e-9)


def test_a_shape_that_was_flipped_is_mirrored_about_its_middle() -> None:
    np.testing.assert_allclose(corners({**POLYGON, "flipX": True}), [[350, 50], [250, 60], [280, 140]])


def test_classes_of_one_colour_are_drawn_in_colours_that_tell_them_apart() -> None:
    same = [ClassLabel(k, name, "#ffffff", k) for k, name in enumerate("abc")]

    assert sorted(inks(same).values()) == [0, 1, 2]
    assert inks(same)[ink_of(same, 2)] == 2


def test_nothing_drawn_and_shapes_of_a_class_that_is_gone_are_no_shapes() -> None:
    assert read_drawing(None, BY_INK) == []
    assert read_drawing(drawing(), BY_INK) == []
    assert read_drawing(drawing({**BOX, "stroke": "#123456"}), BY_INK) == []


@pytest.mark.parametrize(
    "raw",
    [
        3,
        [],
        {"objects": 3},
        {"objects": [3]},
        drawing(*[BOX] * (MAX_SHAPES + 1)),
        drawing({**BOX, "type": "Circle"}),
        drawing({**BOX, "width": None}),
        drawing({**BOX, "left": "12"}),
        drawing({**BOX, "left": float("nan")}),
        drawing({**BOX, "left": 10**30}),
        drawing({**BOX, "angle": True}),
        drawing({**BOX, "skewX": 20}),
        drawing({**LINE, "path": None}),
        drawing({**LINE, "path": []}),
        drawing({**LINE, "path": [["M", 1]]}),
        drawing({**LINE, "path": [["C", 1, 2, 3, 4, 5, 6]]}),
        drawing({**LINE, "path": [["M", 1, "2"]]}),
        drawing({**LINE, "path": [[]]}),
        drawing({**POLYGON, "points": []}),
        drawing({**POLYGON, "points": [{"x": 1}]}),
        drawing({**POLYGON, "points": [[1, 2]]}),
    ],
)
def test_anything_else_is_refused_with_a_reason(raw: object) -> None:
    with pytest.raises(InvalidEvent, match=r"draw|store"):
        read_drawing(raw, BY_INK)
