"""CSV points, as `fcnlab points export` writes them, as labels of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fcnlab.errors import ImportRefused, InvalidPoints
from fcnlab.storage.formats.labelled import (
    FileClass,
    FilePoint,
    LabelledImage,
    LabelSource,
    Notes,
    UnreadLabels,
)
from fcnlab.storage.formats.points_csv import PointLine, read_points_csv
from fcnlab.storage.formats.reading import ReadOptions, id_in, text, whole


def read_points_table(path: Path, options: ReadOptions) -> LabelSource:
    """The points of a table with the columns image, row, col and class, by image.

    Raises:
        ImportRefused: no such table.
    """
    try:
        lines = read_points_csv(path)
    except InvalidPoints as refusal:
        raise ImportRefused(str(refusal)) from refusal
    by_image: dict[str, list[PointLine]] = {}
    names: dict[str, int] = {}
    for line in lines:
        by_image.setdefault(line.values["image"], []).append(line)
        if name := _class_name(line, options):
            names.setdefault(name, len(names))

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for name, own in by_image.items():
            try:
                yield _image(name, own, names, options)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(tuple(FileClass(name) for name in names), len(by_image), read)


def _image(name: str, lines: list[PointLine], names: dict[str, int], options: ReadOptions) -> LabelledImage:
    notes, points = Notes(), []
    for line in lines:
        place = names.get(_class_name(line, options))
        if place is None:
            notes.add(f"the point in line {line.line} has no class: its pixel is unknown")
        else:
            points.append(_point(line, place))
    if not points:
        raise ImportRefused("; ".join(notes.lines[:3]))
    return LabelledImage(text(name, "an image"), None, None, tuple(points), notes)


def _class_name(line: PointLine, options: ReadOptions) -> str:
    """The name of the class; of one that has a number alone, the name that the project gives it."""
    named, number = line.values.get("class", "").strip(), id_in(line.values.get("class_id", ""))
    if named or not isinstance(number, int):
        return named or str(number or "")
    return options.names.get(number, str(number))


def _point(line: PointLine, place: int) -> FilePoint:
    row, col = (whole(line.values[key], f"{key} in line {line.line}") for key in ("row", "col"))
    return FilePoint(row, col, place)
