"""Marked objects of image files: a point file beside each image, or one table for all.

A JSON file holds `[[x, y], ...]`, or objects with `x`, `y` and perhaps `class`; one for all images maps their names to
such lists. A CSV file has the columns x and y (or col and row), perhaps `class`, and `image` where it is for all. x
counts columns, y rows, from the upper left corner; where the columns are called col and row, as in the tables this
project writes, whole numbers are centres of pixels instead. A file without points says that its image is empty.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from fcnlab.errors import ImportRefused, InvalidPoints
from fcnlab.storage.formats.reading.values import name_in
from fcnlab.storage.formats.tables.table import text_of_cell

SUFFIXES = (".json", ".csv", ".tsv", ".txt")
ONE_CLASS = "object"
"""Class of points that name none."""

IMAGE_COLUMNS = ("image", "name", "file", "filename")
X_COLUMNS, Y_COLUMNS = ("x", "col", "column"), ("y", "row")
CENTRED = ("col", "column", "row")
"""Under these names whole numbers are centres of pixels, and not their upper left corners."""

CLASS_COLUMNS = ("class", "label", "type")


@dataclass(frozen=True, slots=True)
class Mark:
    """One marked object: the pixel of the upright image that holds it, and the name of its class."""

    row: int
    col: int
    name: str


class MarkFiles:
    """Finds and reads the marks of images by their names.

    Args:
        path: a folder of point files called after the images (`a.json` or `a.png.json` for `a.png`), or one file.

    Raises:
        ImportRefused: there is no such folder or file, or it holds no points.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files: dict[str, list[Path]] = {}
        self._table: dict[str, list[Any]] | None = None
        if path.is_dir():
            files = (
                candidate
                for candidate in sorted(path.rglob("*"))
                if candidate.suffix.lower() in SUFFIXES and candidate.is_file()
            )
            for file in files:
                for name in dict.fromkeys((file.relative_to(path).with_suffix("").as_posix(), file.stem)):
                    self._files.setdefault(name, []).append(file)
            if not self._files:
                raise ImportRefused(f"{path} holds no point files ({', '.join(SUFFIXES)}): name the folder they are in")
        elif path.is_file():
            self._table = _table(path)
        else:
            raise ImportRefused(f"there is no {path}: name a folder of point files, or one file")

    def marks(self, name: str) -> tuple[Mark, ...] | None:
        """The marks of an image of that name, perhaps below folders; None when nothing is said about it.

        Raises:
            InvalidPoints: a file that does not say where points are.
        """
        source = self.source(name)
        if source is None:
            return None
        if self._table is not None:
            return _marks(self._table[source], f"{self._path.name}, {name}")
        return _marks(_entries(self._path / source), Path(source).name)

    def source(self, name: str) -> str | None:
        """What says where the marks of an image are: a file below the folder, or a name in the one file."""
        names = _names_of(name)
        if self._table is not None:
            return next((candidate for candidate in names if candidate in self._table), None)
        files = next((self._files[candidate] for candidate in names if candidate in self._files), [])
        if len(files) > 1:
            listed = ", ".join(file.relative_to(self._path).as_posix() for file in files[:3])
            raise InvalidPoints(
                f"{listed} may all be the points of {name}: lay the images in folders of the same names, or keep one"
            )
        return files[0].relative_to(self._path).as_posix() if files else None


def _names_of(name: str) -> list[str]:
    path = PurePosixPath(name)
    names = [name, path.with_suffix("").as_posix(), path.name, path.stem]
    return list(dict.fromkeys(names))


def _entries(path: Path) -> list[Any]:
    """The points of a file of one image."""
    if path.suffix.lower() == ".json":
        values = _json(path)
        if isinstance(values, Mapping):
            values = values.get("points", values)
        if not isinstance(values, list):
            raise InvalidPoints(f"{path.name} holds no list of points: wanted [[x, y], ...]")
        return values
    return [line for _, line in _lines(path, needs_image=False)]


def _table(path: Path) -> dict[str, list[Any]]:
    """The points of a file of all images, by image."""
    if path.suffix.lower() == ".json":
        values = _json(path)
        if not isinstance(values, Mapping) or not all(isinstance(points, list) for points in values.values()):
            raise ImportRefused(f'{path.name} is no table of all images: wanted {{"image": [[x, y], ...], ...}}')
        return {str(name): list(points) for name, points in values.items()}
    by_image: dict[str, list[Any]] = {}
    for image, line in _lines(path, needs_image=True):
        lines = by_image.setdefault(image, [])
        if line:
            lines.append(line)
    return by_image


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as failure:
        raise InvalidPoints(f"{path.name} cannot be read as JSON ({str(failure)[:100]}): save it again") from failure


def _lines(path: Path, *, needs_image: bool) -> list[tuple[str, dict[str, str]]]:
    """(image, values) of every line; a line of a table that names an image and no place says that it is empty."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidPoints(f"{path.name} cannot be read ({str(failure)[:100]}): save it as UTF-8") from failure
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(cell.strip() for cell in row)]
    except csv.Error as failure:
        raise InvalidPoints(f"{path.name} is no table ({failure}): wanted lines of x, y") from failure
    if not rows:
        return []
    header = [cell.strip().lower() for cell in rows[0]]
    if not needs_image and _is_number(header[0]):  # no header: x, y
        header, rows = ["x", "y", "class"], [[], *rows]
    columns = {
        key: next((header.index(column) for column in names if column in header), -1)
        for key, names in (("image", IMAGE_COLUMNS), ("x", X_COLUMNS), ("y", Y_COLUMNS), ("class", CLASS_COLUMNS))
    }
    missing = [key for key in ("x", "y", *(["image"] if needs_image else [])) if columns[key] < 0]
    if missing:
        raise InvalidPoints(f"{path.name} has no column {missing[0]!r}: its first line names {', '.join(header)[:100]}")
    lines = []
    for row in rows[1:]:
        values = {
            header[index] if key in ("x", "y") else key: text_of_cell(row[index].strip())
            for key, index in columns.items()
            if 0 <= index < len(row)
        }
        image = values.pop("image", "")
        lines.append((image, values if any(values.values()) else {}))
    return lines


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _marks(entries: Sequence[Any], what: str) -> tuple[Mark, ...]:
    return tuple(_mark(entry, f"{what}, point {number}") for number, entry in enumerate(entries, start=1))


def _mark(entry: Any, what: str) -> Mark:
    if isinstance(entry, Mapping):
        (x, right), (y, down) = (
            next(((entry[column], 0.5 * (column in CENTRED)) for column in names if column in entry), (None, 0.0))
            for names in (X_COLUMNS, Y_COLUMNS)
        )
        name = next((entry[column] for column in CLASS_COLUMNS if entry.get(column) not in (None, "")), ONE_CLASS)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) in (2, 3):
        x, y, name = (*entry, ONE_CLASS) if len(entry) == 2 else entry
        right = down = 0.0
    else:
        raise InvalidPoints(f"{what} is {str(entry)[:60]!r}: wanted [x, y]")
    try:
        col, row = float(x), float(y)  # type: ignore[arg-type]
        return Mark(math.floor(row + down), math.floor(col + right), " ".join(name_in(name).split())[:100] or ONE_CLASS)
    except (TypeError, ValueError, OverflowError) as failure:
        raise InvalidPoints(f"{what} lies at x {str(x)[:30]!r}, y {str(y)[:30]!r}: wanted two numbers") from failure
