"""Pascal VOC, Cityscapes and Label Studio, read by parsers that know nothing of this project."""

from __future__ import annotations

import base64
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.images.regions import instance_regions, semantic_regions
from fcnlab.domain.export import EMBEDDED, LOCAL_FILES
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed
from fcnlab.storage.exports.targets import DatasetWriter, FolderTarget, Spools
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.cityscapes import Cityscapes, read_cityscapes
from fcnlab.storage.formats.shapes.cvat import Cvat
from fcnlab.storage.formats.shapes.label_studio import LabelStudio, brush_rle
from fcnlab.storage.formats.shapes.voc import Voc
from fcnlab.storage.formats.writing import ExportedImage, Subject
from tests.storage.formats.test_round_trips import filled_by_centres
from tests.support.label_bench import named_mask, readable
from tests.support.writing_bench import (
    CLASSES,
    NAMES,
    images,
    masks,
    no_original,
    no_picture,
    subject,
    write,
)


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


STREET = (
    ClassLabel(0, "Background", "#000000", 0),
    ClassLabel(1, "Car", "#00008e", 1),
    ClassLabel(2, "traffic_light", "#faaa1e", 2),
    ClassLabel(3, "horse", "#ff00ff", 3),
    ClassLabel(4, "road", "#804080", 4),
)
STREET_MASK = np.array([[1, 1, 0, 3, 4, 1], [1, 1, 0, 3, 4, 0], [2, 0, 0, 0, 4, 255]], np.uint8)


def street(tmp_path: Path, *, instances: bool, name: str = "train/aachen/aachen_000000_000019_leftImg8bit.png") -> Path:
    """The folder gtFine with one mask of the classes of Cityscapes, and of others."""
    find = instance_regions if instances else semantic_regions
    image = ExportedImage(
        1,
        name,
        name.rpartition(".")[0],
        "",
        STREET_MASK,
        find(STREET_MASK, background=0),
        picture=no_picture,
        original=no_original,
    )
    target = FolderTarget(tmp_path / "out")
    with closing(Spools(target.work)) as spools:
        writer = DatasetWriter(target, spools, [Cityscapes(Subject("street", STREET, (), 0), instances)])
        writer.add(image)
        writer.finish()
    target.finish()
    return tmp_path / "out" / "cityscapes" / "gtFine"


def pixels(path: Path) -> NDArray[Any]:
    with Image.open(path) as picture:
        return np.array(picture)


def test_classes_called_as_in_cityscapes_have_its_ids_and_nothing_said_is_no_255(tmp_path: Path) -> None:
    (folder,) = street(tmp_path, instances=False).glob("train/aachen")

    assert sorted(path.name.partition("gtFine_")[2] for path in folder.iterdir()) == [
        "color.png",
        "instanceIds.png",
        "labelIds.png",
        "polygons.json",
    ]
    base = folder / "aachen_000000_000019_gtFine_"
    wanted = np.array([[26, 26, 4, 34, 7, 26], [26, 26, 4, 34, 7, 4], [19, 4, 4, 4, 7, 0]])
    assert np.array_equal(pixels(Path(f"{base}labelIds.png")), wanted)
    assert np.array_equal(pixels(Path(f"{base}instanceIds.png")), wanted)


def test_things_of_cityscapes_are_numbered_where_parts_are_told_apart_and_stuff_is_not(tmp_path: Path) -> None:
    folder = street(tmp_path, instances=True) / "train" / "aachen"

    found = pixels(folder / "aachen_000000_000019_gtFine_instanceIds.png")

    wanted = [[26000, 26000, 4, 34000, 7, 26001], [26000, 26000, 4, 34000, 7, 4], [19, 4, 4, 4, 7, 0]]
    assert np.array_equal(found, wanted)


def test_what_cityscapes_does_not_know_is_read_back_all_the_same(tmp_path: Path) -> None:
    folder = street(tmp_path, instances=True).parent

    source = read_cityscapes(folder, ReadOptions())

    ((name, image),) = readable(source).items()
    assert name == "train/aachen/aachen_000000_000019"
    names = np.array([*(label.name for label in STREET), *[""] * 251])
    assert np.array_equal(named_mask(source, image, STREET_MASK.shape), names[STREET_MASK])


def test_where_no_class_is_of_cityscapes_its_masks_say_nothing_with_an_id_no_class_has(tmp_path: Path) -> None:
    mask = np.array([[0, 1, 4, 255]], np.uint8)
    image = ExportedImage(1, "a.png", "a", "", mask, (), picture=no_picture, original=no_original)

    folder = write(Cityscapes, tmp_path / "out", [image]) / "cityscapes"

    assert pixels(folder / "gtFine/train/default/a_gtFine_labelIds.png").tolist() == [[0, 1, 4, 2]]
    source = read_cityscapes(folder, ReadOptions())
    assert named_mask(source, readable(source)["train/default/a"], (1, 4)).tolist() == [[*NAMES[mask[0, :3]], ""]]


def test_no_file_of_an_image_replaces_that_of_another(tmp_path: Path) -> None:
    mask = np.ones((2, 3), np.uint8)
    first, second = (
        ExportedImage(n, f"{stem}.png", stem, "", mask, (), picture=no_picture, original=no_original)
        for n, stem in ((1, "ulm/a"), (2, "train/ulm/a"))
    )
    target = FolderTarget(tmp_path / "out")

    with closing(Spools(target.work)) as spools:
        writer = DatasetWriter(target, spools, [Cityscapes(subject())])
        writer.add(first)
        with pytest.raises(ExportFailed) as refusal:
            writer.add(second)

    assert "train/ulm/a.png" in str(refusal.value)


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


def studio_task(tmp_path: Path, original: Path, **options: Any) -> dict[str, Any]:
    """The task of one image whose original is this file."""
    mask = np.ones((2, 3), np.uint8)
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    image = ExportedImage(1, "day 1/a.x", "day 1/a", "", mask, (), picture=lambda: rgb, original=lambda: original)
    folder = write(lambda subject: LabelStudio(subject, **options), tmp_path / "out", [image]) / "label_studio"
    (task,) = json.loads((folder / "tasks.json").read_text("utf-8"))
    return dict(task)


def test_tasks_of_label_studio_come_with_the_pictures_they_show(tmp_path: Path) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(b"as it was imported")

    task = studio_task(tmp_path, original, prefix=LOCAL_FILES, has_pictures=True)

    assert task["data"]["image"] == "/data/local-files/?d=images/day%201/a.jpg"
    assert (tmp_path / "out/label_studio/images/day 1/a.jpg").read_bytes() == b"as it was imported"


@pytest.mark.parametrize("ending", [".tif", ".png"])
def test_a_picture_no_browser_shows_rightly_is_written_as_one_that_it_does(tmp_path: Path, ending: str) -> None:
    original = tmp_path / f"deep{ending}"
    assert cv2.imwrite(str(original), np.full((2, 3), 1000, np.uint16))

    task = studio_task(tmp_path, original, prefix=EMBEDDED)

    head, _, body = task["data"]["image"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(body))) as picture:
        assert np.array_equal(np.array(picture).ravel(), np.arange(18))


def test_pictures_may_be_served_from_an_address_of_ones_own(tmp_path: Path) -> None:
    task = studio_task(tmp_path, tmp_path / "never looked at", prefix="https://example.org/pics/")

    assert task["data"]["image"] == "https://example.org/pics/day%201/a.x"
