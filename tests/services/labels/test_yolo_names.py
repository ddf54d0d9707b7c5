"""Images in folders whose names mean something to the readers of YOLO data sets."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fcnlab.lab import Lab
from tests.support.export_bench import Bench

NAMES = ["images/a.png", "images_/a.png", "set/Labels/b.png", "plain/images.png"]


def labels_by_ultralytics(image: str) -> str:
    """Where Ultralytics looks for the labels of an image."""
    return "/labels/".join(image.rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"


def test_ultralytics_finds_the_labels_of_images_in_any_folder(lab: Lab, tmp_path: Path) -> None:
    bench = Bench(lab, tmp_path, NAMES)
    bench.click(NAMES[0], (40, 60, 1), (5, 5, 0))

    path, _ = bench.export(formats=("yolo", "images"))

    files = set(zipfile.ZipFile(path).namelist())
    images = {file for file in files if file.startswith("yolo/images/")}
    assert len(images) == len(NAMES)
    assert {labels_by_ultralytics(image) for image in images} == {f for f in files if f.startswith("yolo/labels/")}
