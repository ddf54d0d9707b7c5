"""Laws of strokes over predictions."""

from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.images.coords import to_full, to_working, working_hw
from fcnlab.core.images.painting import Painting, painted, pixels_of, visible_classes
from fcnlab.domain.events import MAX_RUNS, Point, Stroke
from fcnlab.errors import ClickOutsideImage, InvalidEvent
from tests.support.strokes import stroke_of

HW = (24, 37)


def some_stroke(rng: np.random.Generator, *, class_id: int | None) -> Stroke:
    height, width = int(rng.integers(1, 12)), int(rng.integers(1, 20))
    top, left = int(rng.integers(0, HW[0] - height + 1)), int(rng.integers(0, HW[1] - width + 1))
    mask = rng.random((height, width)) < 0.6
    mask[0, 0] = True
    return stroke_of(mask, class_id, top=top, left=left)


def some_prediction(rng: np.random.Generator, hw: tuple[int, int] = HW) -> np.ndarray:
    return rng.integers(0, 3, hw).astype(np.uint8)


def box(class_id: int | None, top: int, left: int, height: int, width: int) -> Stroke:
    return Stroke(class_id, top, left, height, width, (0, height * width))


@pytest.mark.parametrize("seed", range(5))
def test_a_mask_becomes_a_stroke_and_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((7, 11)) < (0.1 + 0.2 * seed)
    mask[rng.integers(7), rng.integers(11)] = True

    stroke = stroke_of(mask, 3, top=2, left=5)

    assert (stroke.top, stroke.left, stroke.height, stroke.width) == (2, 5, 7, 11)
    np.testing.assert_array_equal(pixels_of(stroke), mask)


@pytest.mark.parametrize("seed", range(5))
def test_the_last_stroke_over_a_pixel_decides_and_an_eraser_gives_it_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prediction = some_prediction(rng)
    strokes = [some_stroke(rng, class_id=one) for one in (5, 6, None, 7, None, 5)]

    result = painted(prediction, Painting(tuple(strokes), HW))

    for row in range(HW[0]):
        for col in range(HW[1]):
            over = [one for one in strokes if covers(one, row, col)]
            last = over[-1].class_id if over else None
            assert result[row, col] == (prediction[row, col] if last is None else last)


def covers(stroke: Stroke, row: int, col: int) -> bool:
    inside = 0 <= row - stroke.top < stroke.height and 0 <= col - stroke.left < stroke.width
    return inside and bool(pixels_of(stroke)[row - stroke.top, col - stroke.left])


def test_nothing_painted_changes_nothing_and_the_prediction_itself_is_never_written_on() -> None:
    prediction = some_prediction(np.random.default_rng(0))
    before = prediction.copy()

    assert painted(prediction, Painting((), HW)) is prediction
    painted(prediction, Painting((box(9, 0, 0, *HW),), HW))

    np.testing.assert_array_equal(prediction, before)


@pytest.mark.parametrize("seed", range(8))
def test_the_classes_to_be_seen_are_those_of_the_painted_map(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hw = (9, 13)
    layers: list[Stroke | Point] = []
    for _ in range(12):
        top, left = int(rng.integers(0, 7)), int(rng.integers(0, 9))
        height, width = int(rng.integers(1, 9 - top + 1)), int(rng.integers(1, 13 - left + 1))
        class_id = [None, 0, 1, 2, 3][int(rng.integers(5))]
        layers.append(box(class_id, top, left, height, width))
        if rng.random() < 0.5:
            layers.append(Point(top, left, 7))
    painting = Painting(tuple(layers), hw)

    map_of_all = painted(np.full(hw, 255, np.uint8), painting)

    assert visible_classes(painting) == set(np.unique(map_of_all).tolist()) - {255, 7}


def test_painting_twice_is_painting_once() -> None:
    rng = np.random.default_rng(3)
    prediction, stroke = some_prediction(rng), some_stroke(rng, class_id=8)

    once = painted(prediction, Painting((stroke,), HW))

    np.testing.assert_array_equal(painted(prediction, Painting((stroke, stroke), HW)), once)
    np.testing.assert_array_equal(painted(once, Painting((stroke,), HW)), once)


def test_a_click_after_a_stroke_has_its_own_pixel_and_a_stroke_after_the_click_takes_it() -> None:
    prediction = np.zeros(HW, np.uint8)
    stroke, click = box(1, 2, 3, 6, 9), Point(4, 7, 2)

    clicked_last = painted(prediction, Painting((stroke, click), HW))
    painted_last = painted(prediction, Painting((click, stroke), HW))

    assert clicked_last[4, 7] == 2
    assert (clicked_last[2:8, 3:12] == 1).sum() == 53
    assert painted_last[4, 7] == 1


def test_a_smaller_map_takes_the_pixels_in_the_middle_of_its_own() -> None:
    rng = np.random.default_rng(4)
    full_hw = (90, 143)
    small_hw = working_hw(full_hw, 64)
    strokes = tuple(box(k + 3, 11 * k, 9 * k, 21, 35) for k in range(4))
    rows = to_full(np.arange(small_hw[0]), full=full_hw[0], working=small_hw[0])
    cols = to_full(np.arange(small_hw[1]), full=full_hw[1], working=small_hw[1])
    prediction = some_prediction(rng, full_hw)

    small = painted(prediction[np.ix_(rows, cols)], Painting(strokes, full_hw))

    full = painted(prediction, Painting(strokes, full_hw))
    np.testing.assert_array_equal(small, full[np.ix_(rows, cols)])


def test_a_line_as_wide_as_a_pixel_of_the_smaller_map_stays_whole_on_it() -> None:
    full_hw = (300, 201)
    small_hw = working_hw(full_hw, 100)
    for left in range(30, 40):
        line = box(1, 0, left, 300, 3)

        small = painted(np.zeros(small_hw, np.uint8), Painting((line,), full_hw))

        assert (small.sum(axis=1) >= 1).all()


def test_a_click_after_a_stroke_is_obeyed_on_a_smaller_map_wherever_in_its_pixel_it_lies() -> None:
    full_hw = (90, 143)
    small_hw = working_hw(full_hw, 64)
    stroke = box(1, 0, 0, *full_hw)
    for row, col in [(0, 0), (89, 142), (44, 71), (45, 72)]:
        small = painted(np.zeros(small_hw, np.uint8), Painting((stroke, Point(row, col, 2)), full_hw))

        at_row = to_working(np.array([row]), full=full_hw[0], working=small_hw[0])[1][0]
        at_col = to_working(np.array([col]), full=full_hw[1], working=small_hw[1])[1][0]
        assert small[at_row, at_col] == 2


def test_a_stroke_reaches_the_last_row_and_column() -> None:
    result = painted(np.zeros(HW, np.uint8), Painting((box(1, HW[0] - 1, HW[1] - 1, 1, 1),), HW))

    assert result[-1, -1] == 1
    assert result.sum() == 1


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ((255, 0, 0, 2, 3, (0, 6)), "class id 255"),
        ((-1, 0, 0, 2, 3, (0, 6)), "class id -1"),
        ((1, -1, 0, 2, 3, (0, 6)), "the box"),
        ((1, 0, 0, 0, 3, (0, 6)), "the box"),
        ((1, 0, 0, 2, 2**40, (0, 6)), "the box"),
        ((1, 0, 0, 2, 3, ()), "lengths"),
        ((1, 0, 0, 2, 3, (6,)), "lengths"),
        ((1, 0, 0, 2, 3, (2, 0, 4)), "lengths"),
        ((1, 0, 0, 2, 3, (-1, 7)), "lengths"),
        ((1, 0, 0, 2, 3, (0, 5)), "sum to 5"),
        ((1, 0, 0, 2, 3, (0, True, 5)), "whole numbers"),
        ((1, 0, 0, 2, 3, (0, 6.0)), "whole numbers"),
        ((1, 0, 0, 1, MAX_RUNS + 1, (1,) * (MAX_RUNS + 1)), "in parts"),
    ],
)
def test_a_stroke_that_paints_nothing_or_the_impossible_is_refused(values: tuple, complaint: str) -> None:
    with pytest.raises(InvalidEvent, match=complaint):
        Stroke(*values)


def test_a_stroke_that_leaves_its_image_is_refused() -> None:
    box(1, 22, 30, 2, 7).check_inside(HW)

    with pytest.raises(ClickOutsideImage, match="24 rows and 37 columns"):
        box(1, 22, 30, 3, 7).check_inside(HW)
    with pytest.raises(ClickOutsideImage, match="column 37"):
        box(1, 22, 31, 2, 7).check_inside(HW)
