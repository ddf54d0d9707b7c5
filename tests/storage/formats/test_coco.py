from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as official
from pycocotools.coco import COCO

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.coco import read_coco
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

SQUARE = [4, 5, 9, 5, 9, 12, 4, 12]


def coco(annotations: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    numbered = [{"id": n, "image_id": 7, "iscrowd": 0, **one} for n, one in enumerate(annotations, start=1)]
    return {
        "images": [{"id": 7, "file_name": "train/a.jpg", "height": HW[0], "width": HW[1]}],
        "categories": [{"id": 3, "name": "cell"}, {"id": 90, "name": "debris"}],
        "annotations": numbered,
        **changes,
    }


def a_blob() -> np.ndarray[Any, np.dtype[np.uint8]]:
    rows, cols = np.mgrid[: HW[0], : HW[1]]
    return (((rows - 9) ** 2 + (cols - 20) ** 2 / 2 < 40) & ((rows + cols) % 7 > 0)).astype(np.uint8)


def compressed(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    packed = official.encode(np.asfortranarray(mask))
    return {"size": packed["size"], "counts": packed["counts"].decode()}


def uncompressed(mask: np.ndarray[Any, Any]) -> dict[str, Any]:
    flat, counts, now = mask.T.ravel(), [0], 0
    for value in flat:
        if value != now:
            counts.append(0)
            now = value
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def test_polygons_lie_over_one_another_in_their_order(tmp_path: Path) -> None:
    content = coco(
        [
            {"category_id": 3, "segmentation": [SQUARE]},
            {"category_id": 90, "segmentation": [[7, 8, 20, 8, 20, 15, 7, 15], [25, 1, 30, 1, 30, 4, 25, 4]]},
        ]
    )

    source = read_coco(save_json(tmp_path / "a.json", content), ReadOptions())

    assert class_names(source) == ["background", "cell", "debris"]
    assert source.total == 1
    assert readable(source)["train/a.jpg"].hw == HW
    expected = filled(
        (np.s_[5:12], np.s_[4:9], "cell"), (np.s_[8:15], np.s_[7:20], "debris"), (np.s_[1:4], np.s_[25:30], "debris")
    )
    assert np.array_equal(only_mask(source), expected)


@pytest.mark.parametrize("packed", [compressed, uncompressed])
@pytest.mark.parametrize("iscrowd", [0, 1])
def test_runs_are_the_mask_they_were_made_from(tmp_path: Path, packed: Any, iscrowd: int) -> None:
    content = coco([{"category_id": 90, "segmentation": packed(a_blob()), "iscrowd": iscrowd}])

    mask = only_mask(read_coco(save_json(tmp_path / "a.json", content), ReadOptions(rest="unknown")))

    assert np.array_equal(mask == "debris", a_blob() > 0)
    assert set(np.unique(mask)) == {"", "debris"}


def test_masks_are_those_that_pycocotools_reads(tmp_path: Path) -> None:
    wild = [3.2, 1.7, 30.1, 4.4, 21.9, 18.3, 11.0, 9.5, 2.5, 17.75]
    content = coco(
        [{"category_id": 3, "segmentation": [wild, SQUARE]}, {"category_id": 3, "segmentation": compressed(a_blob())}]
    )
    path = save_json(tmp_path / "a.json", content)
    peer = COCO(str(path))

    mask = only_mask(read_coco(path, ReadOptions()))

    expected = np.any([peer.annToMask(one) for one in peer.loadAnns(peer.getAnnIds())], axis=0)
    assert np.array_equal(mask == "cell", expected)


def test_annotations_without_a_segmentation_are_their_boxes(tmp_path: Path) -> None:
    content = coco([{"category_id": 3, "bbox": [2, 3, 10, 5]}])

    mask = only_mask(read_coco(save_json(tmp_path / "a.json", content), ReadOptions()))

    assert np.array_equal(mask, filled((np.s_[3:8], np.s_[2:12], "cell")))


def test_an_image_without_annotations_teaches_nothing_for_nobody_says_it_is_empty(tmp_path: Path) -> None:
    source = read_coco(save_json(tmp_path / "a.json", coco([])), ReadOptions())

    assert refusals(source) == ["train/a.jpg: nobody marked anything in it"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "runs that cover too little": ({"segmentation": {"size": list(HW), "counts": [5, 100]}}, "cover 105 pixels"),
    "runs below zero": ({"segmentation": {"size": list(HW), "counts": [700, -40]}}, "at least 0"),
    "compressed runs that cover too little": ({"segmentation": {"size": list(HW), "counts": "53"}}, "cover 8 pixels"),
    "compressed runs cut off": ({"segmentation": {"size": list(HW), "counts": "o"}}, "cut off"),
    "compressed runs that are no text": ({"segmentation": {"size": list(HW), "counts": "\u00e9!"}}, "cut off"),
    "runs for another size": ({"segmentation": {"size": [33, 20], "counts": [660]}}, "for [33, 20]"),
    "a polygon of two corners": ({"segmentation": [[1, 2, 3, 4]]}, "4 coordinates"),
    "a corner that is no number": ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "nan, wanted a number"),
    "a corner far away": ({"segmentation": [[1, 2, 3, 4, 5, 1e12]]}, "far outside"),
    "a box of negative size": ({"bbox": [4, 4, -2, 3]}, "wanted x, y, width and height"),
    "a category that does not exist": ({"category_id": 8, "segmentation": [SQUARE]}, "category 8"),
    "a segmentation of the wrong type": ({"segmentation": "here"}, "'here', wanted a list"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_an_annotation_is_said_in_one_line(tmp_path: Path, wrong: str) -> None:
    annotation, reason = WRONG[wrong]
    source = read_coco(save_json(tmp_path / "a.json", coco([{"category_id": 3, **annotation}])), ReadOptions())

    assert_refused_in_one_line(source, reason)


def test_annotations_of_images_that_are_not_listed_are_named(tmp_path: Path) -> None:
    square = {"category_id": 3, "segmentation": [SQUARE]}
    content = coco([{**square, "image_id": 99}, square])

    source = read_coco(save_json(tmp_path / "a.json", content), ReadOptions())

    assert refusals(source) == ["image_id 99: annotations of an image that the file does not list"]
    assert source.total == 2


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[1, 2", "damaged or cut off"),
        ("[" * 100_000, "no JSON"),
        ("[]", "wanted an object"),
        ('{"images": []}', "'annotations' of a.json is missing"),
        ('{"images": 3, "annotations": [], "categories": []}', "'images' of a.json is 3"),
        ('{"images": [], "annotations": [4], "categories": []}', "an annotation of a.json is 4"),
        ('{"images": [], "annotations": [], "categories": [{"id": 1}]}', "the name of a category is missing"),
    ],
)
def test_files_that_are_not_coco_are_refused_whole(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)

    with pytest.raises(ImportRefused, match=reason):
        read_coco(path, ReadOptions())


def in_text(counts: list[int]) -> str:
    """COCO's compressed text of any counts, those too that no mask has."""
    packed = ""
    for place, count in enumerate(counts):
        left, more = count - (counts[place - 2] if place > 2 else 0), True
        while more:
            group, left = left & 0x1F, left >> 5
            more = left != (-1 if group & 0x10 else 0)
            packed += chr((group | (0x20 if more else 0)) + 48)
    return packed


@pytest.mark.parametrize(
    "counts",
    [
        [HW[0] * HW[1], *[2**58] * 64],
        [HW[0] * HW[1], *[2**33] * (2**10)],
        [HW[0] * HW[1] + 1, 0],
        [HW[0] * HW[1] + 5, -5],
    ],
)
def test_runs_whose_sum_comes_round_to_the_size_of_the_mask_are_refused(tmp_path: Path, counts: list[int]) -> None:
    segmentation = {"size": list(HW), "counts": in_text(counts)}
    source = read_coco(
        save_json(tmp_path / "a.json", coco([{"category_id": 3, "segmentation": segmentation}])), ReadOptions()
    )

    with pytest.raises(ImportRefused, match="annotation 1"):
        only_mask(source)


def test_files_of_a_set_keep_their_own_numbers_and_images_of_one_name_their_folders(tmp_path: Path) -> None:
    for split, name in (("train", "cell"), ("valid", "debris")):
        content = coco([{"category_id": 3, "segmentation": [SQUARE]}], categories=[{"id": 3, "name": name}])
        content["images"][0]["file_name"] = "a.jpg"
        save_json(tmp_path / split / "_annotations.coco.json", content)
    save_json(tmp_path / "notes.json", {"images": 3})

    source = read_coco(tmp_path, ReadOptions())

    found = readable(source)
    assert class_names(source) == ["background", "cell", "debris"]
    assert source.total == len(found)
    for image, name in (("train/a.jpg", "cell"), ("valid/a.jpg", "debris")):
        assert np.array_equal(named_mask(source, found[image]), filled((np.s_[5:12], np.s_[4:9], name)))


def test_two_files_in_a_folder_that_are_for_the_same_image_are_refused(tmp_path: Path) -> None:
    for name in ("instances", "keypoints"):
        save_json(tmp_path / f"{name}.json", coco([]))

    with pytest.raises(ImportRefused, match=r"instances\.json and keypoints\.json are both for the image"):
        read_coco(tmp_path, ReadOptions())


@pytest.mark.parametrize("rotation", [90, 90.0, "90.0"])
def test_boxes_that_a_tool_turned_are_turned(tmp_path: Path, rotation: Any) -> None:
    flat = {"category_id": 3, "segmentation": [], "bbox": [6, 8, 10, 4], "attributes": {"rotation": rotation}}

    mask = only_mask(read_coco(save_json(tmp_path / "a.json", coco([flat])), ReadOptions()))

    assert np.array_equal(mask, filled((np.s_[5:15], np.s_[9:13], "cell")))


@pytest.mark.parametrize("image_id", [7, 7.0, "7", "7.0"])
@pytest.mark.parametrize("category_id", [3, 3.0, "3"])
def test_ids_are_compared_as_what_they_mean(tmp_path: Path, image_id: Any, category_id: Any) -> None:
    content = coco([{"category_id": category_id, "image_id": image_id, "segmentation": [SQUARE]}])

    source = read_coco(save_json(tmp_path / "a.json", content), ReadOptions())

    assert refusals(source) == []
    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "cell")))


def test_ids_that_mean_two_things_are_not_guessed(tmp_path: Path) -> None:
    square = {"category_id": 3, "segmentation": [SQUARE]}
    images = coco([square])["images"]
    twice = coco([square], images=[*images, {**images[0], "id": "7", "file_name": "b.jpg"}])
    classes = coco([square, {**square, "category_id": 4}])
    classes["categories"] += [{"id": 3.0, "name": "rim"}, {"id": 4, "name": "rim"}]

    doubled = read_coco(save_json(tmp_path / "a.json", twice), ReadOptions())
    (image,) = readable(source := read_coco(save_json(tmp_path / "b.json", classes), ReadOptions())).values()

    assert all("several images of a.json have its id" in line for line in refusals(doubled))
    assert not readable(doubled)
    assert "cell" not in named_mask(source, image)
    assert "the id of 'cell' and of 'rim'" in image.notes.lines[0]


@pytest.mark.parametrize(
    ("segmentation", "bbox", "n_notes"),
    [
        ([SQUARE, [30.0, 15.0]], [4, 5, 26, 10], 1),
        ([SQUARE, [1, 1, 3, 1]], [1, 1, 8, 11], 1),
        (SQUARE, [4, 5, 5, 7], 0),
        ([[]], [4, 5, 5, 7], 1),
        ([], [4, 5, 5, 7], 0),
    ],
)
def test_rings_without_area_are_dropped_and_flat_lists_read(
    tmp_path: Path, segmentation: Any, bbox: Any, n_notes: int
) -> None:
    content = coco([{"category_id": 3, "segmentation": segmentation, "bbox": bbox}])

    source = read_coco(save_json(tmp_path / "a.json", content), ReadOptions())

    (image,) = readable(source).values()
    assert np.array_equal(named_mask(source, image), filled((np.s_[5:12], np.s_[4:9], "cell")))
    assert len(image.notes.lines) == n_notes


def test_files_of_one_set_are_read_as_one_and_things_lie_over_stuff(tmp_path: Path) -> None:
    ground = [0, 0, HW[1], 0, HW[1], HW[0], 0, HW[0]]
    save_json(tmp_path / "instances_train.json", coco([{"category_id": 3, "segmentation": [SQUARE]}]))
    stuff = coco([{"category_id": 1, "segmentation": [ground]}], categories=[{"id": 1, "name": "grass"}])
    save_json(tmp_path / "stuff_train.json", stuff)
    save_json(tmp_path / "image_info_train.json", coco([]))
    save_json(tmp_path / "captions_train.json", coco([{"caption": "cells on grass"}]))

    source = read_coco(tmp_path, ReadOptions())

    assert (source.total, refusals(source)) == (1, [])
    assert np.array_equal(only_mask(source), filled((np.s_[5:12], np.s_[4:9], "cell"), rest="grass"))
