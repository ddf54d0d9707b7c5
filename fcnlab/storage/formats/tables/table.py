"""Tables of comma-separated values, row by row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
"""How a cell begins that a spreadsheet takes for a formula, and one that was made harmless already."""

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")

_is_raw = False


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
