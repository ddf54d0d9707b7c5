"""One contract on all readers: what was marked never becomes background, and a line says what was not read, and why.

The same awkward files in the clothes of every format. A reader may leave pixels unknown or leave the image out.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

import fcnlab
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.shapes.label_studio_brush import encode_brush
from tests.support.label_bench import HW, save_json, save_png

Corners = Sequence[tuple[float, float]]

AWKWARD, GOOD = np.s_[3:9, 4:12], np.s_[11:17, 20:30]


def corners_of(part: tuple[slice, slice]) -> list[tuple[float, float]]:
    rows, cols = part
    return [(x, y) for x, y in ((cols.start, rows.start), (cols.stop, rows.start), (cols.stop, rows.stop))] + [
        (cols.start, rows.stop)
    ]


@dataclass
class Mark:
    """A polygon; `label` None: it has no class; `is_read` False: it is of a kind that no reader knows."""

    corners: Corners = field(default_factory=lambda: corners_of(AWKWARD))
    label: Any = "cell"
    is_read: bool = True


THE_GOOD = Mark(corners_of(GOOD))


def flat(corners: Corners) -> list[float]:
    return [value for pair in corners for value in pair]


def coco(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    names = ["cell", *sorted({str(mark.label) for mark in marks} - {"cell", "None", "ghost"})]
    annotations = []
    for number, mark in enumerate(marks, start=1):
        shape = {"segmentation": [flat(mark.corners)]} if mark.is_read else {"keypoints": [5, 5, 2]}
        ids = {} if mark.label is None else {"category_id": 99}
        if str(mark.label) in names:
            ids = {"category_id": names.index(str(mark.label)) + 1}
        annotations.append({"id": number, "image_id": 1, **ids, **shape})
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": hw[0], "width": hw[1]}],
        "annotations": annotations,
        "categories": [{"id": place, "name": name} for place, name in enumerate(names, start=1)],
    }
    return save_json(folder / "labels.json", content)


def labelme(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    shapes = [
        {
            "label": mark.label,
            "points": [list(pair) for pair in mark.corners],
            "shape_type": "polygon" if mark.is_read else "cloud",
        }
        for mark in marks
    ]
    content = {"shapes": shapes, "imagePath": "a.png", "imageHeight": hw[0], "imageWidth": hw[1]}
    return save_json(folder / "a.json", content)


def label_studio(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    results = []
    for number, mark in enumerate(marks, start=1):
        kind = "polygon" if mark.is_read else "bitmask"
        value: dict[str, Any] = {"points": [[100 * x / HW[1], 100 * y / HW[0]] for x, y in mark.corners]}
        if mark.label is not None:
            kind, value = f"{kind}labels", {**value, f"{kind}labels": [mark.label]}
        results.append(
            {"id": f"r{number}", "type": kind, "value": value, "original_width": hw[1], "original_height": hw[0]}
        )
    return save_json(folder / "labels.json", [{"data": {"image": "a.png"}, "annotations": [{"result": results}]}])


def cvat(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    shapes = []
    for mark in marks:
        label = "" if mark.label is None else f'label="{mark.label}"'
        points = ";".join(f"{x},{y}" for x, y in mark.corners)
        shapes.append(f'<{"polygon" if mark.is_read else "heart"} {label} points="{points}"/>')
    image = f'<image id="0" name="a.png" width="{hw[1]}" height="{hw[0]}">{"".join(shapes)}</image>'
    path = folder / "labels.xml"
    path.write_text(f"<annotations><meta><labels/></meta>{image}</annotations>")
    return path


def voc(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    things = []
    for mark in marks:
        name = "" if mark.label is None else f"<name>{mark.label}</name>"
        places = "".join(f"<x{n}>{x + 1}</x{n}><y{n}>{y + 1}</y{n}>" for n, (x, y) in enumerate(mark.corners, start=1))
        box = "<bndbox><xmin>5</xmin><ymin>4</ymin><xmax>12</xmax><ymax>9</ymax></bndbox>"
        outline = f"<polygon>{places}</polygon>{box}" if mark.is_read else "<cloud><x>1</x></cloud>"
        things.append(f"<object>{name}{outline}</object>")
    size = f"<size><width>{hw[1]}</width><height>{hw[0]}</height></size>"
    path = folder / "a.xml"
    path.write_text(f"<annotation><filename>a.png</filename>{size}{''.join(things)}</annotation>")
    return path


def yolo(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    del hw  # it is not said
    save_png(folder / "images" / "a.png", np.zeros((*HW, 3), np.uint8))
    names = ["cell", *sorted({str(mark.label) for mark in marks} - {"cell", "None", "ghost"})]
    (folder / "data.yaml").write_text(f"names: [{', '.join(names)}]\n")
    lines = []
    for mark in marks:
        place = names.index(str(mark.label)) if str(mark.label) in names else 9
        numbers = [value / HW[1 - spot % 2] for spot, value in enumerate(flat(mark.corners))]
        lines.append(f"{place} {' '.join(f'{one:.9f}' for one in numbers[: len(numbers) if mark.is_read else -1])}")
    path = folder / "labels" / "a.txt"
    path.parent.mkdir()
    path.write_text("\n".join(lines))
    return folder


def cityscapes(folder: Path, marks: Sequence[Mark], hw: tuple[int, int]) -> Path:
    objects = []
    for mark in marks:
        name = {"cell": "car"}.get(str(mark.label), mark.label)
        objects.append({"label": name, "polygon": [list(pair) for pair in mark.corners]})
    content = {"imgHeight": hw[0], "imgWidth": hw[1], "objects": objects}
    return save_json(folder / "gtFine" / "a_gtFine_polygons.json", content).parent


WRITERS = {
    "coco": coco,
    "labelme": labelme,
    "labelstudio": label_studio,
    "cvat": cvat,
    "voc": voc,
    "yolo": yolo,
    "cityscapes": cityscapes,
}
OUTSIDE = [(x + 30, y) for x, y in corners_of(AWKWARD)]
FAR = [(x + 3000, y) for x, y in corners_of(AWKWARD)]
TINY = [(6.1, 5.1), (6.3, 5.1), (6.3, 5.3), (6.1, 5.3)]

AWKWARD_MARKS = {
    "of a kind that is not read": Mark(is_read=False),
    "without a class": Mark(label=None),
    "of a class that is not declared": Mark(label="ghost"),
    "of one corner": Mark([(6, 5)]),
    "of two corners": Mark([(6, 5), (9, 5)]),
    "of a line": Mark([(6, 5), (9, 5), (7, 5)]),
    "far outside": Mark(FAR),
    "beside the image": Mark(OUTSIDE),
    "smaller than a pixel": Mark(TINY),
}
CANNOT = {
    *(("without a class", one) for one in ("yolo",)),
    *(("of a class that is not declared", one) for one in ("labelme", "labelstudio", "cvat", "voc")),
    ("of a kind that is not read", "cityscapes"),
    ("of two corners", "yolo"),  # four numbers are a box there
    ("of one corner", "yolo"),
}
"""What a format has no way to write, or writes as something else."""

CASES = [(kind, name) for kind in AWKWARD_MARKS for name in WRITERS if (kind, name) not in CANNOT]


@dataclass
class Found:
    """What was read: masks with names in place of numbers, and the lines that were said."""

    masks: dict[str, np.ndarray[Any, Any]]
    lines: list[str]


def read(path: Path) -> Found:
    try:
        with fcnlab.read_labels(path, rest="background") as labels:
            names = np.array([*labels.classes, *[""] * (256 - len(labels.classes))], dtype=object)
            masks = {name: names[mask] for name, mask in labels.masks}
            lines = [f"{name}: {reason}" for name, reason in (*labels.left_out, *labels.notes)]
    except ImportRefused as refusal:
        return Found({}, [str(refusal)])
    return Found(masks, lines)


def assert_named(lines: Sequence[str], *words: str) -> None:
    assert lines
    assert all("\n" not in line for line in lines)
    assert all(any(word in line for line in lines) for word in words)


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_mark_that_cannot_be_read_is_never_background_and_is_named(tmp_path: Path, kind: str, name: str) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD, AWKWARD_MARKS[kind]], HW)

    found = read(path)

    assert_named(found.lines, "a")
    for mask in found.masks.values():
        assert (mask[GOOD] != "background").all()
        marked = mask[5, 6] if "smaller" in kind else mask[AWKWARD]
        if kind in ("of a kind that is not read", "without a class", "of a class that is not declared"):
            assert (marked == "").all()
        elif "smaller" in kind:
            assert marked == ""


@pytest.mark.parametrize(
    ("kind", "name"),
    [case for case in CASES if case[0] in ("of one corner", "of two corners", "of a line", "beside the image")],
)
def test_pieces_without_pixels_are_dropped_and_the_rest_of_the_image_stays(
    tmp_path: Path, kind: str, name: str
) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD, AWKWARD_MARKS[kind]], HW)

    found = read(path)

    (mask,) = found.masks.values()
    assert (mask[GOOD] == ("car" if name == "cityscapes" else "cell")).all()
    assert (mask[AWKWARD] == ("" if name == "cityscapes" else "background")).all()
    assert len(found.lines) == 1


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "voc", "cityscapes"])
def test_an_image_in_which_nobody_drew_anything_is_left_out(tmp_path: Path, name: str) -> None:
    found = read(WRITERS[name](tmp_path, [], HW))

    assert found.masks == {}
    assert_named(found.lines, "a", "nobody marked anything")


@pytest.mark.parametrize("name", ["yolo", "labelstudio"])
def test_a_format_that_says_an_image_is_empty_is_believed(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, [], HW)
    if name == "labelstudio":
        save_png(tmp_path / "images" / "a.png", np.zeros((*HW, 3), np.uint8))
    with fcnlab.read_labels(path, rest="background", images=tmp_path / "images") as labels:
        ((_, mask),) = labels.masks

    assert labels.classes == (("background", "cell") if name == "yolo" else ("background",))
    assert not mask.any()


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD], HW)
    (file,) = [one for one in tmp_path.rglob("*") if one.suffix in (".json", ".xml", ".txt")]
    text = file.read_text()
    file.write_text(text.rpartition(" ")[0] if name == "yolo" else text[: len(text) * 3 // 4])

    found = read(path)

    assert found.masks == {}
    assert_named(found.lines, file.name)


@pytest.mark.parametrize("name", [one for one in WRITERS if one != "cityscapes"])
@pytest.mark.parametrize("label", ["no", "1", "01", "2024-01-01", "1e3"])
def test_names_are_texts_whatever_they_look_like(tmp_path: Path, name: str, label: str) -> None:
    path = WRITERS[name](tmp_path, [Mark(label=label), THE_GOOD], HW)

    found = read(path)

    (mask,) = found.masks.values()
    assert (mask[AWKWARD] == label).all()
    assert (mask[GOOD] == "cell").all()
    assert found.lines == []


@pytest.mark.parametrize("name", ["labelme", "labelstudio"])
@pytest.mark.parametrize(("label", "text"), [(1, "1"), (1.0, "1"), (True, "true")])
def test_numbers_and_truth_values_are_names_too(tmp_path: Path, name: str, label: Any, text: str) -> None:
    found = read(WRITERS[name](tmp_path, [Mark(label=label)], HW))

    (mask,) = found.masks.values()
    assert (mask[AWKWARD] == text).all()


@pytest.mark.parametrize("name", WRITERS)
def test_byte_order_marks_and_windows_newlines_change_nothing(tmp_path: Path, name: str) -> None:
    marks = [Mark(), THE_GOOD]
    (tmp_path / "plain").mkdir()
    (tmp_path / "windows").mkdir()
    plain, windows = (WRITERS[name](tmp_path / one, marks, HW) for one in ("plain", "windows"))
    for file in windows.rglob("*") if windows.is_dir() else [windows]:
        if file.suffix in (".json", ".xml", ".txt", ".yaml"):
            text = file.read_text().replace(", ", ",\n") if file.suffix == ".json" else file.read_text()
            file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    (mask,), (same,) = read(plain).masks.values(), read(windows).masks.values()

    assert np.array_equal(mask, same)
    assert (mask[AWKWARD] != "background").all()


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "voc", "cityscapes"])
def test_a_size_of_nought_is_unsaid(tmp_path: Path, name: str) -> None:
    save_png(tmp_path / "pictures" / "a.png", np.zeros((*HW, 3), np.uint8))
    (tmp_path / "in").mkdir()
    path = WRITERS[name](tmp_path / "in", [THE_GOOD], (0, 0))

    with fcnlab.read_labels(path, rest="background", images=tmp_path / "pictures") as labels:
        ((_, mask),) = labels.masks

    assert mask.shape == HW
    assert len(np.unique(mask[GOOD])) == 1


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
