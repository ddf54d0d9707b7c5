"""YOLO: a text file per image, a line per object, coordinates as shares of width and height."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.imports.label_tables import find_table, read_table
from fcnlab.adapters.imports.labelled import LabelledImage, LabelSource, UnreadLabels
from fcnlab.adapters.imports.mask_files import files_below
from fcnlab.adapters.imports.reading import ReadOptions, number, read_text, whole
from fcnlab.adapters.imports.shapes import Polygon, box, drawn, polygon, shape_classes
from fcnlab.errors import ImportRefused

NO_LABELS = frozenset(
    {
        *("classes.txt", "labels.txt", "labelmap.txt", "train.txt", "val.txt", "valid.txt", "validation.txt"),
        *("test.txt", "readme.txt", "readme.dataset.txt", "readme.roboflow.txt"),
    }
)
"""Text files that are no labels."""

FOLDER = "labels"

Line = tuple[int, tuple[float, ...], str]


def read_yolo(path: Path, options: ReadOptions) -> LabelSource:
    """The text files in a folder: `class x y x y ...` is a polygon, `class x y width height` a box about its middle.

    Classes are named by data.yaml, classes.txt or CVAT's obj.names, beside the labels or above them. `path` may be that
    data.yaml.

    Raises:
        ImportRefused: no text files, or nothing names the classes.
    """
    folder = path if path.is_dir() else path.parent
    files = label_files(folder) if path.is_dir() or path.suffix.lower() != ".txt" else [path]
    if not files:
        raise ImportRefused(f"{folder.name} holds no YOLO labels: no file ends in .txt")
    named = path if path.suffix.lower() in (".yaml", ".yml") else None
    table = options.table or named or find_table(folder)
    if table is None:
        raise ImportRefused(
            f"nothing names the classes of {folder.name}: put data.yaml or classes.txt beside the labels"
        )
    names = {value: one.name for value, one in sorted(read_table(table).by_value.items())}
    classes = shape_classes(read_table(table).by_value.values(), rest=options.rest)
    places = {value: classes.places[name] for value, name in names.items()}

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = image_name(file, folder)
            try:
                yield LabelledImage(name, None, partial(_mask, lines=_lines(file, places), ground=classes.ground))
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, len(files), read)


def label_files(folder: Path) -> list[Path]:
    """The text files in a folder that may hold labels."""
    return [one for one in files_below(folder, (".txt",)) if one.name.lower() not in NO_LABELS]


def image_name(file: Path, folder: Path) -> str:
    """The path of the image below the folder, without an ending; `labels` stands where `images` does."""
    parts = file.relative_to(folder).with_suffix("").parts
    return "/".join(part for place, part in enumerate(parts) if part != FOLDER or place == len(parts) - 1)


def _lines(file: Path, places: Mapping[int, int]) -> list[Line]:
    found = []
    for count, line in enumerate(read_text(file).splitlines(), start=1):
        what = f"{file.name}, line {count}"
        words = line.split()
        if not words:
            continue
        value = whole(words[0], f"the class in {what}")
        if value not in places:
            raise ImportRefused(f"{what} is of class {value}; the table of classes ends at {max(places)}")
        numbers = tuple(number(word, f"a coordinate in {what}") for word in words[1:])
        if len(numbers) != 4 and (len(numbers) < 6 or len(numbers) % 2):
            raise ImportRefused(f"{what} has {len(numbers)} coordinates: wanted 4 for a box, or 3 pairs and more")
        found.append((places[value], numbers, what))
    return found


def _mask(hw: tuple[int, int], *, lines: list[Line], ground: int) -> NDArray[np.uint8]:
    return drawn([_shape(one, hw) for one in lines], hw, ground=ground)


def _shape(line: Line, hw: tuple[int, int]) -> Polygon:
    place, numbers, what = line
    scaled = [value * hw[1 - index % 2] for index, value in enumerate(numbers)]
    if len(scaled) > 4:
        return polygon(place, scaled, what)
    x, y, width, height = scaled
    return box(place, x - width / 2, y - height / 2, x + width / 2, y + height / 2, what)
