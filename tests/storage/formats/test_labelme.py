from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcnlab.storage.formats.reading.labelled import FilePoint
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.labelme import read_labelme
from tests.support.label_bench import (
    HW,
    assert_refused_in_one_line,
    class_names,
    filled,
    named_mask,
    only_mask,
    readable,
    refusals,
    save_json,
)


def labelme(*shapes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = [{"label": "cell", "group_id": None, "flags": {}, "shape_type": "polygon", **one} for one in shapes]
    return {
        "version": "5.8.1",
        "flags": {},
        "shapes": whole,
        "imagePath": "..\\images\\a.jpg",
        "imageData": None,
        "imageHeight": HW[0],
        "imageWidth": HW[1],
        **changes,
    }


def stamp(pixels: np.ndarray[Any, Any]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8) * 255).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_polygons_rectangles_circles_and_masks(tmp_path: Path) -> None:
    checks = np.indices((3, 4)).sum(axis=0) % 2 == 0
    content = labelme(
        {"points": [[4, 5], [9, 5], [9, 12], [4, 12]]},
        {"label": "box", "shape_type": "rectangle", "points": [[20, 15], [7, 8]]},
        {"label": "disc", "shape_type": "circle", "points": [[27, 6], [27, 9]]},
        {"label": "mask", "shape_type": "mask", "points": [[1, 16], [4, 18]], "mask": stamp(checks)},
    )

    source = read_labelme(save_json(tmp_path / "a.json", content), ReadOptions())

    assert class_names(source) == ["background", "box", "cell", "disc", "mask"]
    (image,) = readable(source).values()
    assert image.name == "..\\images\\a.jpg"
    assert image.hw == HW
    mask = only_mask(source)
    expected = filled((np.s_[5:12], np.s_[4:9], "cell"), (np.s_[8:15], np.s_[7:20], "box"))
    expected[16:19, 1:5][checks] = "mask"
    assert np.array_equal(np.where(mask == "disc", "background", mask), expected)
    assert (mask == "disc").sum() == pytest.approx(np.pi * 9, rel=0.15)


def test_points_and_corners_of_lines_are_points(tmp_path: Path) -> None:
    content = labelme(
        {"shape_type": "point", "points": [[7.9, 3.2]]},
        {"label": "edge", "shape_type": "linestrip", "points": [[0, 0], [32.5, 19.5]]},
    )

    (image,) = readable(read_labelme(save_json(tmp_path / "a.json", content), ReadOptions())).values()

    assert image.mask is None
    assert image.points == (FilePoint(3, 7, 1), FilePoint(0, 0, 2), FilePoint(19, 32, 2))


def test_regions_to_ignore_are_unknown(tmp_path: Path) -> None:
    content = labelme({"label": "__ignore__", "points": [[4, 5], [9, 5], [9, 12], [4, 12]]})

    source = read_labelme(save_json(tmp_path / "a.json", content), ReadOptions())

    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "")))


def test_a_folder_has_one_list_of_classes_and_names_what_is_broken(tmp_path: Path) -> None:
    box = {"shape_type": "rectangle", "points": [[7, 8], [20, 15]]}
    save_json(tmp_path / "a.json", labelme({"label": "one", **box}, imagePath="a.jpg"))
    save_json(tmp_path / "sub" / "b.json", labelme({"label": "two", **box}, imagePath="b.jpg"))
    (tmp_path / "c.json").write_text('{"shapes": [')

    source = read_labelme(tmp_path, ReadOptions(rest="unknown"))

    assert class_names(source) == ["one", "two"]
    assert list(readable(source)) == ["a.jpg", "b.jpg"]
    assert refusals(source) == ["c: c.json is damaged or cut off (line 1: Expecting value); export it again"]
    assert np.array_equal(
        named_mask(source, readable(source)["b.jpg"]), filled((np.s_[8:15], np.s_[7:20], "two"), rest="")
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no shapes": (labelme(shapes=None), "'shapes' of a.json is missing"),
    "shapes of the wrong type": (labelme(shapes={"a": 1}), "wanted a list"),
    "a shape that is a number": (labelme(shapes=[4]), "shapes[0] of a.json is 4"),
    "no label": (labelme({"label": "", "points": []}), "the label of shapes[0]"),
    "no points": (labelme({"points": None}), "the points of shapes[0]"),
    "two corners": (labelme({"points": [[1, 2], [3, 4]]}), "at least three"),
    "a corner of three numbers": (labelme({"points": [[1, 2, 3]]}), "wanted x and y"),
    "a corner that is no number": (labelme({"points": [[1, float("nan")], [3, 4], [5, 9]]}), "y in shapes[0]"),
    "a size below zero": (labelme(imageHeight=-4), "the height of a.json is -4"),
    "a kind nobody knows": (labelme({"shape_type": "cloud", "points": [[1, 2]]}), "'cloud'"),
    "a circle of one point": (labelme({"shape_type": "circle", "points": [[1, 2]]}), "1 points, wanted two"),
    "a mask without pixels": (labelme({"shape_type": "mask", "points": [[1, 2], [3, 4]]}), "the mask of shapes[0]"),
    "a mask that is no PNG": (
        labelme({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": "bm8="}),
        "damaged or no PNG",
    ),
    "a mask of another size": (
        labelme({"shape_type": "mask", "points": [[1, 2], [3, 4]], "mask": stamp(np.ones((4, 4)))}),
        "4 x 4 pixels",
    ),
    "a point outside": (labelme({"shape_type": "point", "points": [[-1, 2]]}), "outside its image"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, wrong: str) -> None:
    content, reason = WRONG[wrong]
    source = read_labelme(save_json(tmp_path / "a.json", content), ReadOptions())

    assert_refused_in_one_line(source, reason)


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("rectangle", [[4, 5], [9, 5], [9, 12], [4, 12]]),
        ("rectangle", [[9, 5], [4, 12], [4, 5], [9, 12]]),
        ("rotation", [[4, 5], [9, 5], [9, 12], [4, 12]]),
    ],
)
def test_rectangles_of_four_corners_are_what_they_enclose(tmp_path: Path, kind: str, points: Any) -> None:
    source = read_labelme(
        save_json(tmp_path / "a.json", labelme({"shape_type": kind, "points": points})), ReadOptions()
    )

    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "cell")))


def test_what_lies_along_a_line_is_unknown_between_shapes(tmp_path: Path) -> None:
    content = labelme(
        {"points": [[0, 0], [9, 0], [9, 9], [0, 9]]},
        {"points": [[20, 0], [29, 0], [29, 9], [20, 9]]},
        {"shape_type": "line", "points": [[4.5, 4.5], [24.5, 4.5]]},
    )

    mask = only_mask(read_labelme(save_json(tmp_path / "a.json", content), ReadOptions()))

    assert (mask[4, 9:20] == "").all()
    assert mask[4, 4] == mask[4, 24] == "cell"
    assert (mask[12:] == "background").all()
