"""One contract on all readers: what was marked never becomes background, and a line says what was not read, and why.

The same awkward files in the clothes of every format. A reader may leave pixels unknown or leave the image out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnlab
from tests.support.label_bench import HW, save_png
from tests.support.reader_contract import (
    AWKWARD,
    GOOD,
    THE_GOOD,
    WRITERS,
    Mark,
    assert_named,
    corners_of,
    read,
)

OUTSIDE = [(x + 30, y) for x, y in corners_of(AWKWARD)]
FAR = [(x + 3000, y) for x, y in corners_of(AWKWARD)]
TINY = [(6.1, 5.1), (6.3, 5.1), (6.3, 5.3), (6.1, 5.3)]

AWKWARD_MARKS = {
    "of a kind that is not read": Mark(is_read=False),
    "without a class": Mark(label=None),
    "of a class that is not declared": Mark(label="ghost"),
    "of one corner": Mark([(6, 5)]),
    "of two corners": Mark([(6, 5), (9, 5)]),
    "of a line": Mark([(6, 5), (9, 5), (7, 5)]),
    "far outside": Mark(FAR),
    "beside the image": Mark(OUTSIDE),
    "smaller than a pixel": Mark(TINY),
}
CANNOT = {
    *(("without a class", one) for one in ("yolo",)),
    *(("of a class that is not declared", one) for one in ("labelme", "labelstudio", "cvat", "voc")),
    ("of a kind that is not read", "cityscapes"),
    ("of two corners", "yolo"),  # four numbers are a box there
    ("of one corner", "yolo"),
}
"""What a format has no way to write, or writes as something else."""

CASES = [(kind, name) for kind in AWKWARD_MARKS for name in WRITERS if (kind, name) not in CANNOT]


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_mark_that_cannot_be_read_is_never_background_and_is_named(tmp_path: Path, kind: str, name: str) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD, AWKWARD_MARKS[kind]], HW)

    found = read(path)

    assert_named(found.lines, "a")
    for mask in found.masks.values():
        assert (mask[GOOD] != "background").all()
        marked = mask[5, 6] if "smaller" in kind else mask[AWKWARD]
        if kind in ("of a kind that is not read", "without a class", "of a class that is not declared"):
            assert (marked == "").all()
        elif "smaller" in kind:
            assert marked == ""


@pytest.mark.parametrize(
    ("kind", "name"),
    [case for case in CASES if case[0] in ("of one corner", "of two corners", "of a line", "beside the image")],
)
def test_pieces_without_pixels_are_dropped_and_the_rest_of_the_image_stays(
    tmp_path: Path, kind: str, name: str
) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD, AWKWARD_MARKS[kind]], HW)

    found = read(path)

    (mask,) = found.masks.values()
    assert (mask[GOOD] == ("car" if name == "cityscapes" else "cell")).all()
    assert (mask[AWKWARD] == ("" if name == "cityscapes" else "background")).all()
    assert len(found.lines) == 1


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "voc", "cityscapes"])
def test_an_image_in_which_nobody_drew_anything_is_left_out(tmp_path: Path, name: str) -> None:
    found = read(WRITERS[name](tmp_path, [], HW))

    assert found.masks == {}
    assert_named(found.lines, "a", "nobody marked anything")


@pytest.mark.parametrize("name", ["yolo", "labelstudio"])
def test_a_format_that_says_an_image_is_empty_is_believed(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, [], HW)
    if name == "labelstudio":
        save_png(tmp_path / "images" / "a.png", np.zeros((*HW, 3), np.uint8))
    with fcnlab.read_labels(path, rest="background", images=tmp_path / "images") as labels:
        ((_, mask),) = labels.masks

    assert labels.classes == (("background", "cell") if name == "yolo" else ("background",))
    assert not mask.any()


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path, [THE_GOOD], HW)
    (file,) = [one for one in tmp_path.rglob("*") if one.suffix in (".json", ".xml", ".txt")]
    text = file.read_text()
    file.write_text(text.rpartition(" ")[0] if name == "yolo" else text[: len(text) * 3 // 4])

    found = read(path)

    assert found.masks == {}
    assert_named(found.lines, file.name)


@pytest.mark.parametrize("name", [one for one in WRITERS if one != "cityscapes"])
@pytest.mark.parametrize("label", ["no", "1", "01", "2024-01-01", "1e3"])
def test_names_are_texts_whatever_they_look_like(tmp_path: Path, name: str, label: str) -> None:
    path = WRITERS[name](tmp_path, [Mark(label=label), THE_GOOD], HW)

    found = read(path)

    (mask,) = found.masks.values()
    assert (mask[AWKWARD] == label).all()
    assert (mask[GOOD] == "cell").all()
    assert found.lines == []


@pytest.mark.parametrize("name", ["labelme", "labelstudio"])
@pytest.mark.parametrize(("label", "text"), [(1, "1"), (1.0, "1"), (True, "true")])
def test_numbers_and_truth_values_are_names_too(tmp_path: Path, name: str, label: Any, text: str) -> None:
    found = read(WRITERS[name](tmp_path, [Mark(label=label)], HW))

    (mask,) = found.masks.values()
    assert (mask[AWKWARD] == text).all()


@pytest.mark.parametrize("name", WRITERS)
def test_byte_order_marks_and_windows_newlines_change_nothing(tmp_path: Path, name: str) -> None:
    marks = [Mark(), THE_GOOD]
    (tmp_path / "plain").mkdir()
    (tmp_path / "windows").mkdir()
    plain, windows = (WRITERS[name](tmp_path / one, marks, HW) for one in ("plain", "windows"))
    for file in windows.rglob("*") if windows.is_dir() else [windows]:
        if file.suffix in (".json", ".xml", ".txt", ".yaml"):
            text = file.read_text().replace(", ", ",\n") if file.suffix == ".json" else file.read_text()
            file.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    (mask,), (same,) = read(plain).masks.values(), read(windows).masks.values()

    assert np.array_equal(mask, same)
    assert (mask[AWKWARD] != "background").all()


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "voc", "cityscapes"])
def test_a_size_of_nought_is_unsaid(tmp_path: Path, name: str) -> None:
    save_png(tmp_path / "pictures" / "a.png", np.zeros((*HW, 3), np.uint8))
    (tmp_path / "in").mkdir()
    path = WRITERS[name](tmp_path / "in", [THE_GOOD], (0, 0))

    with fcnlab.read_labels(path, rest="background", images=tmp_path / "pictures") as labels:
        ((_, mask),) = labels.masks

    assert mask.shape == HW
    assert len(np.unique(mask[GOOD])) == 1
