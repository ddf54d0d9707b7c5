"""Laws of COCO files."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.coco import Coco, read_coco
from tests.support.label_bench import named_mask, readable
from tests.support.writing_bench import CLASSES, NAMES, images, masks, write

FILES = {False: "coco/annotations.json", True: "coco/annotations_rle.json"}
both = pytest.mark.parametrize("is_rle", [False, True], ids=["polygons", "rle"])
kinds = pytest.mark.parametrize("instances", [False, True], ids=["semantic", "instances"])


def loaded(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@both
@kinds
def test_pycocotools_decodes_the_same_masks(tmp_path: Path, is_rle: bool, instances: bool) -> None:
    write(lambda subject: Coco(subject, is_rle), tmp_path / "out", list(images(instances=instances)))

    coco = loaded(tmp_path / "out" / FILES[is_rle])

    found = {one["file_name"]: one for one in coco.loadImgs(coco.getImgIds())}
    assert list(found) == list(masks())
    for name, mask in masks().items():
        decoded = np.zeros((found[name]["height"], found[name]["width"]), np.uint8)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=found[name]["id"])):
            inside = coco.annToMask(annotation) > 0
            rows, cols = np.nonzero(inside)
            assert annotation["area"] == inside.sum()
            assert annotation["bbox"] == [cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1]
            assert not decoded[inside].any()
            decoded[inside] = annotation["category_id"]
        assert np.array_equal(decoded, mask), name


@both
@kinds
def test_what_is_written_is_read_back(tmp_path: Path, is_rle: bool, instances: bool) -> None:
    write(lambda subject: Coco(subject, is_rle), tmp_path / "out", list(images(instances=instances)))

    source = read_coco(tmp_path / "out" / FILES[is_rle], ReadOptions())

    found = readable(source)
    said = {name: mask for name, mask in masks().items() if mask.any()}  # without annotations: perhaps never looked at
    assert list(found) == list(said)
    for name, mask in said.items():
        assert np.array_equal(named_mask(source, found[name], mask.shape), NAMES[mask]), name


def test_annotations_are_numbered_and_the_background_is_no_category(tmp_path: Path) -> None:
    write(Coco, tmp_path / "out", list(images(instances=True)))

    content = json.loads((tmp_path / "out" / FILES[False]).read_text("utf-8"))

    assert [one["id"] for one in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
    assert content["categories"] == [{"id": label.id, "name": label.name} for label in CLASSES[1:]]


def test_each_part_of_a_split_has_its_file(tmp_path: Path) -> None:
    write(Coco, tmp_path / "out", list(images(instances=True, splits=("train", "val"))))

    parts = [loaded(tmp_path / "out" / f"coco/annotations_{split}.json") for split in ("train", "val")]

    names = [{one["file_name"] for one in part.loadImgs(part.getImgIds())} for part in parts]
    assert names[0] | names[1] == set(masks())
    assert not names[0] & names[1]
    for part in parts:
        assert {one["image_id"] for one in part.loadAnns(part.getAnnIds())} <= set(part.getImgIds())
