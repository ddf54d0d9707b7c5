"""Laws of files of what was counted."""

from __future__ import annotations

import contextlib
import csv
import io
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from fcnlab.domain.counting import ClassCount, FoundObject
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.formats.tables.count_files import CountedImage, count_files

CLASSES = (
    ClassLabel(0, "background", "#000000", 0),
    ClassLabel(3, "Zelle, groß", "#00ff00", 1),
    ClassLabel(7, "dust", "#ff0000", 2),
)
CELL = FoundObject(row=4, col=90.5, class_id=3, size=24, score=0.875, box=(1, 88, 6, 5), is_marked=True)
EDGE = FoundObject(row=0, col=119, class_id=7, size=16, score=0.5)
IMAGES = (
    CountedImage(
        "a/one.png", (60, 120), (ClassCount(3, 1.2, 0.5, 2.0, 1), ClassCount(7, 1)), (CELL, EDGE), {3: 1.2, 7: 1}
    ),
    CountedImage(
        "two.png",
        (30, 80),
        (ClassCount(3, 3, 3, 3, 3, is_exact=True), ClassCount(7, 0, is_exact=True)),
        predicted={3: 4.256},
        is_seen=True,
    ),
)


def write(folder: Path) -> tuple[Path, Path, Path]:
    paths = folder / "counts.csv", folder / "objects.csv", folder / "keypoints.json"
    with count_files(CLASSES, title="cells", counts=paths[0], objects=paths[1], keypoints=paths[2]) as files:
        for image in IMAGES:
            files.add(image)
    return paths


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))


def test_the_table_of_counts_has_the_points_where_all_are_marked_and_the_prediction_elsewhere(tmp_path: Path) -> None:
    counts, _, _ = write(tmp_path)

    found = rows(counts)

    assert [(one["image"], one["class"], one["count"], one["low"], one["high"]) for one in found] == [
        ("a/one.png", "Zelle, groß", "1.2", "0.5", "2"),
        ("a/one.png", "dust", "1", "", ""),
        ("two.png", "Zelle, groß", "3", "3", "3"),
        ("two.png", "dust", "0", "0", "0"),
    ]
    assert [one["predicted"] for one in found] == ["1.2", "1", "4.26", ""]
    assert [(one["all_marked"], one["learned_from"]) for one in found[1:3]] == [("no", "no"), ("yes", "yes")]


def test_the_table_of_objects_says_which_were_marked(tmp_path: Path) -> None:
    _, objects, _ = write(tmp_path)

    assert [(one["number"], one["row"], one["col"], one["class"], one["source"]) for one in rows(objects)] == [
        ("1", "4", "90.5", "Zelle, groß", "marked"),
        ("2", "0", "119", "dust", "predicted"),
    ]


def test_pycocotools_loads_the_keypoints_and_finds_each_object_at_its_centre(tmp_path: Path) -> None:
    *_, path = write(tmp_path)

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(path))

    assert [one["file_name"] for one in coco.loadImgs(coco.getImgIds())] == ["a/one.png", "two.png"]
    assert [(one["id"], one["name"], one["keypoints"]) for one in coco.loadCats(coco.getCatIds())] == [
        (3, "Zelle, groß", ["centre"]),
        (7, "dust", ["centre"]),
    ]
    cell, edge = coco.loadAnns(coco.getAnnIds())
    assert (cell["keypoints"], cell["num_keypoints"], cell["bbox"]) == ([90.5, 4, 2], 1, [88, 1, 5, 6])
    assert (edge["category_id"], edge["bbox"]) == (7, [117.5, 0, 2.5, 2.5])  # a square of 16 pixels, cut to the image
    assert coco.getAnnIds(imgIds=[2]) == []


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "first"), write(tmp_path / "second")

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_a_count_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def fail() -> None:
        with count_files(CLASSES, title="cells", counts=tmp_path / "c.csv", keypoints=tmp_path / "k.json") as files:
            files.add(IMAGES[0])
            raise RuntimeError("the second image is gone")

    with pytest.raises(RuntimeError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_no_image_makes_tables_with_a_header_and_a_file_that_pycocotools_loads(tmp_path: Path) -> None:
    with count_files(CLASSES, title="", counts=tmp_path / "c.csv", keypoints=tmp_path / "k.json"):
        pass

    assert len((tmp_path / "c.csv").read_text().splitlines()) == 1
    with contextlib.redirect_stdout(io.StringIO()):
        assert COCO(str(tmp_path / "k.json")).getImgIds() == []
