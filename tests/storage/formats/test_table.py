"""Tables that a spreadsheet opens: no cell of ours is computed there, and each is read back as it was."""

from __future__ import annotations

import ast
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcnlab.storage.formats.tables.points import points_csv, read_points_csv
from fcnlab.storage.formats.tables.table import csv_lines, text_of_cell, write_raw
from tests.support.paths import ROOT

PACKAGE = ROOT / "fcnlab"
FORMULAS = [
    "=1+1",
    "=cmd|' /C calc'!A1",
    "+1+cmd",
    "-1+1",
    "-cell",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'=1",
    "''+x",
    "-",
    "--5",
    "-5 cells",
    "＝1",
]
HARMLESS = ["cell", "a=b", "5", "-5", "+5", "-1.5e-3", "-.5", "1.", "", "'cell", "'", " -", "über"]


@pytest.fixture(autouse=True)
def not_raw() -> Iterator[None]:
    yield
    write_raw(False)


def cells(data: bytes) -> list[str]:
    return next(csv.reader(io.StringIO(data.decode(), newline="")))


@pytest.mark.parametrize("text", FORMULAS)
def test_a_text_that_begins_like_a_formula_is_none_and_comes_back(text: str) -> None:
    (cell,) = cells(csv_lines([[text]]))

    assert cell == f"'{text}"
    assert text_of_cell(cell) == text


@pytest.mark.parametrize("value", [*HARMLESS, 5, -5, -1.5, None])
def test_everything_else_stays_as_it_is(value: object) -> None:
    (cell,) = cells(csv_lines([[value, "end"]]))[:1]

    assert cell == ("" if value is None else str(value))
    assert text_of_cell(cell) == cell


def test_a_setting_leaves_tables_raw() -> None:
    write_raw(True)

    assert cells(csv_lines([FORMULAS])) == FORMULAS


@pytest.mark.parametrize("name", [*(text for text in FORMULAS if text != "\rx"), *HARMLESS[:1]])
def test_points_of_names_like_formulas_are_read_back(tmp_path: Path, name: str) -> None:
    path = tmp_path / "points.csv"
    path.write_bytes(points_csv([(name, 1, 2, 0, name, name, "click", "2026-01-01")]))

    (line,) = read_points_csv(path)

    assert [line.values[key] for key in ("image", "class", "labeller")] == [name] * 3


def test_no_table_is_written_elsewhere() -> None:
    writers = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "storage" / "formats" / "tables" / "table.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("writer", "DictWriter", "to_csv")
    ]

    assert writers == []
