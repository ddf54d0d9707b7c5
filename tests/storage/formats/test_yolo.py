from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.detecting import detect
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.yolo import read_yolo
from tests.support.label_bench import (
    HW,
    assert_refused_in_one_line,
    class_names,
    filled,
    named_mask,
    only_mask,
    readable,
    refusals,
)

NAMES = "path: /somewhere/else\ntrain: images/train\nnames: [cell, debris]\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def shares(*corners: tuple[float, float]) -> str:
    return " ".join(f"{x / HW[1]:.9f} {y / HW[0]:.9f}" for x, y in corners)


def test_polygons_are_shares_of_width_and_height(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", NAMES)
    lines = f"0 {shares((4, 5), (9, 5), (9, 12), (4, 12))}\n\n1 {shares((7, 8), (20, 8), (20, 15), (7, 15))}\n"
    write(tmp_path / "labels" / "train" / "a.txt", lines)

    source = read_yolo(tmp_path, ReadOptions())

    assert class_names(source) == ["background", "cell", "debris"]
    assert list(readable(source)) == ["train/a"]
    assert readable(source)["train/a"].hw is None
    assert np.array_equal(
        only_mask(source), filled((np.s_[5:12], np.s_[4:9], "cell"), (np.s_[8:15], np.s_[7:20], "debris"))
    )


def test_five_numbers_are_a_box_about_its_middle(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "cell\ndebris\n")
    write(tmp_path / "a.txt", f"1 {shares((12, 9), (10, 4))}\n")

    source = read_yolo(tmp_path, ReadOptions())

    assert np.array_equal(only_mask(source), filled((np.s_[7:11], np.s_[7:17], "debris")))


def test_an_empty_file_says_that_nothing_is_there(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "cell\n")
    write(tmp_path / "a.txt", "")

    assert (only_mask(read_yolo(tmp_path, ReadOptions())) == "background").all()


def test_the_yaml_itself_will_do(tmp_path: Path) -> None:
    table = write(tmp_path / "data.yaml", "names: {0: cell, 5: debris}\n")
    write(tmp_path / "valid" / "labels" / "a.txt", f"5 {shares((4, 5), (9, 5), (9, 12))}\n")

    source = read_yolo(table, ReadOptions())

    assert class_names(source) == ["background", "cell", "debris"]
    assert list(readable(source)) == ["valid/a"]
    assert (named_mask(source, readable(source)["valid/a"]) == "debris").any()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("9 0.1 0.1 0.2 0.2", "class 9; the table of classes ends at 1"),
        ("-1 0.1 0.1 0.2 0.2", "the class in a.txt, line 1"),
        ("cell 0.1 0.1 0.2 0.2", "wanted a number"),
        ("0 0.1 0.1 0.2", "3 coordinates"),
        ("0 0.1 0.1 0.2 0.2 0.3", "5 coordinates"),
        ("0 0.1 0.1 0.2 nan", "wanted a number"),
        ("0 0.1 0.1 0.2 1e300 0.3 0.3", "far outside"),
        ("0 0.5 0.5 -0.2 0.2", "negative size"),
        ("0 \x00", "a coordinate in a.txt, line 1"),
    ],
)
def test_what_is_wrong_with_a_line_is_said_in_one_line(tmp_path: Path, line: str, reason: str) -> None:
    write(tmp_path / "classes.txt", "cell\ndebris\n")
    write(tmp_path / "a.txt", line)
    source = read_yolo(tmp_path, ReadOptions())

    assert_refused_in_one_line(source, reason)


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    write(tmp_path / "classes.txt", "cell\n")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe\x00")

    assert refusals(read_yolo(tmp_path, ReadOptions())) == ["a: a.txt is no text in UTF-8; export it again"]


def test_labels_without_names_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2")

    with pytest.raises(ImportRefused, match=r"data\.yaml or classes\.txt"):
        read_yolo(tmp_path, ReadOptions())


def test_files_about_the_data_set_are_no_labels_and_its_table_may_lie_two_folders_above(tmp_path: Path) -> None:
    for name in ("README.dataset.txt", "README.roboflow.txt"):
        (tmp_path / name).write_text("# cells\n\nProvided by somebody\n")
    (tmp_path / "data.yaml").write_text("names: [cell]\n")
    (tmp_path / "train" / "labels").mkdir(parents=True)
    (tmp_path / "train" / "labels" / "a.txt").write_text("0 0.5 0.5 0.25 0.25\n")

    whole, inner = (read_yolo(one, ReadOptions()) for one in (tmp_path, tmp_path / "train" / "labels"))

    assert [list(readable(one)) for one in (whole, inner)] == [["train/a"], ["a"]]
    assert refusals(whole) == []


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("kpt_shape: [2, 3]\n", "0.5 0.5 2 0.75 0.5 2"),
        ("kpt_shape: [2, 2]\n", "0.5 0.5 0.75 0.5"),
        ("kpt_shape: [2, 3]\n", "0.5 0.5 0 0.75 0.5 0 4"),
        ("", "0.5 0.5 2 0.75 0.5 1"),
        ("", "7"),
        ("", "0.93 12"),
    ],
)
def test_key_points_and_tracks_behind_a_box_are_no_corners(tmp_path: Path, table: str, line: str) -> None:
    write(tmp_path / "data.yaml", NAMES + table)
    write(tmp_path / "labels" / "a.txt", f"1 {shares((12, 9), (10, 4))} {line}\n")

    assert np.array_equal(only_mask(read_yolo(tmp_path, ReadOptions())), filled((np.s_[7:11], np.s_[7:17], "debris")))


def test_a_line_that_lacks_a_key_point_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", NAMES + "kpt_shape: [2, 3]\n")
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.2 0.5 0.5 2 0.7\n")

    assert_refused_in_one_line(read_yolo(tmp_path, ReadOptions()), "6 of key points")


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("names: {0: no, 1: yes}", ["no", "yes"]),
        ("names: [no, yes]", ["no", "yes"]),
        ("names: {0: 1, 1: 2}", ["1", "2"]),
        ("names: [1, 2]", ["1", "2"]),
        ("names:\n  0: 01\n  1: 1e3", ["01", "1e3"]),
        ("names: [2024-01-01, null]", ["2024-01-01", "null"]),
    ],
)
def test_names_are_the_text_of_the_file_and_ids_its_keys(tmp_path: Path, table: str, names: list[str]) -> None:
    write(tmp_path / "data.yaml", table)
    write(tmp_path / "labels" / "a.txt", f"1 {shares((12, 9), (10, 4))}\n")

    source = read_yolo(tmp_path, ReadOptions())

    assert class_names(source) == ["background", *names]
    assert np.array_equal(only_mask(source), filled((np.s_[7:11], np.s_[7:17], names[1])))


@pytest.mark.parametrize("line", ["1.0 {}", "\ufeff1 {}  \r\n\r\n", "1, {}"])
@pytest.mark.parametrize("mark", [" ", ", "])
def test_numbers_are_read_however_they_are_parted(tmp_path: Path, line: str, mark: str) -> None:
    write(tmp_path / "data.yaml", NAMES)
    write(tmp_path / "labels" / "a.txt", line.format(mark.join(shares((12, 9), (10, 4)).split())))

    assert detect(tmp_path).format.name == "yolo"
    assert np.array_equal(only_mask(read_yolo(tmp_path, ReadOptions())), filled((np.s_[7:11], np.s_[7:17], "debris")))


def test_pixels_in_place_of_shares_are_refused_with_their_line(tmp_path: Path) -> None:
    write(tmp_path / "data.yaml", NAMES)
    write(tmp_path / "labels" / "a.txt", "1 0.5 0.5 0.2 0.2\n1 60 50 40 20\n")

    assert_refused_in_one_line(read_yolo(tmp_path, ReadOptions()), "a.txt, line 2 has the coordinate 60")
