"""Pascal VOC, Cityscapes and Label Studio, read by parsers that know nothing of this project."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnlab.adapters.exports.cityscapes import Cityscapes
from fcnlab.adapters.exports.cvat import Cvat
from fcnlab.adapters.exports.label_studio import LabelStudio, brush_rle
from fcnlab.adapters.exports.voc import Voc
from tests.adapters.exports.test_round_trips import filled_by_centres
from tests.adapters.exports.writing_bench import CLASSES, NAMES, images, masks, write


def test_voc_values_are_lines_of_the_labelmap(tmp_path: Path) -> None:
    folder = write(Voc, tmp_path / "out", list(images(instances=False))) / "voc"

    lines = (folder / "labelmap.txt").read_text("utf-8").splitlines()[1:]

    names = np.array([line.split(":")[0] for line in lines])
    assert names.tolist() == [label.name for label in CLASSES]
    for name, mask in masks().items():
        with Image.open(folder / "SegmentationClass" / f"{name.rpartition('.')[0]}.png") as image:
            assert image.mode == "P"
            values, palette = np.array(image), np.reshape(image.getpalette(), (-1, 3))
        assert np.array_equal(names[values], NAMES[mask])
        for place, line in enumerate(lines):
            assert ",".join(map(str, palette[place])) == line.split(":")[1]
    listed = (folder / "ImageSets" / "Segmentation" / "trainval.txt").read_text("utf-8").splitlines()
    assert listed == [name.rpartition(".")[0] for name in masks()]


@pytest.mark.parametrize("border", [1, 2])
def test_a_voc_border_lies_on_both_sides_of_every_edge(tmp_path: Path, border: int) -> None:
    folder = write(lambda subject: Voc(subject, border), tmp_path / "out", list(images(instances=False))) / "voc"

    for name, mask in masks().items():
        with Image.open(folder / "SegmentationClass" / f"{name.rpartition('.')[0]}.png") as image:
            ignored = np.array(image) == 255
        expected = np.zeros(mask.shape, np.bool_)
        for row, col in np.ndindex(mask.shape):
            near = mask[max(0, row - border) : row + border + 1, max(0, col - border) : col + border + 1]
            expected[row, col] = (near != mask[row, col]).any()
        assert np.array_equal(ignored, expected)


def test_voc_lists_follow_the_split(tmp_path: Path) -> None:
    folder = write(Voc, tmp_path / "out", list(images(instances=False, splits=("train", "val")))) / "voc"

    lists = {path.stem: path.read_text("utf-8").splitlines() for path in (folder / "ImageSets").rglob("*.txt")}

    assert set(lists) == {"train", "val"}
    assert sorted(lists["train"] + lists["val"]) == sorted(name.rpartition(".")[0] for name in masks())


def test_cityscapes_says_the_same_three_times(tmp_path: Path) -> None:
    folder = write(Cityscapes, tmp_path / "out", list(images(instances=True))) / "cityscapes"

    classes = {one["name"]: one for one in json.loads((folder / "classes.json").read_text("utf-8"))}

    for name, mask in masks().items():
        stem = name.rpartition(".")[0]
        base = folder / "gtFine" / "train" / (stem if "/" in stem else f"default/{stem}")
        with Image.open(f"{base}_gtFine_labelIds.png") as ids, Image.open(f"{base}_gtFine_color.png") as colours:
            assert np.array_equal(np.array(ids), mask)
            shown = np.array(colours)
        polygons = json.loads(Path(f"{base}_gtFine_polygons.json").read_text("utf-8"))
        drawn = np.zeros((polygons["imgHeight"], polygons["imgWidth"]), np.uint8)
        for one in polygons["objects"]:
            drawn[filled_by_centres([one["polygon"]], mask.shape)] = classes[one["label"]]["id"]
        assert np.array_equal(drawn, mask)
        for label in classes.values():
            wanted = [int(label["colour"][start : start + 2], 16) for start in (1, 3, 5)]
            assert (shown[mask == label["id"]] == wanted).all()


def unpacked(data: list[int]) -> NDArray[np.uint8]:
    """Brush RLE as Label Studio reads it, bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(width: int) -> int:
        nonlocal at
        at += width
        return int(bits[at - width : at], 2)

    count, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        is_run = take(1)
        length = take(sizes[take(2)]) + 1
        values += [take(word)] * length if is_run else [take(word) for _ in range(length)]
    return np.array(values, np.uint8)


@pytest.mark.parametrize("runs", [[0, 5], [3, 1], [1, 2, 2], [0, 20_000, 70_001, 3], [16_384, 16_385], [2, 4, 64, 2]])
def test_brush_masks_unpack_to_their_runs(runs: list[int]) -> None:
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs)

    pixels = unpacked(brush_rle(np.array(runs, np.int64)).tolist()).reshape(-1, 4)

    assert np.array_equal(pixels[:, 3], np.where(inside, 255, 0))
    assert (pixels == pixels[:, :1]).all()


def test_label_studio_tasks_hold_the_masks(tmp_path: Path) -> None:
    folder = write(LabelStudio, tmp_path / "out", list(images(instances=True))) / "label_studio"

    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))

    assert [task["data"]["image"] for task in tasks] == list(masks())
    for task, mask in zip(tasks, masks().values(), strict=True):
        named = np.full(mask.shape, "background", "U40")
        (annotation,) = task["annotations"]
        for one in annotation["result"]:
            assert (one["original_height"], one["original_width"]) == mask.shape
            inside = unpacked(one["value"]["rle"])[3::4].reshape(mask.shape) > 0
            (named[inside],) = one["value"]["brushlabels"]
        assert np.array_equal(named, NAMES[mask])
    interface = ElementTree.parse(folder / "interface.xml").getroot()
    assert [one.get("value") for one in interface.iter("Label")] == [label.name for label in CLASSES[1:]]


def test_cvat_names_labels_and_subsets(tmp_path: Path) -> None:
    write(Cvat, tmp_path / "out", list(images(instances=True, splits=("train", "val"))))

    root = ElementTree.parse(tmp_path / "out" / "cvat" / "annotations.xml").getroot()

    assert root.findtext("version") == "1.1"
    assert [one.findtext("name") for one in root.iter("label")] == [label.name for label in CLASSES[1:]]
    assert {one.get("subset") for one in root.iter("image")} == {"train", "val"}
    assert [one.get("name") for one in root.iter("image")] == list(masks())
    assert {one.tag for image in root.iter("image") for one in image} == {"polygon", "mask"}
