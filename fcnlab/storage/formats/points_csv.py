"""Points as a table of comma-separated values, and back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fcnlab.errors import InvalidPoints
from fcnlab.storage.exports.table import csv_lines, text_of_cell

COLUMNS = ("image", "row", "col", "class_id", "class", "labeller", "source", "created_at")
REQUIRED = ("image", "row", "col")
SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write instead of commas."""


PointRow = tuple[str, int, int, int, str, str, str, str]


@dataclass(frozen=True, slots=True)
class PointLine:
    """One line of the table, as text; `line` is its number in the file, the header being line 1."""

    line: int
    values: dict[str, str]


def points_csv(rows: Iterable[PointRow]) -> bytes:
    """UTF-8 bytes of the table with a header; values in the order of COLUMNS."""
    return csv_lines([COLUMNS, *rows])


def read_points_csv(path: Path) -> tuple[PointLine, ...]:
    """The lines of a table with a header.

    Raises:
        InvalidPoints: the file cannot be read, or its header lacks a column or has an unknown one.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidPoints(f"{path} cannot be read ({failure}); save the table as UTF-8 text") from failure
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        _refuse_header(header, path)
        return tuple(
            PointLine(reader.line_num, dict(zip(header, _as_wide(row, header, reader.line_num, path), strict=True)))
            for row in reader
            if row
        )
    except csv.Error as failure:
        raise InvalidPoints(f"{path}, line {reader.line_num}: {failure}; save the table as CSV again") from failure


def _refuse_header(header: list[str], path: Path) -> None:
    other = next((word for mark, word in SEPARATORS.items() if len(header) == 1 and mark in header[0]), None)
    if other is not None:
        raise InvalidPoints(f"{path}, line 1: {other} separate the columns; save the table with commas")
    missing = [name for name in REQUIRED if name not in header]
    if "class" not in header and "class_id" not in header:
        missing.append("class")
    if missing:
        raise InvalidPoints(
            f"{path}, line 1: the header lacks {', '.join(missing)}; wanted {','.join(COLUMNS)} "
            "(class or class_id; labeller, source and created_at may be left out)"
        )
    unknown = [name for name in header if name not in COLUMNS]
    doubled = [name for name in header if header.count(name) > 1]
    if unknown or doubled:
        raise InvalidPoints(f"{path}, line 1: the column {(unknown + doubled)[0]!r} is unknown or named twice")


def _as_wide(row: list[str], header: list[str], line: int, path: Path) -> list[str]:
    if len(row) != len(header):
        raise InvalidPoints(f"{path}, line {line}: {len(row)} values, the header has {len(header)}")
    return [text_of_cell(cell) for cell in row]
