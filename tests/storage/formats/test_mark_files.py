"""Point files beside images: every form that is read, and words for what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fcnlab.errors import ImportRefused, InvalidPoints
from fcnlab.storage.formats.tables.mark_files import Mark, MarkFiles

WANTED = (Mark(2, 1, "object"), Mark(7, 30, "object"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "[[1.0, 2.7], [30, 7]]"),
        ("a.png.json", '[{"x": 1, "y": 2}, {"x": "30", "y": "7"}]'),
        ("a.json", '{"points": [[1, 2], [30, 7]]}'),
        ("a.csv", "x,y\n1,2\n30,7\n"),
        ("a.csv", "1.0,2.0\n30,7\n"),
        ("a.csv", "\ufeffrow;col\r\n2;1\r\n7;30\r\n"),
        ("a.txt", " \tX\tY\n1\t1.5\t2.5\n2\t30\t7\n"),
    ],
)
def test_a_file_of_points_is_read_in_every_form(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")

    assert MarkFiles(tmp_path).marks("folder/a.png") == WANTED


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("all.csv", "image,x,y,class\na.png,1,2,\na.png,30,7,\nb.png,1,1,tree\nc.png,,,\n"),
        ("all.json", '{"a": [[1, 2], [30, 7]], "b.png": [[1, 1, "tree"]], "c": []}'),
    ],
)
def test_one_file_tells_the_points_of_all_images(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    found = MarkFiles(tmp_path / name)

    assert found.marks("a.png") == WANTED
    assert found.marks("b.png") == (Mark(1, 1, "tree"),)
    assert found.marks("c.png") == ()
    assert found.marks("d.png") is None


def test_rows_and_columns_are_centres_of_pixels_as_in_the_tables_of_objects(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("row,col\n1.6,30.4\n0,-0.3\n")
    (tmp_path / "b.json").write_text('[{"row": 1.6, "col": 30.4}, {"x": 30.4, "y": 1.6}]')
    known = MarkFiles(tmp_path)

    assert known.marks("a.png") == (Mark(2, 30, "object"), Mark(0, 0, "object"))
    assert known.marks("b.png") == (Mark(2, 30, "object"), Mark(1, 30, "object"))


def test_an_empty_file_says_that_the_image_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    (tmp_path / "b.json").write_text("[]")
    found = MarkFiles(tmp_path)

    assert found.marks("a.png") == found.marks("b.tif") == ()
    assert found.marks("c.png") is None


def test_files_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    for folder, content in (("left", "[[1, 2], [30, 7]]"), ("right", "[]")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.json").write_text(content)
    found = MarkFiles(tmp_path)

    assert found.marks("left/a.png") == WANTED
    assert found.marks("right/a.png") == ()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "[[1, 2", "cannot be read as JSON"),
        ("a.json", '"points"', "holds no list of points"),
        ("a.json", "[[1]]", r"a.json, point 1 is '\[1\]': wanted \[x, y\]"),
        ("a.json", '[[1, 2], ["x", 2]]', "a.json, point 2 lies at x 'x', y '2'"),
        ("a.json", "[[1, NaN]]", "wanted two numbers"),
        ("a.csv", "x,z\n1,2\n", "has no column 'y'"),
        ("a.csv", "x,y\n1\n", "a.csv, point 1"),
    ],
)
def test_what_is_no_point_is_named(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)

    with pytest.raises(InvalidPoints, match=words):
        MarkFiles(tmp_path).marks("a.png")


def test_a_place_without_points_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="holds no point files"):
        MarkFiles(tmp_path)
    with pytest.raises(ImportRefused, match="there is no"):
        MarkFiles(tmp_path / "away")


def test_a_class_called_nought_is_a_class(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"x": 1, "y": 2, "class": 0}, {"x": 3, "y": 4, "class": ""}]')

    assert MarkFiles(tmp_path).marks("a.png") == (Mark(2, 1, "0"), Mark(4, 3, "object"))


def test_a_cell_too_long_for_a_table_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f'x,y\n"{"1" * 140_000}",2\n')

    with pytest.raises(InvalidPoints, match=r"a\.csv is no table"):
        MarkFiles(tmp_path).marks("a.png")
