from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.masks.index_masks import read_index_masks
from fcnlab.storage.formats.reading.values import ReadOptions
from tests.support.label_bench import (
    HW,
    class_names,
    filled,
    named_mask,
    only_mask,
    readable,
    refusals,
    save_json,
    save_png,
)

NAMES = {0: "background", 1: "nucleus", 7: "membrane"}
OPTIONS = ReadOptions(names=NAMES)
NAMED = ReadOptions(names={0: "background", 1: "cell"})


def values() -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = np.zeros(HW, np.uint8)
    mask[3:9, 5:20], mask[10:, 25:], mask[:2] = 1, 7, 255
    return mask


def expected() -> np.ndarray[Any, Any]:
    return np.array(["background", "nucleus", *[""] * 5, "membrane", *[""] * 248])[values()]


def test_values_are_classes_and_255_says_nothing(tmp_path: Path) -> None:
    save_png(tmp_path / "train" / "a.png", values())
    save_png(tmp_path / "val" / "a.png", values())

    source = read_index_masks(tmp_path, OPTIONS)

    assert class_names(source) == ["background", "nucleus", "membrane"]
    assert list(readable(source)) == ["train/a", "val/a"]
    assert all(one.hw == HW for one in readable(source).values())
    for image in readable(source).values():
        assert np.array_equal(named_mask(source, image), expected())


def test_palettes_keep_their_places_and_colour_the_classes(tmp_path: Path) -> None:
    palette = [0, 0, 0, 200, 10, 16] + [3] * (250 * 3)
    save_png(tmp_path / "a.png", values(), palette)

    source = read_index_masks(tmp_path, OPTIONS)

    assert np.array_equal(only_mask(source), expected())
    assert [one.colour for one in source.classes] == ["#000000", "#c80a10", "#030303"]


@pytest.mark.parametrize("kind", ["tif", "16-bit png", "three equal channels", "grey and opacity", "bmp", "1-bit"])
def test_masks_come_in_many_pixel_formats(tmp_path: Path, kind: str) -> None:
    mask, wanted = values(), expected()
    if kind == "tif":
        tifffile.imwrite(tmp_path / "a.tif", mask, compression="zlib")
    elif kind == "16-bit png":
        Image.fromarray(mask.astype(np.uint16)).save(tmp_path / "a.png")
    elif kind == "three equal channels":
        save_png(tmp_path / "a.png", np.repeat(mask[..., None], 3, axis=2))
    elif kind == "grey and opacity":
        Image.merge("LA", [Image.fromarray(mask), Image.fromarray(mask)]).save(tmp_path / "a.png")
    elif kind == "bmp":
        save_png(tmp_path / "a.bmp", mask)
    else:
        Image.fromarray((mask == 1).astype(np.uint8) * 255).convert("1").save(tmp_path / "a.png")
        wanted = np.where(mask == 1, "nucleus", "background")

    assert np.array_equal(only_mask(read_index_masks(tmp_path, OPTIONS)), wanted)


@pytest.mark.parametrize("table", ["classes.txt", "classes.json", "classes.csv", "data.yaml", "manifest.json"])
def test_a_table_beside_the_masks_names_the_values(tmp_path: Path, table: str) -> None:
    content = {
        "classes.txt": "sky\nsea\n",
        "classes.json": '{"0": "sky", "1": "sea"}',
        "classes.csv": "id,name,colour\n1,sea,#0000FF\n0,sky,#aabbcc\n",
        "data.yaml": "nc: 2\nnames:\n  0: sky\n  1: sea\n",
        "manifest.json": '{"format": "x", "classes": [{"id": 0, "name": "sky"}, {"id": 1, "name": "sea"}]}',
    }
    (tmp_path / table).write_text(content[table])
    save_png(tmp_path / "masks" / "a.png", (values() == 1).astype(np.uint8))

    source = read_index_masks(tmp_path / "masks", OPTIONS)

    assert class_names(source) == ["sky", "sea"]
    assert np.array_equal(only_mask(source) == "sea", values() == 1)


def test_a_table_that_names_255_makes_it_a_class(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.where(values() == 1, 255, 0).astype(np.uint8))

    source = read_index_masks(tmp_path, ReadOptions(table=save_json(tmp_path / "t.json", {"no": 0, "yes": 255})))

    assert np.array_equal(only_mask(source) == "yes", values() == 1)


def a_float_tif(folder: Path) -> None:
    tifffile.imwrite(folder / "a.tif", values().astype(np.float32))


def a_stack(folder: Path) -> None:
    tifffile.imwrite(folder / "a.tif", np.zeros((3, *HW), np.uint8), photometric="minisblack")


def cut_off(folder: Path) -> None:
    path = save_png(folder / "a.png", np.random.default_rng(1).integers(0, 2, HW, np.uint8))
    path.write_bytes(path.read_bytes()[:90])


WRONG: dict[str, tuple[Any, str]] = {
    "a value without a class": (lambda folder: save_png(folder / "a.png", values() + np.uint8(2)), "value 2, 3, 9"),
    "colours": (lambda folder: save_png(folder / "a.png", np.dstack([values()] * 2 + [values() * 0])), "is in colour"),
    "numbers that are not whole": (a_float_tif, "float32"),
    "a stack": (a_stack, "stack of 3 pages"),
    "cut off": (cut_off, "damaged"),
    "no image": (lambda folder: (folder / "a.png").write_text("hello"), "damaged"),
    "nothing in it": (lambda folder: (folder / "a.png").write_bytes(b""), "damaged"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_with_a_mask_is_said_in_one_line(tmp_path: Path, wrong: str) -> None:
    WRONG[wrong][0](tmp_path)
    source = read_index_masks(tmp_path, OPTIONS)

    said = refusals(source)
    for image in readable(source).values():
        with pytest.raises(ImportRefused) as failure:
            named_mask(source, image)
        said.append(str(failure.value))

    assert len(said) == 1
    assert WRONG[wrong][1] in said[0]
    assert "\n" not in said[0]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", values())
    (image,) = readable(read_index_masks(tmp_path, OPTIONS)).values()

    assert image.mask is not None
    with pytest.raises(ImportRefused, match="33 x 20 pixels, its image 40 x 40"):
        image.mask((40, 40))


def test_masks_without_names_are_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", values())

    with pytest.raises(ImportRefused, match="name a table"):
        read_index_masks(tmp_path, ReadOptions())


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden.png").write_text("")

    with pytest.raises(ImportRefused, match="holds no masks"):
        read_index_masks(tmp_path, OPTIONS)


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    secret = save_png(tmp_path / "secret" / "a.png", values())
    save_png(tmp_path / "masks" / "b.png", values())
    (tmp_path / "masks" / "a.png").symlink_to(secret)

    assert list(readable(read_index_masks(tmp_path / "masks", OPTIONS))) == ["b"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.txt", "", "names no class"),
        ("t.json", "{", "damaged"),
        ("t.json", "4", "wanted an object"),
        ("t.json", '[{"id": "x", "name": "a"}]', "the id of 'a'"),
        ("t.json", '{"a": "blue"}', "wanted a colour"),
        ("t.csv", "id,colour\n1,#ff0000\n", "has no name"),
        ("t.yaml", "names: [a, b", "damaged"),
        ("t.yaml", "a: &a [b]\nb: *c\n", "damaged"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nroad:1,2:::", "wanted a colour"),
    ],
)
def test_tables_that_cannot_be_read_are_refused(tmp_path: Path, name: str, content: str, reason: str) -> None:
    save_png(tmp_path / "a.png", values())
    (tmp_path / name).write_text(content)

    with pytest.raises(ImportRefused, match=reason) as failure:
        read_index_masks(tmp_path / "a.png", ReadOptions(table=tmp_path / name))

    assert "\n" not in str(failure.value)


def test_the_table_of_semantic_masks_by_roboflow_names_values(tmp_path: Path) -> None:
    values = np.zeros(HW, np.uint8)
    values[3:9, 5:20] = 2
    save_png(tmp_path / "train" / "a_mask.png", values)
    (tmp_path / "train" / "_classes.csv").write_text("Pixel Value, Class\n0, background\n2, cell\n1, debris\n")

    source = read_index_masks(tmp_path, ReadOptions())

    assert np.array_equal(only_mask(source), filled((np.s_[3:9], np.s_[5:20], "cell")))


def test_a_table_whose_values_nobody_knows_is_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.zeros(HW, np.uint8))
    (tmp_path / "classes.csv").write_text("Grey,Class\n0,background\n9,cell\n")

    with pytest.raises(ImportRefused, match="columns grey, class, and none with values"):
        read_index_masks(tmp_path, ReadOptions())


def test_of_a_tiff_with_overviews_and_masks_the_page_at_full_size_is_read(tmp_path: Path) -> None:
    mask = np.zeros((96, 128), np.uint8)
    mask[10:40, 20:70] = 1
    inside = np.ones(mask.shape, bool)
    inside[80:] = False
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(mask, photometric="minisblack")
        file.write(inside, subfiletype=4, photometric="mask")
        file.write(mask[::2, ::2], subfiletype=1, photometric="minisblack")

    source = read_index_masks(tmp_path, NAMED)

    found = only_mask(source, mask.shape)
    assert (found[10:40, 20:70] == "cell").all()
    assert (found[:80] == "cell").sum() == 30 * 50
    assert (found[80:] == "").all()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_values_of_few_bits_are_those_that_are_stored(tmp_path: Path, bits: int) -> None:
    values = np.zeros(HW, np.uint8)
    values[5:9, 4:20] = 1
    (tmp_path / "a.png").write_bytes(png_of_bits(values, bits))

    mask = only_mask(read_index_masks(tmp_path, NAMED))

    assert np.array_equal(mask, filled((np.s_[5:9], np.s_[4:20], "cell")))


def png_of_bits(values: np.ndarray[Any, Any], bits: int) -> bytes:
    """A grey PNG with so many bits per value."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b""
    for row in values:
        spread = (row[:, None] >> np.arange(bits - 1, -1, -1)) & 1
        rows += b"\0" + np.packbits(spread.ravel().astype(np.uint8)).tobytes()
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("ending", ["_mask", "_labels", "-seg", "_gtFine_labelIds"])
def test_a_picture_beside_its_mask_is_no_mask(tmp_path: Path, ending: str) -> None:
    mask = np.zeros(HW, np.uint8)
    mask[5:9, 4:20] = 1
    save_png(tmp_path / f"a{ending}.png", mask)
    save_png(tmp_path / "a.png", np.full(HW, 77, np.uint8))

    source = read_index_masks(tmp_path, NAMED)

    assert list(readable(source)) == [f"a{ending}"]
    assert np.array_equal(only_mask(source), filled((np.s_[5:9], np.s_[4:20], "cell")))


def test_ids_of_the_project_are_not_taken_where_a_table_lies_unread(tmp_path: Path) -> None:
    save_png(tmp_path / "a.png", np.zeros(HW, np.uint8))
    assert "they are ids of the project" in read_index_masks(tmp_path, NAMED).notes[0]
    (tmp_path / "legend.txt").write_text("dog\ncat\n")

    with pytest.raises(ImportRefused, match=r"legend\.txt"):
        read_index_masks(tmp_path, NAMED)
