"""Small label files in every format, and what its reader made of one, for the contract that all readers keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fcnlab
from fcnlab.errors import ImportRefused
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
