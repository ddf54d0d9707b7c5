from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import FilePoint
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.cvat import read_cvat
from tests.support.label_bench import (
    assert_refused_in_one_line,
    class_names,
    filled,
    named_mask,
    only_mask,
    readable,
    refusals,
)

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><job><size>1</size><labels>
<label><name>cell</name><color>#FA3253</color><type>any</type><attributes></attributes></label>
<label><name>debris</name><color></color></label></labels></job></meta>"""


def cvat(
    path: Path, *shapes: str, image: str = 'id="0" name="train/a.jpg" width="33" height="20"', head: str = HEAD
) -> Path:
    path.write_text(f"{head}<image {image}>{''.join(shapes)}</image></annotations>")
    return path


def polygon(points: str, label: str = "cell", more: str = 'z_order="0"') -> str:
    return f'<polygon label="{label}" source="manual" occluded="0" points="{points}" {more}></polygon>'


LOW = polygon("7,8;20,8;20,15;7,15", "debris")
HIGH = polygon("4,5;9,5;9,12;4,12", more='z_order="2"')


def test_higher_shapes_lie_over_lower_ones_whatever_their_order(tmp_path: Path) -> None:
    source = read_cvat(cvat(tmp_path / "a.xml", HIGH, LOW), ReadOptions())

    assert class_names(source) == ["background", "cell", "debris"]
    assert [one.colour for one in source.classes] == ["", "#fa3253", ""]
    assert source.total == 1
    assert readable(source)["train/a.jpg"].hw == (20, 33)
    expected = filled((np.s_[8:15], np.s_[7:20], "debris"), (np.s_[5:12], np.s_[4:9], "cell"))
    assert np.array_equal(only_mask(source), expected)


def test_boxes_ellipses_and_masks(tmp_path: Path) -> None:
    box = '<box label="cell" xtl="1.0" ytl="2.0" xbr="11.0" ybr="6.0"/>'
    turned = (
        '<box label="debris" xtl="20" ytl="8" xbr="30" ybr="12" rotation="90.0"><attribute name="a">b</attribute></box>'
    )
    ellipse = '<ellipse label="cell" cx="6" cy="14" rx="4" ry="2"/>'
    mask = '<mask label="debris" rle="1, 2, 3" left="1" top="17" width="3" height="2" z_order="1"/>'

    found = only_mask(read_cvat(cvat(tmp_path / "a.xml", box, turned, ellipse, mask), ReadOptions()))

    assert (found[2:6, 1:11] == "cell").all()
    assert (found[5:15, 23:27] == "debris").all()
    assert (found[10, 20:23] == "background").all()
    assert (found[12:16, 2:10] == "cell").sum() == pytest.approx(np.pi * 8, rel=0.15)
    assert found[17:19, 1:4].tolist() == [["background", "debris", "debris"], ["background"] * 3]


def test_points_and_corners_of_polylines_are_points(tmp_path: Path) -> None:
    points = '<points label="cell" points="7.90,3.20;1,2"/>'
    line = '<polyline label="debris" points="0,0;32.5,19.5"/>'

    (image,) = readable(
        read_cvat(cvat(tmp_path / "a.xml", points, line, '<tag label="cell"/>'), ReadOptions())
    ).values()

    assert image.mask is None
    assert image.points == (FilePoint(3, 7, 1), FilePoint(2, 1, 1), FilePoint(0, 0, 2), FilePoint(19, 32, 2))


def test_an_image_without_shapes_teaches_nothing_for_nobody_says_it_is_empty(tmp_path: Path) -> None:
    assert refusals(read_cvat(cvat(tmp_path / "a.xml"), ReadOptions())) == ["train/a.jpg: nobody marked anything in it"]


def test_many_images_are_read_one_after_the_other(tmp_path: Path) -> None:
    images = "".join(f'<image id="{n}" name="{n}.jpg" width="33" height="20">{LOW}</image>' for n in range(50))
    (tmp_path / "a.xml").write_text(f"{HEAD}{images}</annotations>")

    source = read_cvat(tmp_path / "a.xml", ReadOptions())

    assert source.total == 50
    assert len(readable(source)) == 50
    assert (named_mask(source, readable(source)["49.jpg"]) == "debris").sum() == 7 * 13


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (polygon("1,2;3,4"), "at least three"),
        (polygon("1,2;3,4;5"), "no pairs"),
        (polygon("1,2;3,4;5,nan"), "wanted a number"),
        (polygon("1,2;3,4;5,1e20"), "far outside"),
        (polygon("1,2;3,4;5,6", label=""), "the label of polygon 1"),
        ('<box label="cell" xtl="9" ytl="2" xbr="3" ybr="6"/>', "negative size"),
        ('<box label="cell" xtl="9" ytl="2" xbr="13"/>', "ybr of box 1 of train/a.jpg is missing"),
        ('<ellipse label="cell" cx="6" cy="14" rx="-4" ry="2"/>', "negative size"),
        ('<mask label="cell" rle="1, 2" left="1" top="1" width="3" height="2"/>', "cover 3 pixels"),
        ('<mask label="cell" rle="1, -2, 7" left="1" top="1" width="3" height="2"/>', "at least 0"),
        ('<mask label="cell" rle="9999999999" left="1" top="1" width="99999" height="100001"/>', "far outside"),
        ('<heart label="cell"/>', "not known"),
        ('<points label="cell" points="-3,2"/>', "outside its image"),
    ],
)
def test_what_is_wrong_with_a_shape_is_said_in_one_line(tmp_path: Path, shape: str, reason: str) -> None:
    source = read_cvat(cvat(tmp_path / "a.xml", shape), ReadOptions())

    assert_refused_in_one_line(source, reason)


@pytest.mark.parametrize(
    "image", ['id="0" width="33" height="20"', 'name="a.jpg" width="-33" height="20"', 'name="a.jpg" width="33"']
)
def test_images_that_say_too_little_are_named(tmp_path: Path, image: str) -> None:
    assert len(refusals(read_cvat(cvat(tmp_path / "a.xml", image=image), ReadOptions()))) == 1


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{HEAD}<image name='a.jpg'>", "damaged or cut off"),
        ("", "damaged or cut off"),
        ("{}", "damaged or cut off"),
        ("<annotations></annotations>", "lists no image"),
        ("<annotations><track id='0' label='cell'></track></annotations>", "for videos"),
        (f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><a>&l9;</a>', "declares entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "declares entities"),
        ('<?xml version="1.0" encoding="rot13"?><a/>', "damaged|no XML"),
    ],
)
def test_files_that_are_not_cvat_are_refused_whole(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(content)

    with pytest.raises(ImportRefused, match=reason) as failure:
        read_cvat(path, ReadOptions())

    assert "\n" not in str(failure.value)


def test_what_a_cuboid_spans_is_unknown_and_a_skeleton_leaves_only_shapes(tmp_path: Path) -> None:
    corners = {"tl": (4, 5), "bl": (4, 12), "tr": (9, 5), "br": (9, 12)}
    sides = "".join(f'x{key}{n}="{x}" y{key}{n}="{y}" ' for key, (x, y) in corners.items() for n in "12")
    cuboid = cvat(tmp_path / "a.xml", LOW, f'<cuboid label="cell" {sides} z_order="1"/>')
    skeleton = cvat(tmp_path / "b.xml", LOW, '<skeleton label="cell"><points label="1" points="3,3"/></skeleton>')

    spanned, lost = (read_cvat(path, ReadOptions()) for path in (cuboid, skeleton))

    low = (np.s_[8:15], np.s_[7:20], "debris")
    assert np.array_equal(only_mask(spanned), filled(low, (np.s_[5:12], np.s_[4:9], "")))
    assert np.array_equal(only_mask(lost), filled(low, rest=""))
    for source, mark in ((spanned, "cuboid 2"), (lost, "skeleton 2")):
        (image,) = readable(source).values()
        only_mask(source)
        assert image.notes.lines[0].startswith(f"{mark} of train/a.jpg")
