from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.cityscapes import read_cityscapes
from fcnlab.storage.formats.shapes.voc import NAMES, read_voc
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

ONLY = ReadOptions()


def official_palette() -> list[int]:
    """The colours of the VOC challenges: bits of the value, spread over red, green and blue."""
    palette = []
    for value in range(256):
        colour = [0, 0, 0]
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= ((value >> (3 * bit + channel)) & 1) << (7 - bit)
        palette += colour
    return palette


def a_voc_mask(person: int = 15) -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = np.zeros(HW, np.uint8)
    mask[2:12, 4:24] = 255
    mask[3:11, 5:23] = person
    return mask


def test_values_are_the_classes_of_the_challenges_and_the_border_says_nothing(tmp_path: Path) -> None:
    save_png(tmp_path / "VOC2012" / "SegmentationClass" / "2007_000032.png", a_voc_mask(), official_palette())
    save_png(tmp_path / "VOC2012" / "SegmentationObject" / "2007_000032.png", a_voc_mask(1), official_palette())

    source = read_voc(tmp_path, ONLY)

    assert class_names(source) == list(NAMES)
    assert list(readable(source)) == ["2007_000032"]
    expected = filled((np.s_[2:12], np.s_[4:24], ""), (np.s_[3:11], np.s_[5:23], "person"))
    assert np.array_equal(only_mask(source), expected)


LABELMAP = "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncell:0,128,0::\ndebris:128,0,0::\n"


@pytest.mark.parametrize(
    "kind", ["palette in the order of the map", "palette in another order", "true colour", "values"]
)
def test_labelmaps_name_the_classes_however_the_masks_are_written(tmp_path: Path, kind: str) -> None:
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    file = tmp_path / "SegmentationClass" / "sub" / "a.png"
    places = a_voc_mask(1)
    places[15:, 25:] = 2
    colours = np.zeros((256, 3), np.uint8)
    colours[:3] = [(0, 0, 0), (0, 128, 0), (128, 0, 0)]
    colours[255] = (224, 224, 192)
    if kind == "palette in the order of the map":
        save_png(file, places, colours.ravel().tolist())
    elif kind == "palette in another order":
        other = colours.copy()
        other[[1, 2]] = colours[[2, 1]]
        save_png(
            file, np.choose(np.minimum(places, 3), [places, 2, 1, places]).astype(np.uint8), other.ravel().tolist()
        )
    elif kind == "true colour":
        save_png(file, colours[places])
    else:
        save_png(file, places)

    source = read_voc(tmp_path, ONLY)

    assert class_names(source) == ["background", "cell", "debris"]
    assert list(readable(source)) == ["sub/a"]
    expected = filled(
        (np.s_[2:12], np.s_[4:24], ""), (np.s_[3:11], np.s_[5:23], "cell"), (np.s_[15:], np.s_[25:], "debris")
    )
    assert np.array_equal(only_mask(source), expected)


def boxes(*objects: str, size: str = "<size><width>33</width><height>20</height><depth>3</depth></size>") -> str:
    return f"<annotation><folder>x</folder><filename>a.jpg</filename>{size}{''.join(objects)}</annotation>"


def thing(name: str, *corners: object) -> str:
    keys = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=False)
    return f"<object><name>{name}</name><bndbox>{''.join(f'<{k}>{v}</{k}>' for k, v in keys)}</bndbox></object>"


def test_boxes_count_pixels_from_one_with_both_ends(tmp_path: Path) -> None:
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(boxes(thing("dog", 1, 1, 4, 3), thing("cat", 10, 5, 33, 20)))

    source = read_voc(tmp_path, ONLY)

    assert class_names(source) == ["background", "cat", "dog"]
    assert readable(source)["a.jpg"].hw == HW
    assert np.array_equal(only_mask(source), filled((np.s_[:3], np.s_[:4], "dog"), (np.s_[4:20], np.s_[9:33], "cat")))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (boxes(thing("dog", 9, 1, 4, 3)), "negative size"),
        (boxes(thing("dog", 1, 1, 4)), "ymax of object 1"),
        (boxes(thing("dog", 1, 1, "nan", 3)), "wanted a number"),
        (boxes(thing("", 1, 1, 4, 3)), "the name of object 1"),
        (boxes(size="<size><width>-3</width><height>3</height></size>"), "the width of a.jpg"),
        (boxes()[:40], "damaged or cut off"),
        ("<other/>", "no annotation of Pascal VOC"),
        ('<!DOCTYPE a [<!ENTITY x "y">]><annotation>&x;</annotation>', "declares entities"),
    ],
)
def test_what_is_wrong_with_boxes_is_said_in_one_line(tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "a.xml").write_text(content)

    (said,) = refusals(read_voc(tmp_path / "a.xml", ONLY))

    assert reason in said
    assert "\n" not in said


def test_values_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    save_png(tmp_path / "SegmentationClass" / "a.png", a_voc_mask(21))

    with pytest.raises(ImportRefused, match="value 21"):
        only_mask(read_voc(tmp_path, ONLY))


def test_folders_without_voc_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="SegmentationClass"):
        read_voc(tmp_path, ONLY)


def test_label_ids_are_classes_and_void_is_unknown(tmp_path: Path) -> None:
    ids = np.full(HW, 7, np.uint8)
    ids[:3], ids[10:15, 4:20], ids[19] = 1, 26, 255
    folder = tmp_path / "gtFine" / "train" / "ulm"
    save_png(folder / "ulm_000000_000019_gtFine_labelIds.png", ids)
    save_png(folder / "ulm_000000_000019_gtFine_instanceIds.png", ids)

    source = read_cityscapes(tmp_path, ONLY)

    assert class_names(source)[:4] == ["static", "dynamic", "ground", "road"]
    assert len(source.classes) == 30
    assert list(readable(source)) == ["train/ulm/ulm_000000_000019"]
    expected = filled(
        (np.s_[:3], np.s_[:], ""), (np.s_[10:15], np.s_[4:20], "car"), (np.s_[19], np.s_[:], ""), rest="road"
    )
    assert np.array_equal(only_mask(source), expected)


def a_city(*objects: dict[str, Any]) -> dict[str, Any]:
    return {"imgHeight": HW[0], "imgWidth": HW[1], "objects": list(objects)}


def test_polygons_lie_over_one_another_and_groups_are_their_things(tmp_path: Path) -> None:
    street = [[0, 0], [33, 0], [33, 20], [0, 20]]
    content = a_city(
        {"label": "road", "polygon": street},
        {"label": "cargroup", "polygon": [[4, 10], [20, 10], [20, 15], [4, 15]]},
        {"label": "sky", "polygon": street, "deleted": 1},
        {"label": "ego vehicle", "polygon": [[0, 18], [33, 18], [33, 20], [0, 20]]},
    )
    save_json(tmp_path / "gtFine" / "val" / "a_gtFine_polygons.json", content)

    source = read_cityscapes(tmp_path, ONLY)

    assert list(readable(source)) == ["val/a"]
    expected = filled((np.s_[10:15], np.s_[4:20], "car"), (np.s_[18:], np.s_[:], ""), rest="road")
    assert np.array_equal(only_mask(source), expected)


def test_a_table_renames_the_ids(tmp_path: Path) -> None:
    save_json(tmp_path / "classes.json", [{"id": 0, "name": "background"}, {"id": 3, "name": "cell"}])
    ids = np.zeros(HW, np.uint8)
    ids[5:9] = 3
    save_png(tmp_path / "gtFine" / "train" / "x" / "a_gtFine_labelIds.png", ids)

    source = read_cityscapes(tmp_path, ONLY)

    assert np.array_equal(only_mask(source), filled((np.s_[5:9], np.s_[:], "cell")))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (a_city({"label": "spaceship", "polygon": [[0, 0], [1, 0], [1, 1]]}), "'spaceship'"),
        (a_city({"label": "car", "polygon": [[0, 0], [1, 0]]}), "at least three"),
        (a_city({"label": "car"}), "the polygon of objects[0]"),
        (a_city({"label": 4, "polygon": []}), "the label of objects[0]"),
        ({"imgHeight": 0, "imgWidth": 3, "objects": []}, "the height"),
        ({"imgHeight": 20, "imgWidth": 33}, "'objects'"),
        ([], "wanted an object"),
    ],
)
def test_what_is_wrong_with_polygons_is_said_in_one_line(tmp_path: Path, content: Any, reason: str) -> None:
    save_json(tmp_path / "a_gtFine_polygons.json", content)

    (said,) = refusals(read_cityscapes(tmp_path, ONLY))

    assert reason in said
    assert "\n" not in said


def test_folders_without_cityscapes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="_labelIds"):
        read_cityscapes(tmp_path, ONLY)


def test_one_file_will_do(tmp_path: Path) -> None:
    file = save_png(tmp_path / "a_gtFine_labelIds.png", np.full(HW, 7, np.uint8))

    source = read_cityscapes(file, ONLY)

    assert (named_mask(source, readable(source)["a"]) == "road").all()


@pytest.mark.parametrize("colours", [False, True])
def test_values_of_a_table_with_gaps_are_its_ids(tmp_path: Path, colours: bool) -> None:
    values = np.zeros(HW, np.uint8)
    values[3:9, 5:20], values[12:15] = 2, 5
    palette = [0, 0, 0, 9, 9, 9, 1, 2, 3, 8, 8, 8, 7, 7, 7, 4, 5, 6]
    save_png(tmp_path / "SegmentationClass" / "a.png", values, palette if colours else None)
    table = "id,name,colour\n0,background,\n2,cat,#010203\n3,dog,#080808\n5,eel,#040506\n"
    (tmp_path / "classes.csv").write_text(table)

    source = read_voc(tmp_path, ReadOptions())

    assert class_names(source) == ["background", "cat", "dog", "eel"]
    expected = filled((np.s_[3:9], np.s_[5:20], "cat"), (np.s_[12:15], np.s_[:], "eel"))
    assert np.array_equal(only_mask(source), expected)


def test_polygons_count_before_the_boxes_round_them(tmp_path: Path) -> None:
    corners = "".join(
        f"<x{n}>{x + 1}</x{n}><y{n}>{y + 1}</y{n}>" for n, (x, y) in enumerate([(4, 5), (9, 5), (9, 12)], 1)
    )
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>20</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(boxes(f"<object><name>dog</name><polygon>{corners}</polygon>{box}</object>"))

    mask = only_mask(read_voc(tmp_path, ONLY))

    assert set(np.unique(mask)) == {"background", "dog"}
    assert (mask[:5] == "background").all()
    assert 7 < (mask == "dog").sum() < 28


@pytest.mark.parametrize(
    "where",
    [
        "<robndbox><cx>11</cx><cy>10</cy><w>10</w><h>4</h><angle>1.5707963267949</angle></robndbox>",
        "<bndbox><xmin>7</xmin><ymin>9</ymin><xmax>16</xmax><ymax>12</ymax></bndbox><attributes><attribute>"
        "<name>rotation</name><value>90.0</value></attribute></attributes>",
    ],
)
def test_boxes_are_turned_where_their_tool_says_so(tmp_path: Path, where: str) -> None:
    (tmp_path / "a.xml").write_text(boxes(f"<object><name>dog</name>{where}</object>"))

    assert np.array_equal(only_mask(read_voc(tmp_path, ONLY)), filled((np.s_[5:15], np.s_[9:13], "dog")))


def test_the_names_of_labelme_s_sets_lie_beside_the_masks(tmp_path: Path) -> None:
    save_png(tmp_path / "SegmentationClassPNG" / "a.png", a_voc_mask(2), official_palette())
    (tmp_path / "class_names.txt").write_text("_background_\ncat\ndog\n")

    source = read_voc(tmp_path, ONLY)

    assert class_names(source) == ["_background_", "cat", "dog"]
    assert (only_mask(source)[3:11, 5:23] == "dog").all()


def test_nothing_is_guessed_beside_a_table_that_nobody_reads(tmp_path: Path) -> None:
    save_png(tmp_path / "SegmentationClass" / "a.png", a_voc_mask(2), official_palette())
    (tmp_path / "my_classes.txt").write_text("background\ncat\ndog\n")

    with pytest.raises(ImportRefused, match=r"my_classes\.txt"):
        read_voc(tmp_path, ONLY)


def test_classes_of_their_own_are_named_by_the_set(tmp_path: Path) -> None:
    save_json(tmp_path / "dataset_meta.json", {"label_map": {"0": "background", "1": "cell"}})
    ids = np.zeros(HW, np.uint8)
    ids[5:9] = 1
    save_png(tmp_path / "gtFine" / "train" / "a_gtFine_labelIds.png", ids)

    assert np.array_equal(only_mask(read_cityscapes(tmp_path, ONLY)), filled((np.s_[5:9], np.s_[:], "cell")))
