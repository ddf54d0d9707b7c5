from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.masks.binary_masks import read_binary_masks
from fcnlab.storage.formats.masks.colour_masks import read_colour_masks
from fcnlab.storage.formats.masks.root_painter import read_root_painter
from fcnlab.storage.formats.reading.detecting import detect
from fcnlab.storage.formats.reading.labelled import LabelSource
from fcnlab.storage.formats.reading.values import ReadOptions
from tests.support.label_bench import (
    HW,
    class_names,
    filled,
    named_mask,
    only_mask,
    readable,
    refusals,
    save_png,
)

Reader = Callable[[Path, ReadOptions], LabelSource]

COLOURS = {"#0072b2": "background", "#e69f00": "cell"}
EXPECTED = filled((np.s_[3:9], np.s_[5:20], "cell"))


def in_colour(channels: int = 3) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels = np.full((*HW, channels), 255, np.uint8)
    pixels[..., :3] = (0, 0x72, 0xB2)
    pixels[3:9, 5:20, :3] = (0xE6, 0x9F, 0)
    return pixels


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_are_classes(tmp_path: Path, channels: int) -> None:
    save_png(tmp_path / "sub" / "a.png", in_colour(channels))

    source = read_colour_masks(tmp_path, ReadOptions(colours=COLOURS))

    assert class_names(source) == ["background", "cell"]
    assert list(readable(source)) == ["sub/a"]
    assert np.array_equal(only_mask(source), EXPECTED)


def test_transparent_pixels_are_unknown(tmp_path: Path) -> None:
    pixels = in_colour(4)
    pixels[15:] = 0
    save_png(tmp_path / "a.png", pixels)

    mask = only_mask(read_colour_masks(tmp_path, ReadOptions(colours=COLOURS)))

    assert (mask[15:] == "").all()
    assert np.array_equal(mask[:15], EXPECTED[:15])


def test_strange_colours_refuse_their_mask_or_are_unknown(tmp_path: Path) -> None:
    pixels = in_colour()
    pixels[0, 0] = (1, 2, 3)
    save_png(tmp_path / "a.png", pixels)

    source = read_colour_masks(tmp_path, ReadOptions(colours=COLOURS))
    with pytest.raises(ImportRefused, match="colour #010203, which no class has"):
        only_mask(source)

    mask = only_mask(read_colour_masks(tmp_path, ReadOptions(colours=COLOURS, strange="unknown")))
    assert mask[0, 0] == ""
    assert np.array_equal(mask.ravel()[1:], EXPECTED.ravel()[1:])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "colour,name\n#0072B2,background\n#E69F00,cell\n"),
        ("t.csv", "name,r,g,b\nbackground,0,114,178\ncell,230,159,0\n"),
        ("t.json", '{"background": "#0072B2", "cell": [230, 159, 0]}'),
        ("t.json", '{"#0072b2": "background", "230, 159, 0": "cell"}'),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,114,178::\ncell:230,159,0::\n"),
    ],
)
def test_tables_of_colours_come_in_many_forms(tmp_path: Path, name: str, content: str) -> None:
    save_png(tmp_path / "a.png", in_colour())
    (tmp_path / name).write_text(content)

    assert np.array_equal(only_mask(read_colour_masks(tmp_path, ReadOptions(table=tmp_path / name))), EXPECTED)


def test_two_classes_of_one_colour_are_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", in_colour())
    (tmp_path / "classes.csv").write_text("colour,name\n#0072B2,one\n#0072b2,two\n")

    with pytest.raises(ImportRefused, match="two classes have the colour #0072b2"):
        read_colour_masks(tmp_path, ReadOptions())


def test_colours_without_names_are_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", in_colour())

    with pytest.raises(ImportRefused, match="name a table"):
        read_colour_masks(tmp_path, ReadOptions())


def black_and_white(rows: slice, cols: slice, white: int = 255) -> np.ndarray[Any, np.dtype[np.uint8]]:
    pixels = np.zeros(HW, np.uint8)
    pixels[rows, cols] = white
    return pixels


@pytest.mark.parametrize("white", [1, 255])
def test_what_is_not_black_is_foreground(tmp_path: Path, white: int) -> None:
    save_png(tmp_path / "train" / "a.png", black_and_white(np.s_[3:9], np.s_[5:20], white))

    source = read_binary_masks(tmp_path, ReadOptions())

    assert list(readable(source)) == ["a"]
    assert np.array_equal(only_mask(source), filled((np.s_[3:9], np.s_[5:20], "foreground")))


def test_a_folder_per_class_makes_one_mask_per_image(tmp_path: Path) -> None:
    save_png(tmp_path / "cell" / "x" / "a.png", black_and_white(np.s_[3:9], np.s_[5:20]))
    save_png(tmp_path / "debris" / "x" / "a.png", black_and_white(np.s_[7:12], np.s_[15:30]))
    save_png(tmp_path / "debris" / "b.png", black_and_white(np.s_[0:2], np.s_[0:2]))

    source = read_binary_masks(tmp_path, ReadOptions())

    assert class_names(source) == ["background", "cell", "debris"]
    found = readable(source)
    assert list(found) == ["x/a", "b"]
    assert np.array_equal(
        named_mask(source, found["x/a"]),
        filled((np.s_[3:9], np.s_[5:20], "cell"), (np.s_[7:12], np.s_[15:30], "debris")),
    )


def test_masks_of_a_class_that_differ_in_size_are_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "cell" / "a.png", black_and_white(np.s_[3:9], np.s_[5:20]))
    save_png(tmp_path / "debris" / "a.png", black_and_white(np.s_[3:9], np.s_[5:20])[:, 1:])

    with pytest.raises(ImportRefused, match="32 x 20 pixels"):
        only_mask(read_binary_masks(tmp_path, ReadOptions()))


def test_damaged_masks_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no")

    assert len(refusals(read_binary_masks(tmp_path, ReadOptions()))) == 1


@pytest.mark.parametrize(("photos", "masks"), [("images", "masks"), ("JPEGImages", "labels"), ("imgs", "train/mask")])
def test_pictures_next_to_their_masks_are_no_masks(tmp_path: Path, photos: str, masks: str) -> None:
    save_png(tmp_path / photos / "a.png", np.random.default_rng(0).integers(1, 255, HW).astype(np.uint8))
    save_png(tmp_path / masks / "a.png", black_and_white(np.s_[3:9], np.s_[5:20]))

    source = read_binary_masks(tmp_path, ReadOptions())

    assert detect(tmp_path).format.name == "binary"
    assert np.array_equal(only_mask(source), filled((np.s_[3:9], np.s_[5:20], "foreground")))


def test_masks_in_a_folder_called_images_are_masks_where_nothing_else_is(tmp_path: Path) -> None:
    save_png(tmp_path / "images" / "a.png", black_and_white(np.s_[3:9], np.s_[5:20]))

    assert read_binary_masks(tmp_path, ReadOptions()).total == 1


@pytest.mark.parametrize("read", [read_binary_masks, read_root_painter])
def test_a_part_of_another_size_is_refused_before_it_is_decoded(tmp_path: Path, read: Reader) -> None:
    strokes = np.zeros((*HW, 4), np.uint8)
    save_png(tmp_path / "cell" / "annotations" / "a.png", strokes)
    large = save_png(tmp_path / "debris" / "annotations" / "a.png", strokes[1:])
    large.write_bytes(large.read_bytes()[:45])  # the size is there, the pixels are not

    source = read(tmp_path, ReadOptions())
    (image,) = readable(source).values()

    assert image.mask is not None
    with pytest.raises(ImportRefused, match="33 x 19 pixels"):
        image.mask(HW)
