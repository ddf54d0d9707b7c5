from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FilePoint
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.label_studio import read_label_studio
from fcnlab.storage.formats.shapes.label_studio_brush import encode_brush
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


def result(kind: str, label: str = "cell", **value: Any) -> dict[str, Any]:
    return {
        "id": "abc",
        "type": f"{kind}labels",
        "original_width": HW[1],
        "original_height": HW[0],
        "image_rotation": 0,
        "value": {**value, f"{kind}labels": [label]},
    }


def task(*results: dict[str, Any], image: str = "/data/upload/3/1a2b3c4d-a.jpg", **more: Any) -> dict[str, Any]:
    return {"id": 7, "data": {"image": image}, "annotations": [{"id": 1, "result": list(results)}], **more}


def shares(*corners: tuple[float, float]) -> list[list[float]]:
    return [[100 * x / HW[1], 100 * y / HW[0]] for x, y in corners]


def across(pixels: float) -> float:
    return 100 * pixels / HW[1]


def down(pixels: float) -> float:
    return 100 * pixels / HW[0]


POLYGON = result("polygon", points=shares((4, 5), (9, 5), (9, 12), (4, 12)))


def test_polygons_rectangles_and_ellipses_are_per_cent(tmp_path: Path) -> None:
    flat = result("rectangle", "box", x=across(7), y=down(8), width=across(13), height=down(7), rotation=0)
    disc = result("ellipse", "disc", x=across(26), y=down(5), radiusX=across(4), radiusY=down(3), rotation=0)

    source = read_label_studio(save_json(tmp_path / "a.json", [task(POLYGON, flat, disc)]), ReadOptions())

    assert class_names(source) == ["background", "box", "cell", "disc"]
    assert readable(source)["a.jpg"].hw == HW
    mask = only_mask(source)
    expected = filled((np.s_[5:12], np.s_[4:9], "cell"), (np.s_[8:15], np.s_[7:20], "box"))
    assert np.array_equal(np.where(mask == "disc", "background", mask), expected)
    assert (mask == "disc").sum() == pytest.approx(np.pi * 12, rel=0.1)


def test_rectangles_turn_clockwise_about_their_top_left_corner(tmp_path: Path) -> None:
    turned = result("rectangle", x=across(20), y=down(4), width=across(10), height=down(5), rotation=90)

    mask = only_mask(read_label_studio(save_json(tmp_path / "a.json", [task(turned)]), ReadOptions()))

    assert np.array_equal(mask, filled((np.s_[4:14], np.s_[15:20], "cell")))


def test_brushes_are_the_pixels_they_were_made_from(tmp_path: Path) -> None:
    painted = np.random.default_rng(3).random(HW) < 0.3
    brush = result("brush", format="rle", rle=encode_brush(painted))

    mask = only_mask(read_label_studio(save_json(tmp_path / "a.json", [task(brush)]), ReadOptions()))

    assert np.array_equal(mask == "cell", painted)


def test_keypoints_are_points(tmp_path: Path) -> None:
    key = result("keypoint", x=across(7.9), y=down(3.2), width=0.5)
    edge = result("keypoint", x=100, y=100, width=0.5)

    (image,) = readable(read_label_studio(save_json(tmp_path / "a.json", [task(key, edge)]), ReadOptions())).values()

    assert image.mask is None
    assert image.points == (FilePoint(3, 7, 1), FilePoint(19, 32, 1))


def test_labels_may_stand_apart_from_their_shapes(tmp_path: Path) -> None:
    shape = {**POLYGON, "type": "polygon", "value": {"points": POLYGON["value"]["points"]}}
    label = {"id": "abc", "type": "labels", "value": {"labels": ["nerve"]}}

    source = read_label_studio(save_json(tmp_path / "a.json", [task(shape, label)]), ReadOptions())

    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "nerve")))


def test_the_truth_counts_else_the_last_annotation_that_was_not_cancelled(tmp_path: Path) -> None:
    def one(label: str, **more: Any) -> dict[str, Any]:
        return {"result": [{**POLYGON, "value": {**POLYGON["value"], "polygonlabels": [label]}}], **more}

    last = task(annotations=[one("first"), one("second"), one("third", was_cancelled=True)], image="a.jpg")
    truth = task(annotations=[one("first", ground_truth=True), one("second")], image="b.jpg")
    source = read_label_studio(save_json(tmp_path / "a.json", [last, truth]), ReadOptions())

    found = {name: set(np.unique(named_mask(source, image))) for name, image in readable(source).items()}
    assert found == {"a.jpg": {"background", "second"}, "b.jpg": {"background", "first"}}


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("/data/upload/1/0a1b2c3d-cells%201.png", "cells 1.png"),
        ("/data/local-files/?d=plates/a%20b.png", "plates/a b.png"),
        ("s3://bucket/plates/a.png", "/plates/a.png"),
        ("https://example.org/x/a.png?token=1", "/x/a.png"),
        ("plates/a.png", "plates/a.png"),
    ],
)
def test_names_are_found_in_addresses(tmp_path: Path, image: str, name: str) -> None:
    source = read_label_studio(save_json(tmp_path / "a.json", [task(POLYGON, image=image)]), ReadOptions())

    assert list(readable(source)) == [name]


WRONG: dict[str, tuple[Any, str]] = {
    "a task that is a number": (4, "task 1 is 4"),
    "no data": ({"annotations": []}, "the data of task 1 is missing"),
    "no image": ({"data": {"text": "hello"}, "annotations": []}, "the image of task 1"),
    "no annotations": ({"data": {"image": "a.jpg"}}, "the annotations is missing"),
    "nobody annotated": (task(annotations=[]), "nobody annotated it"),
    "a result that is a text": (task(annotations=[{"result": "x"}]), "the result of an annotation is 'x'"),
    "no size": (task({**POLYGON, "original_width": None, "original_height": None}), "size of its image"),
    "two sizes": (task(POLYGON, {**POLYGON, "original_width": 5}), "size of its image"),
    "a turned image": (task({**POLYGON, "image_rotation": 90}), "turned by 90 degrees"),
    "a polygon of two corners": (task(result("polygon", points=[[1, 2], [3, 4]])), "at least three"),
    "a polygon of triples": (task(result("polygon", points=[[1, 2, 3]])), "no pairs"),
    "a corner that is no number": (task(result("polygon", points=[[1, None], [2, 3], [4, 5]])), "missing, wanted"),
    "a box of negative size": (task(result("rectangle", x=1, y=1, width=-5, height=2)), "negative size"),
    "an ellipse of negative size": (task(result("ellipse", x=1, y=1, radiusX=-5, radiusY=2)), "negative size"),
    "a brush in another format": (task(result("brush", format="png", rle=[1])), "wanted 'rle'"),
    "a brush cut off": (
        task(result("brush", format="rle", rle=encode_brush(np.eye(*HW, dtype=bool))[:-9])),
        "ends early",
    ),
    "a brush of another size": (
        task(result("brush", format="rle", rle=encode_brush(np.ones((2, 3), bool)))),
        "6 pixels",
    ),
    "a brush of no bytes": (task(result("brush", format="rle", rle=["a", 999])), "damaged"),
    "a point outside": (task(result("keypoint", x=-1, y=4)), "outside its image"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, wrong: str) -> None:
    content, reason = WRONG[wrong]
    source = read_label_studio(save_json(tmp_path / "a.json", [content]), ReadOptions())

    assert_refused_in_one_line(source, reason)


def test_files_that_are_no_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="wanted a list"):
        read_label_studio(save_json(tmp_path / "a.json", {"data": 1}), ReadOptions())


@pytest.mark.parametrize("kind", ["bitmasklabels", "bitmask", "vectorlabels", "cuboid", None])
def test_regions_that_cannot_be_read_do_not_become_background(tmp_path: Path, kind: str | None) -> None:
    region = {"id": "x", "type": kind, "original_width": HW[1], "original_height": HW[0], "value": {"x": 1}}

    source = read_label_studio(save_json(tmp_path / "a.json", [task(POLYGON, region), task(region)]), ReadOptions())

    assert [line.partition(", ")[2] for line in refusals(source)] == ["which cannot be read; draw it as a brush"] * 2


def test_an_image_of_which_only_a_property_was_said_has_no_mask(tmp_path: Path) -> None:
    choice = {"id": "x", "type": "choices", "value": {"choices": ["blurred"]}}

    source = read_label_studio(
        save_json(tmp_path / "a.json", [task(choice), task(POLYGON, choice, image="b.png"), task(image="c.png")]),
        ReadOptions(),
    )

    assert refusals(source) == ["a.jpg: no region with a class was marked in it"]
    assert list(readable(source)) == ["b.png", "c.png"]


@pytest.mark.parametrize("address", ["/data/upload/1/abcdef12-a.TIF", "s3://bucket/x/a.tif?v=1.0", "a.tif"])
def test_the_image_is_the_value_that_ends_as_images_do(tmp_path: Path, address: str) -> None:
    data = {"caption": "Cell nr. 3", "link": "http://[broken", "count": 3, "scan": address}

    source = read_label_studio(save_json(tmp_path / "a.json", [{**task(POLYGON), "data": data}]), ReadOptions())

    assert [Path(name).name.lower() for name in readable(source)] == ["a.tif"]


def test_a_region_with_several_labels_has_the_first_and_says_so(tmp_path: Path) -> None:
    both = {**POLYGON, "value": {**POLYGON["value"], "polygonlabels": ["leaf", "ill"]}}

    source = read_label_studio(save_json(tmp_path / "a.json", [task(both)]), ReadOptions())

    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "leaf")))
    (image,) = readable(source).values()
    assert image.notes.lines == ("polygon 'abc' has the labels 'leaf', 'ill': only the first is taken",)


def test_what_only_another_annotator_marked_is_unknown(tmp_path: Path) -> None:
    other = result("rectangle", "cell", x=across(20), y=down(4), width=across(10), height=down(5), rotation=0)
    two = task(annotations=[{"result": [other]}, {"result": [POLYGON]}])
    empty = task(annotations=[{"result": [POLYGON]}, {"result": []}], image="b.jpg")
    source = read_label_studio(save_json(tmp_path / "a.json", [two, empty]), ReadOptions())

    first, second = readable(source).values()

    marked = (np.s_[5:12], np.s_[4:9], "cell")
    assert np.array_equal(named_mask(source, first), filled((np.s_[4:9], np.s_[20:30], ""), marked))
    assert np.array_equal(named_mask(source, second), filled(marked))
    assert len(first.notes.lines) == 1


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("s3://bucket/plots/plot#12.png", "/plots/plot#12.png"),
        ("gs://bucket/plots/50%25.png", "/plots/50%25.png"),
        ("azure-blob://store/plots/50% cover?.png", "/plots/50% cover?.png"),
        ("/tasks/1/resolve/?fileuri=czM6Ly9idWNrZXQvcGxvdHMvYS5wbmc=", "/plots/a.png"),
        ("https://example.org/x/50%2525.png", "/x/50%25.png"),
    ],
)
def test_addresses_of_stores_are_keys_and_those_of_the_web_are_quoted(tmp_path: Path, image: str, name: str) -> None:
    source = read_label_studio(save_json(tmp_path / "a.json", [task(POLYGON, image=image)]), ReadOptions())

    assert list(readable(source)) == [name]


def test_the_short_export_is_refused_with_the_name_of_the_long_one(tmp_path: Path) -> None:
    short = [
        {"image": "/data/upload/1/a.png", "id": 1, "label": [{"x": 1, "rectanglelabels": ["a"]}], "annotation_id": 3}
    ]

    with pytest.raises(ImportRefused, match="export the project as JSON"):
        read_label_studio(save_json(tmp_path / "a.json", short), ReadOptions())
