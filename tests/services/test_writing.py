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

import fcnlab
from fcnlab.adapters.imports.coco import read_coco
from fcnlab.adapters.imports.index_masks import read_index_masks
from fcnlab.adapters.imports.reading import ReadOptions
from fcnlab.errors import ExportFailed, InvalidImage
from fcnlab.exports import MASK_FORMATS
from tests.adapters.imports.label_bench import named_mask, readable
from tests.services.stored_bench import blobs, files_in

NAMES = ["a.png", "day/b.png", "c.tif"]
CLASSES = ["background", "object", "rim"]


def test_arrays_are_written_and_read_back(tmp_path: Path) -> None:
    masks = [blobs(seed) for seed in range(3)]

    written = fcnlab.write_masks(NAMES, masks, classes=CLASSES, to=tmp_path / "out", formats=["coco", "index"])

    assert set(written) == set(files_in(tmp_path / "out"))
    source = read_coco(tmp_path / "out" / "coco" / "annotations.json", ReadOptions())
    for name, mask in zip(NAMES, masks, strict=True):
        assert np.array_equal(named_mask(source, readable(source)[name], mask.shape), np.array(CLASSES)[mask])


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
    options: dict[str, Any] = {"classes": CLASSES, "formats": sorted(MASK_FORMATS), "instances": True}
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
