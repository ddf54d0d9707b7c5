"""The contract of readers for masks, strokes and points: what cannot be read is unknown and named."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import fcnlab
from fcnlab.storage.formats.shapes.label_studio_brush import encode_brush
from tests.support.label_bench import HW, save_json, save_png
from tests.support.reader_contract import (
    AWKWARD,
    GOOD,
    THE_GOOD,
    assert_named,
    label_studio,
    labelme,
    read,
)


def a_png(pixels: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def with_value(folder: Path, value: int) -> Path:
    mask = np.zeros(HW, np.uint8)
    mask[AWKWARD] = value
    (folder / "classes.txt").write_text("background\ncell\n")
    return save_png(folder / "a.png", mask)


def index_of_no_class(folder: Path) -> Path:
    return with_value(folder, 7).parent


def index_cut_off(folder: Path) -> Path:
    path = with_value(folder, 1)
    path.write_bytes(path.read_bytes()[:-30])
    return folder


def index_of_another_size(folder: Path) -> Path:
    (folder / "masks").mkdir()
    path = with_value(folder / "masks", 1)
    save_png(folder / "images" / "a.png", np.zeros((50, 60, 3), np.uint8))
    return path.parent


def index_in_opacity(folder: Path) -> Path:
    (folder / "classes.txt").write_text("background\ncell\n")
    rgba = np.zeros((*HW, 4), np.uint8)
    rgba[AWKWARD] = (0, 0, 0, 255)
    return save_png(folder / "a.png", rgba).parent


def colour_of_no_class(folder: Path) -> Path:
    (folder / "classes.csv").write_text("name,colour\nbackground,#000000\ncell,#ff0000\n")
    rgb = np.zeros((*HW, 3), np.uint8)
    rgb[AWKWARD] = (0, 0, 255)
    return save_png(folder / "a.png", rgb).parent


def binary_cut_off(folder: Path) -> Path:
    mask = np.zeros(HW, np.uint8)
    mask[AWKWARD] = 255
    (folder / "a.png").write_bytes(a_png(mask)[:-30])
    save_png(folder / "b.png", mask)
    return folder


def strokes_of_another_colour(folder: Path) -> Path:
    rgba = np.zeros((*HW, 4), np.uint8)
    rgba[AWKWARD], rgba[GOOD] = (0, 0, 255, 180), (255, 0, 0, 180)
    (folder / "annotations").mkdir()
    return save_png(folder / "annotations" / "a.png", rgba).parent


def nodata_of_a_tiff(folder: Path) -> Path:
    mask = np.full(HW, 1, np.uint8)
    mask[AWKWARD] = 9
    (folder / "classes.txt").write_text("background\ncell\n")
    tifffile.imwrite(folder / "a.tif", mask, extratags=[(42113, "s", 0, "9", True)])
    return folder


def points_without_a_class(folder: Path) -> Path:
    path = folder / "points.csv"
    path.write_text("image,row,col,class\na.png,13,22,cell\na.png,5,6,\n")
    save_png(folder / "a.png", np.zeros((*HW, 3), np.uint8))
    return path


def brush_of_no_label(folder: Path) -> Path:
    painted = np.zeros(HW, bool)
    painted[AWKWARD] = True
    brush = {
        "id": "b",
        "type": "brush",
        "original_width": HW[1],
        "original_height": HW[0],
        "value": {"format": "rle", "rle": encode_brush(painted)},
    }
    path = label_studio(folder, [THE_GOOD], HW)
    tasks = json.loads(path.read_text())
    tasks[0]["annotations"][0]["result"].append(brush)
    return save_json(path, tasks)


def stamp_of_no_label(folder: Path) -> Path:
    path = labelme(folder, [THE_GOOD], HW)
    content = json.loads(path.read_text())
    stamp = base64.b64encode(a_png(np.full((6, 8), 255, np.uint8))).decode()
    content["shapes"].append({"shape_type": "mask", "points": [[4, 3], [11, 8]], "mask": stamp, "label": None})
    return save_json(path, content)


@pytest.mark.parametrize(
    ("write", "as_format", "words"),
    [
        (index_of_no_class, "index", "value 7"),
        (index_cut_off, "index", "damaged"),
        (index_of_another_size, "index", "60 x 50"),
        (index_in_opacity, "index", "opacity"),
        (colour_of_no_class, "colour", "#0000ff"),
        (binary_cut_off, "binary", "damaged"),
        (strokes_of_another_colour, "rootpainter", "neither red nor green"),
        (points_without_a_class, "points", "line 3 has no class"),
        (brush_of_no_label, "labelstudio", "its pixels are unknown"),
        (stamp_of_no_label, "labelme", "its pixels are unknown"),
    ],
)
def test_masks_strokes_and_points_keep_the_same_law(
    tmp_path: Path, write: Callable[[Path], Path], as_format: str, words: str
) -> None:
    path = write(tmp_path)
    images = tmp_path / "images" if (tmp_path / "images").is_dir() else (tmp_path if path.suffix == ".csv" else None)
    with fcnlab.read_labels(path, as_format=as_format, rest="background", images=images) as labels:
        names = np.array([*labels.classes, *[""] * (256 - len(labels.classes))], dtype=object)
        masks = {name: names[mask] for name, mask in labels.masks}
        lines = [f"{name}: {line}" for name, line in (*labels.left_out, *labels.notes)]

    assert_named(lines, "a", words)
    for name, mask in masks.items():
        assert name.startswith("b") or (mask[AWKWARD] == "").all()


def test_nodata_of_a_tiff_is_nothing(tmp_path: Path) -> None:
    (mask,) = read(nodata_of_a_tiff(tmp_path)).masks.values()

    assert (mask[AWKWARD] == "").all()
    assert (mask == "cell").sum() == mask.size - 48


def test_a_point_outside_all_shapes_leaves_what_it_marks_unknown(tmp_path: Path) -> None:
    path = labelme(tmp_path, [THE_GOOD], HW)
    content = json.loads(path.read_text())
    content["shapes"].append({"label": "cell", "shape_type": "point", "points": [[6.5, 5.5]]})

    found = read(save_json(path, content))

    (mask,) = found.masks.values()
    assert mask[5, 6] == "cell"
    assert (mask[GOOD] == "cell").all()
    assert not (mask == "background").any()
    assert_named(found.lines, "a.png", "points lie outside all shapes")
