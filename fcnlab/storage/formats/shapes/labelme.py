"""LabelMe: a JSON file per image."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import PngImagePlugin

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, Format, Need
from fcnlab.storage.formats.masks.index_masks import grey_png
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import files_below, folder_of, name_of
from fcnlab.storage.formats.reading.shapes import (
    Ellipse,
    Marks,
    NoArea,
    Shape,
    ShapeClasses,
    Stamp,
    box,
    hull,
    polygon,
    shape_classes,
)
from fcnlab.storage.formats.reading.values import (
    ReadOptions,
    claimed_hw,
    listing,
    mapping,
    name_in,
    number,
    read_json,
    shown,
    text,
)
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Subject, WholeFile
from fcnlab.storage.image_readers.decoding import DAMAGE

UNKNOWN = "__ignore__"
"""LabelMe's name for regions about which nothing is said."""

POSITIONS, LINES = frozenset({"point", "points"}), frozenset({"line", "linestrip"})
POLYGONS = frozenset({"polygon", "oriented_rectangle", "rotation", "quadrilateral"})
"""Kinds with all their corners in order; the last two are those of tools that write LabelMe's files."""

Corners = list[tuple[float, float]]


def read_labelme(path: Path, options: ReadOptions) -> LabelSource:
    """The JSON files in a folder, or one of them: polygons, rectangles, turned or not, circles and masks; points.

    The corners of lines become points. Classes are found by reading all files once. Shapes of other kinds are unknown
    pixels within their corners. A file without shapes is left out: LabelMe does not say that nothing is there.

    Raises:
        ImportRefused: no JSON file.
    """
    files = files_below(path, (".json",)) if path.is_dir() else [path]
    folder = folder_of(path)
    if not files:
        raise ImportRefused(f"{path.name} holds no LabelMe file: none ends in .json")
    classes = shape_classes([FileClass(name) for name in _names(files)], rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            try:
                yield _image(file, classes)
            except ImportRefused as refusal:
                yield UnreadLabels(name_of(file, folder), str(refusal))

    return LabelSource(classes.classes, len(files), read)


def _names(files: list[Path]) -> list[str]:
    """Names of all classes, in the order of the alphabet."""
    names: set[str] = set()
    for file in files:
        try:
            shapes = listing(mapping(read_json(file), file.name).get("shapes"), "'shapes'")
        except ImportRefused:  # named when its turn comes
            continue
        names |= {name_in(shape.get("label")) for shape in shapes if isinstance(shape, dict)} - {"", UNKNOWN}
    return sorted(names)


def _image(file: Path, classes: ShapeClasses) -> LabelledImage:
    content = mapping(read_json(file), file.name)
    listed = listing(content.get("shapes"), f"'shapes' of {file.name}")
    hw = claimed_hw(content.get("imageHeight"), content.get("imageWidth"), file.name)
    named = content.get("imagePath")
    marks = Marks(text(named, f"imagePath of {file.name}") if named else file.stem, hw, classes)
    for index, listed_shape in enumerate(listed):
        what = f"shapes[{index}] of {file.name}"
        with marks.dropping():
            _take(mapping(listed_shape, what), what, marks)
    return marks.image()


def _take(shape: dict[str, Any], what: str, marks: Marks) -> None:
    """Add what one shape says to the marks. Raises NoArea."""
    label, kind = shape.get("label"), shape.get("shape_type") or "polygon"
    is_ignored = name_in(label) == UNKNOWN
    class_index = IGNORE if is_ignored else marks.class_index_of(label, f"the label of {what}")
    corners = [_position(pair, what) for pair in listing(shape.get("points"), f"the points of {what}")]
    if kind in POSITIONS:
        for x, y in corners:
            marks.add_point(x, y, class_index, what)
    elif kind in LINES:
        marks.add_line(corners, class_index, what)
    elif kind in POLYGONS:
        marks.add(polygon(class_index, [value for pair in corners for value in pair], what), says_unknown=is_ignored)
    elif kind == "rectangle" and len(corners) == 4:
        marks.add(hull(class_index, corners, what), says_unknown=is_ignored)
    elif kind in ("rectangle", "circle", "mask"):
        marks.add(_between(kind, class_index, _two(corners, what), shape, what), says_unknown=is_ignored)
    else:
        marks.unread(what, f"is of the kind {shown(kind)}, which is not known")


def _between(kind: str, class_index: int, corners: Corners, shape: dict[str, Any], what: str) -> Shape:
    """What two positions describe."""
    (x0, y0), (x1, y1) = corners
    if kind == "circle":
        radius = float(np.hypot(x1 - x0, y1 - y0))
        return Ellipse(class_index, x0, y0, radius, radius, what=what)
    if kind == "rectangle":
        return box(class_index, min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), what)
    top, left = round(min(y0, y1)), round(min(x0, x1))
    hw = (round(max(y0, y1)) - top + 1, round(max(x0, x1)) - left + 1)
    packed = text(shape.get("mask"), f"the mask of {what}")
    return Stamp(class_index, top, left, hw, partial(_png, packed, hw, what), what)


def _png(packed: str, wanted_hw: tuple[int, int], what: str) -> NDArray[np.bool_]:
    try:
        with PngImagePlugin.PngImageFile(io.BytesIO(base64.b64decode(packed, validate=True))) as image:
            if (image.height, image.width) != wanted_hw:
                raise ImportRefused(
                    f"the mask of {what} has {image.width} x {image.height} pixels, its corners span "
                    f"{wanted_hw[1]} x {wanted_hw[0]}"
                )
            return np.array(image.convert("L")) > 0
    except (*DAMAGE, binascii.Error) as failure:
        raise ImportRefused(f"the mask of {what} is damaged or no PNG") from failure


def _position(pair: object, what: str) -> tuple[float, float]:
    values = listing(pair, f"a point of {what}")
    if len(values) != 2:
        raise ImportRefused(f"a point of {what} is {shown(values)}, wanted x and y")
    return number(values[0], f"x in {what}"), number(values[1], f"y in {what}")


def _two(corners: Corners, what: str) -> Corners:
    if len(corners) < 2:
        raise NoArea(f"{what} has {len(corners)} points, wanted two")
    if len(corners) != 2:
        raise ImportRefused(f"{what} has {len(corners)} points, wanted two")
    return corners


VERSION = "5.5.0"
"""The version of LabelMe whose files look like this."""


@dataclass(frozen=True, slots=True)
class LabelMe(PerImageWriter):
    """A shape of the kind `mask` per region, which LabelMe has since 5.3.

    Its polygons would lose pixels: LabelMe draws them with their border, so that no ring of corners gives a mask back.
    """

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The regions of the image as a LabelMe file."""
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": list(self._shapes(image)),
            "imagePath": image.name.rpartition("/")[2],
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        yield WholeFile(f"labelme/{image.place}.json", json.dumps(content, ensure_ascii=False).encode())

    def _shapes(self, image: ExportedImage) -> Iterator[dict[str, Any]]:
        for region in image.regions:
            last_x, last_y = region.left + region.width - 1, region.top + region.height - 1
            yield {
                "label": self.subject.name_of(region.class_id),
                "points": [[region.left, region.top], [last_x, last_y]],
                "group_id": None,
                "description": "",
                "shape_type": "mask",
                "flags": {},
                "mask": base64.b64encode(grey_png(region.inside.astype(np.uint8) * 255)).decode(),
            }


FORMATS = (
    Format(
        "labelme",
        "LabelMe",
        "a JSON file per image, with masks",
        SHAPES,
        250,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: LabelMe(options.subject),
        has_file_names=True,
        read=read_labelme,
        read_title="LabelMe JSON",
        clues=(FileClue((".json",), rb'"shapes"\s*:', rank=30, holds="image"),),
    ),
)
