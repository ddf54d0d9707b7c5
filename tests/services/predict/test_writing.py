"""Laws of masks written from arrays."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import fcnlab
from fcnlab.errors import ExportFailed, InvalidImage
from fcnlab.services.export.formats import MASKS_ALONE, formats_from
from fcnlab.storage.formats.masks.index_masks import read_index_masks
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.coco import read_coco
from tests.support.label_bench import named_mask, readable
from tests.support.stored_bench import blobs, files_in

NAMES = ["a.png", "day/b.png", "c.tif"]
CLASSES = ["background", "object", "rim"]


def test_arrays_are_written_and_read_back(tmp_path: Path) -> None:
    masks = [blobs(seed) for seed in range(3)]

    written = fcnlab.write_masks(NAMES, masks, classes=CLASSES, to=tmp_path / "out", formats=["coco", "index"])

    assert set(written) == set(files_in(tmp_path / "out"))
    source = read_coco(tmp_path / "out" / "coco" / "annotations.json", ReadOptions())
    for name, mask in zip(NAMES, masks, strict=True):
        assert np.array_equal(named_mask(source, readable(source)[name], mask.shape), np.array(CLASSES)[mask])


LAND = ["passable area", "built area", "green area", "road"]
READ_BACK = {
    "index": "masks",
    "colour": "colour",
    "binary": "binary",
    "tiff": "tiff",
    "coco": "coco/annotations.json",
    "coco-rle": "coco/annotations_rle.json",
    "yolo": "yolo",
    "voc": "voc",
    "cityscapes": "cityscapes",
    "labelme": "labelme",
    "cvat": "cvat",
    "labelstudio": "label_studio",
    "rootpainter": "root_painter",
}
"""Where each format that can be read lies in an export; instances, arrays, GeoJSON and SVG have no reader."""

READ_AS = {"coco-rle": "coco", "tiff": "index"}


@pytest.mark.parametrize("instances", [False, True], ids=["semantic", "instances"])
@pytest.mark.parametrize("one", READ_BACK, ids=str)
def test_without_a_background_every_pixel_of_every_class_comes_back(tmp_path: Path, one: str, instances: bool) -> None:
    rng = np.random.default_rng(5)
    masks = [rng.integers(0, 4, (9, 14), dtype=np.uint8).repeat(3, 0).repeat(2, 1), np.full((23, 37), 0, np.uint8)]
    out, images = tmp_path / "out", tmp_path / "images"
    images.mkdir()
    for name, mask in zip(("a.png", "b.png"), masks, strict=True):
        Image.fromarray(mask).save(images / name)

    fcnlab.write_masks(
        ["a.png", "b.png"], masks, classes=LAND, to=out, formats=[one], background=None, instances=instances
    )

    with fcnlab.read_labels(out / READ_BACK[one], as_format=READ_AS.get(one, one), images=images) as labels:
        found = {name.partition(".")[0]: np.array([*labels.classes, *[""] * 256])[mask] for name, mask in labels.masks}
        assert not labels.left_out
    for name, mask in zip("ab", masks, strict=True):
        assert np.array_equal(found[name], np.array(LAND)[mask]), one


def test_formats_without_a_reader_hold_every_class_too(tmp_path: Path) -> None:
    mask = np.arange(4, dtype=np.uint8).repeat(5)[None].repeat(6, 0)
    formats = ["geojson", "svg", "instances", "numpy"]

    fcnlab.write_masks(["a.png"], [mask], classes=LAND, to=tmp_path, formats=formats, background=None)

    geojson = json.loads(next((tmp_path / "geojson").rglob("*.geojson")).read_text("utf-8"))
    assert sorted(one["properties"]["class"] for one in geojson["features"]) == sorted(LAND)
    svg = next((tmp_path / "svg").rglob("*.svg")).read_text("utf-8")
    assert all(name in svg for name in LAND)
    numbers = np.asarray(Image.open(next((tmp_path / "instances").rglob("*.png"))))
    assert np.unique(numbers).tolist() == [1, 2, 3, 4]
    assert np.array_equal(np.load(next((tmp_path / "numpy").rglob("*.npy"))), mask)


def test_no_format_takes_a_number_for_a_class_that_means_nothing_there(tmp_path: Path) -> None:
    mask = np.arange(4, dtype=np.uint8).repeat(5)[None].repeat(6, 0)

    fcnlab.write_masks(["a.png"], [mask], classes=LAND, to=tmp_path, formats=["coco", "voc"], background=None)

    coco = json.loads((tmp_path / "coco" / "annotations.json").read_text("utf-8"))
    assert [one["id"] for one in coco["categories"]] == [1, 2, 3, 4], "a category 0 is lost by tools that count from 1"
    assert {one["category_id"] for one in coco["annotations"]} == {1, 2, 3, 4}
    values = np.asarray(Image.open(tmp_path / "voc" / "SegmentationClass" / "a.png"))
    assert np.array_equal(values, mask + 1), "0 is background to whoever reads Pascal VOC"


def test_what_is_left_out_is_unlabelled_where_no_class_is_background(tmp_path: Path) -> None:
    mask = np.full((8, 12), 1, np.uint8)
    mask[2:5, 3:7], mask[7, 11] = 2, 0
    options: dict[str, Any] = {"classes": LAND, "formats": ["numpy", "coco"], "background": None}

    fcnlab.write_masks(["a.png"], [mask], to=tmp_path / "few", class_ids=(1,), **options)
    fcnlab.write_masks(["a.png"], [mask], to=tmp_path / "large", min_area=2, **options)

    few, large = (np.load(next((tmp_path / one / "numpy").rglob("*.npy"))) for one in ("few", "large"))
    assert np.array_equal(few, np.where(mask == 1, 1, 255))
    assert np.array_equal(large, np.where(mask == 0, 255, mask))
    coco = json.loads((tmp_path / "few" / "coco" / "annotations.json").read_text("utf-8"))
    assert sum(one["area"] for one in coco["annotations"]) == (mask == 1).sum()


def test_a_background_that_is_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match="background 3 is no class"):
        fcnlab.write_masks(["a.png"], [blobs(0)], classes=CLASSES, to=tmp_path / "out", background=3)
    assert not (tmp_path / "out").exists()


def test_a_table_names_the_values_of_masks(tmp_path: Path) -> None:
    masks = [blobs(seed) for seed in range(3)]
    fcnlab.write_masks(NAMES, masks, classes=CLASSES, to=tmp_path, formats=["index"])

    source = read_index_masks(tmp_path / "masks", ReadOptions())

    found = readable(source)
    for name, mask in zip(("a", "day/b", "c"), masks, strict=True):
        assert np.array_equal(named_mask(source, found[name], mask.shape), np.array(CLASSES)[mask])


def test_masks_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    seen: list[int] = []

    def made() -> Iterator[NDArray[np.uint8]]:
        for seed in range(3):
            seen.append(len(list((tmp_path / "out").rglob("*.npy"))))
            yield blobs(seed)

    fcnlab.write_masks(NAMES, made(), classes=CLASSES, to=tmp_path / "out", formats=["numpy"])

    assert seen == [0, 1, 2]


def test_a_zip_has_the_same_files_and_is_whole_or_missing(tmp_path: Path) -> None:
    masks = [blobs(seed) for seed in range(3)]
    formats = sorted(each.name for each in formats_from(MASKS_ALONE))
    options: dict[str, Any] = {"classes": CLASSES, "formats": formats, "instances": True}
    fcnlab.write_masks(NAMES, masks, to=tmp_path / "out", **options)
    fcnlab.write_masks(NAMES, masks, to=tmp_path / "out.zip", **options)

    with zipfile.ZipFile(tmp_path / "out.zip") as file:
        assert {name: file.read(name) for name in file.namelist()} == files_in(tmp_path / "out")

    with pytest.raises(InvalidImage, match="7, which is none"):
        fcnlab.write_masks(["x"], [np.full((2, 3), 7)], classes=CLASSES, to=tmp_path / "none.zip")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["out", "out.zip"]


def test_options_are_those_of_exports(tmp_path: Path) -> None:
    mask = np.zeros((9, 14), np.int64)
    mask[1:4, 1:4] = mask[6, 6] = 1
    fcnlab.write_masks(["x"], [mask], classes=CLASSES, to=tmp_path, instances=True, min_area=2)

    content = json.loads((tmp_path / "coco" / "annotations.json").read_text("utf-8"))

    assert [one["area"] for one in content["annotations"]] == [9]


@pytest.mark.parametrize(
    ("names", "mask", "formats", "error"),
    [
        (["x"], np.zeros((2, 3, 1), int), ["coco"], InvalidImage),
        (["x"], np.zeros((2, 3)), ["coco"], InvalidImage),
        (["x"], np.full((2, 3), -1), ["coco"], InvalidImage),
        (["x"], np.zeros((2, 3), int), ["points"], ExportFailed),
        (["x"], np.zeros((2, 3), int), ["word"], ExportFailed),
        (["x", "x"], np.zeros((2, 3), int), ["coco"], ExportFailed),
        (["x", "y"], np.zeros((2, 3), int), ["coco"], InvalidImage),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, names: list[str], mask: NDArray[Any], formats: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error):
        fcnlab.write_masks(names, [mask], classes=CLASSES, to=tmp_path / "new" / "out", formats=formats)

    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert all("x" in file.stem for file in files)  # of masks that were asked for before the one that is wrong
    assert bool(files) == (tmp_path / "new").exists()


def test_one_format_needs_no_list(tmp_path: Path) -> None:
    written = fcnlab.write_masks(["x"], [np.eye(2, 3, dtype=int)], classes=CLASSES, to=tmp_path, formats="numpy")

    assert sorted(written) == ["classes.json", "numpy/x.npy"]


@pytest.mark.parametrize("name", ["x.tar.gz", "x.csv", "x.PNG"])
def test_a_folder_is_not_called_like_a_file(tmp_path: Path, name: str) -> None:
    mask = np.eye(2, 3, dtype=int)

    with pytest.raises(ExportFailed, match=r"\.zip"):
        fcnlab.write_masks(["x"], [mask], classes=CLASSES, to=tmp_path / name)

    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).mkdir()
    assert fcnlab.write_masks(["x"], [mask], classes=CLASSES, to=tmp_path / name)
    assert fcnlab.write_masks(["x"], [mask], classes=CLASSES, to=tmp_path / "v1.2")
