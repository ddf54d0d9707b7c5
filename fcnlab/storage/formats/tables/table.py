"""Tables of comma-separated values, row by row."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fcnlab.errors import FcnlabError

FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet takes for a formula, and one that was made harmless already."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

SEPARATORS = {";": "semicolons", "\t": "tabs"}
"""What spreadsheets write instead of commas."""

_is_raw = False


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line of a table, as text; `line` is its number in the file, the header being line 1."""

    line: int
    values: dict[str, str]


def write_raw(is_raw: bool) -> None:
    """Whether tables that this process writes from now on hold every cell as it is; see FCNLAB_CSV_RAW."""
    global _is_raw
    _is_raw = is_raw


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 bytes of rows, each ended by a line break.

    A text that a spreadsheet would compute gets an apostrophe before it, which spreadsheets do not show; numbers stay
    numbers. `text_of_cell` takes it away again.
    """
    lines = _Lines()
    csv.writer(lines, lineterminator="\r\n").writerows([_harmless(cell) for cell in row] for row in rows)
    return "".join(lines.made).encode()


def text_of_cell(cell: str) -> str:
    """What was written into a cell that `csv_lines` made."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read_lines(
    path: Path, *, check_header: Callable[[list[str]], None], error: type[FcnlabError]
) -> tuple[TableLine, ...]:
    """The lines of a UTF-8 table with a header.

    Args:
        check_header: raises `error` for names of columns that it cannot do with, without saying where.

    Raises:
        error: the file cannot be read, a line has not as many values as the header, or its columns are refused.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as failure:
        raise error(f"{path} cannot be read ({failure}); save the table as UTF-8 text") from failure
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        other = next((word for mark, word in SEPARATORS.items() if len(header) == 1 and mark in header[0]), None)
        if other is not None:
            raise error(f"{path}, line 1: {other} separate the columns; save the table with commas")
        doubled = [name for name in header if header.count(name) > 1]
        if doubled:
            raise error(f"{path}, line 1: the column {doubled[0]!r} is named twice")
        try:
            check_header(header)
        except error as refusal:
            raise error(f"{path}, line 1: {refusal}") from refusal
        lines = []
        for row in reader:
            if row and len(row) != len(header):
                raise error(f"{path}, line {reader.line_num}: {len(row)} values, the header has {len(header)}")
            if row:
                values = dict(zip(header, map(text_of_cell, row), strict=True))
                lines.append(TableLine(reader.line_num, values))
        return tuple(lines)
    except csv.Error as failure:
        raise error(f"{path}, line {reader.line_num}: {failure}; save the table as CSV again") from failure


class _Lines:
    """Takes the rows of a writer that quotes cells with either half of its line break, and ends them by one half."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def write(self, line: str) -> None:
        self.made.append(line.removesuffix("\r\n") + "\n")


def _harmless(cell: object) -> object:
    if _is_raw or not isinstance(cell, str) or not FORMULA.match(cell) or NUMBER.fullmatch(cell):
        return cell
    return f"'{cell}"
