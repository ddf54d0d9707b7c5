"""Tables of comma-separated values, row by row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence


def csv_lines(rows: Iterable[Sequence[object]]) -> bytes:
    """UTF-8 bytes of rows, each ended by a line break."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
