"""The points of a survey as a table of comma-separated values, to be answered there, and back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fcnlab.errors import InvalidSurvey
from fcnlab.storage.formats.tables.table import TableLine, csv_lines, read_lines

COLUMNS = ("image", "row", "col", "class", "stratum", "labeller", "answered_at")
REQUIRED = ("image", "row", "col", "class")

UNKNOWN = "?"
"""The class of an answer "don't know"; an empty one is no answer."""

AnswerRow = tuple[str, int, int, str, str, str, str]
"""Values in the order of COLUMNS."""


def answers_csv(rows: Iterable[AnswerRow]) -> bytes:
    """UTF-8 bytes of the table with a header."""
    return csv_lines([COLUMNS, *rows])


def read_answers_csv(path: Path) -> tuple[TableLine, ...]:
    """The lines of a table with a header; columns that are not required may be left out.

    Raises:
        InvalidSurvey: the file cannot be read, or its header lacks a column or has an unknown one.
    """
    return read_lines(path, check_header=_refuse_header, error=InvalidSurvey)


def _refuse_header(header: list[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise InvalidSurvey(f"the header lacks {', '.join(missing)}; wanted {','.join(REQUIRED)}")
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        raise InvalidSurvey(f"the column {unknown[0]!r} is unknown; there may be {', '.join(COLUMNS)}")
