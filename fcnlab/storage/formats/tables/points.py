"""Points as tables of comma-separated values and as JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fcnlab.errors import ImportRefused, InvalidPoints
from fcnlab.storage.formats.format import TABLES, FileClue, FolderClue, Format, Need
from fcnlab.storage.formats.reading.labelled import (
    FileClass,
    FilePoint,
    LabelledImage,
    LabelSource,
    Notes,
    UnreadLabels,
)
from fcnlab.storage.formats.reading.mask_files import files_below
from fcnlab.storage.formats.reading.values import ReadOptions, id_in, text, whole
from fcnlab.storage.formats.tables.table import TableLine, csv_lines, read_lines
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Line, PointRow, Spooled, Subject

COLUMNS = ("image", "row", "col", "class_id", "class", "labeller", "source", "created_at")

REQUIRED = ("image", "row", "col")


def points_csv(rows: Iterable[PointRow]) -> bytes:
    """UTF-8 bytes of the table with a header; values in the order of COLUMNS."""
    return csv_lines([COLUMNS, *rows])


def read_points_csv(path: Path) -> tuple[TableLine, ...]:
    """The lines of a table with a header.

    Raises:
        InvalidPoints: the file cannot be read, or its header lacks a column or has an unknown one.
    """
    return read_lines(path, check_header=_refuse_header, error=InvalidPoints)


def _refuse_header(header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if "class" not in header and "class_id" not in header:
        missing.append("class")
    if missing:
        raise InvalidPoints(
            f"the header lacks {', '.join(missing)}; wanted {','.join(COLUMNS)} "
            "(class or class_id; labeller, source and created_at may be left out)"
        )
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise InvalidPoints(f"the column {unknown[0]!r} is unknown")


@dataclass(frozen=True, slots=True)
class PointsTable:
    """points.csv: one line per labelled pixel."""

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The rows of the image in points.csv."""
        if image.points:
            yield Line("points-csv", csv_lines(image.points)[:-1])

    def of_all(self) -> Iterator[Assembly]:
        """The file points.csv, with its header."""
        yield Assembly("points.csv", (csv_lines([COLUMNS]), Spooled("points-csv")))


@dataclass(frozen=True, slots=True)
class PointsJson:
    """points.json: the classes, and for each image its size and its points."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The entry of the image in points.json, with its points."""
        points = [dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in image.points]
        about = {"image": image.name, "height": image.height, "width": image.width, "points": points}
        yield Line("points-json", json.dumps(about, ensure_ascii=False).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The file points.json, with the classes."""
        classes = [{"id": label.id, "name": label.name, "colour": label.colour} for label in self.subject.classes]
        head = json.dumps({"format": "fcnlab-points", "classes": classes}, ensure_ascii=False).encode()
        yield Assembly("points.json", (head[:-1] + b',\n"images": [\n', Spooled("points-json", b","), b"]}\n"))


def read_points_table(path: Path, options: ReadOptions) -> LabelSource:
    """The points of a table with the columns image, row, col and class, by image.

    Raises:
        ImportRefused: no such table.
    """
    try:
        lines = read_points_csv(path)
    except InvalidPoints as refusal:
        raise ImportRefused(str(refusal)) from refusal
    by_image: dict[str, list[TableLine]] = {}
    names: dict[str, int] = {}
    for line in lines:
        by_image.setdefault(line.values["image"], []).append(line)
        if name := _class_name(line, options):
            names.setdefault(name, len(names))

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for name, image_lines in by_image.items():
            try:
                yield _image(name, image_lines, names, options)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(tuple(FileClass(name) for name in names), len(by_image), read)


def _image(name: str, lines: list[TableLine], names: dict[str, int], options: ReadOptions) -> LabelledImage:
    notes, points = Notes(), []
    for line in lines:
        class_index = names.get(_class_name(line, options))
        if class_index is None:
            notes.add(f"the point in line {line.line} has no class: its pixel is unknown")
        else:
            points.append(_point(line, class_index))
    if not points:
        raise ImportRefused("; ".join(notes.lines[:3]))
    return LabelledImage(text(name, "an image"), None, None, tuple(points), notes)


def _class_name(line: TableLine, options: ReadOptions) -> str:
    """The name of the class; of one that has a number alone, the name that the project gives it."""
    named, class_id = line.values.get("class", "").strip(), id_in(line.values.get("class_id", ""))
    if named or not isinstance(class_id, int):
        return named or str(class_id or "")
    return options.names.get(class_id, str(class_id))


def _point(line: TableLine, class_index: int) -> FilePoint:
    row, col = (whole(line.values[key], f"{key} in line {line.line}") for key in ("row", "col"))
    return FilePoint(row, col, class_index)


def _find_table(folder: Path) -> Path | None:
    """The only table in a folder."""
    tables = files_below(folder, (".csv",))
    return tables[0] if len(tables) == 1 else None


FORMATS = (
    Format(
        "points",
        "Points CSV",
        "one line per labelled pixel",
        TABLES,
        310,
        needs=frozenset({Need.POINTS}),
        write=lambda _: PointsTable(),
        has_file_names=True,
        read=read_points_table,
        read_title="a CSV table of points",
        clues=(FileClue((".csv",), in_folders=False), FolderClue(80, _find_table)),
    ),
    Format(
        "points-json",
        "Points JSON",
        "labelled pixels of each image",
        TABLES,
        320,
        needs=frozenset({Need.POINTS}),
        write=lambda options: PointsJson(options.subject),
        has_file_names=True,
    ),
)
