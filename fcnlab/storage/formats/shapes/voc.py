"""Pascal VOC: masks with a palette in SegmentationClass, labelmap.txt, or polygons and boxes in Annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE, ClassLabel
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, FolderClue, Format
from fcnlab.storage.formats.masks.colour_masks import indices_of_colours
from fcnlab.storage.formats.masks.index_masks import index_png, sized, stored_indices
from fcnlab.storage.formats.reading.label_tables import find_table, read_table, refuse_unread_table
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import (
    files_below,
    mask_colours,
    mask_header,
    mask_values,
    masks_below,
    name_of,
)
from fcnlab.storage.formats.reading.shapes import (
    Marks,
    Shape,
    ShapeClasses,
    box,
    polygon,
    shape_classes,
    turned,
)
from fcnlab.storage.formats.reading.values import ReadOptions, claimed_hw, number, xml_elements
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Line, Spooled, Subject, WholeFile, rgb

MASKS, BOXES = frozenset({"SegmentationClass", "SegmentationClassPNG", "SegmentationClassAug"}), "Annotations"
"""Folders of masks: that of the challenges, LabelMe's, and that of a set which is often used with them."""

NAMES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""The classes of the VOC challenges, in the order of their values."""

BORDER = "#e0e0c0"
"""The colour in which VOC's palette shows 255, the border about which nothing is said."""


def read_voc(path: Path, options: ReadOptions) -> LabelSource:
    """The masks below a folder, or when there are none, the polygons and boxes of its XML files (or one of them).

    Values are lines of labelmap.txt where there is one, else the classes of the challenges; 255 is unknown. Masks whose
    palette is not that of labelmap.txt, and those without one, are read by their colours. Boxes count pixels from 1,
    both ends within, as the development kit does; of an object with polygons these count. A file without objects is
    left out: it does not say whether nobody looked or nothing is there.

    Raises:
        ImportRefused: neither masks nor boxes.
    """
    masks = [file for file in files_below(path, (".png",)) if MASKS & {*file.parts}] if path.is_dir() else []
    if masks:
        return _masks(masks, path, options)
    files = files_below(path, (".xml",)) if path.is_dir() else [path]
    if not files:
        raise ImportRefused(f"{path.name} holds no SegmentationClass with masks and no {BOXES} with XML files")
    return _objects(files, options)


def _masks(files: list[Path], root: Path, options: ReadOptions) -> LabelSource:
    folder = next(parent for parent in files[0].parents if parent.name in MASKS)
    table = options.table or find_table(folder) or find_table(root)
    notes: tuple[str, ...] = ()
    if table is None:
        refuse_unread_table(folder.parent)
        named = dict(enumerate(map(FileClass, NAMES)))
        notes = (f"no table names the values in {folder.name}: they are taken for the classes of the VOC challenges",)
    else:
        named = dict(sorted(read_table(table).by_value.items()))
    colours = {
        file_class.colour: class_index for class_index, file_class in enumerate(named.values()) if file_class.colour
    }
    colours.setdefault(BORDER, IGNORE)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = name_of(file, folder) if file.is_relative_to(folder) else file.stem
            try:
                yield LabelledImage(name, mask_header(file).hw, partial(_mask, file=file, named=named, colours=colours))
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(tuple(named.values()), len(files), read, notes)


def _mask(
    hw: tuple[int, int], *, file: Path, named: Mapping[int, FileClass], colours: Mapping[str, int]
) -> NDArray[np.uint8]:
    palette = dict(enumerate("#{:02x}{:02x}{:02x}".format(*colour) for colour in mask_header(file).palette))
    is_coloured = any(
        file_class.colour and palette.get(value) != file_class.colour for value, file_class in named.items()
    )
    if is_coloured and (palette or not _is_grey(file)):
        return sized(indices_of_colours(mask_colours(file), colours, file.name, strange="refuse"), hw, file)
    class_indices = {value: class_index for class_index, value in enumerate(named)}
    return sized(stored_indices(file, class_indices, tabled=named), hw, file)


def _is_grey(file: Path) -> bool:
    try:
        mask_values(file)
    except ImportRefused:
        return False
    return True


def _objects(files: list[Path], options: ReadOptions) -> LabelSource:
    names: set[str] = set()
    for file in files:
        try:
            names |= {element.findtext("name", "").strip() for element in _root(file).iter("object")}
        except ImportRefused:  # named when its turn comes
            continue
    classes = shape_classes([FileClass(name) for name in sorted(names) if name], rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            try:
                yield _image_of_objects(file, classes)
            except ImportRefused as refusal:
                yield UnreadLabels(file.stem, str(refusal))

    return LabelSource(classes.classes, len(files), read)


def _root(file: Path) -> Element:
    annotation = next(xml_elements(file, frozenset({"annotation"})), None)
    if annotation is None:
        raise ImportRefused(f"{file.name} holds no annotation of Pascal VOC")
    return annotation


def _image_of_objects(file: Path, classes: ShapeClasses) -> LabelledImage:
    root = _root(file)
    name = root.findtext("filename", "").strip() or file.stem
    marks = Marks(name, claimed_hw(root.findtext("size/height"), root.findtext("size/width"), name), classes)
    for count, element in enumerate(root.iter("object"), start=1):
        what = f"object {count} of {file.name}"
        class_index = marks.class_index_of(element.findtext("name"), f"the name of {what}")
        for shape in _outlines(element):
            with marks.dropping():
                marks.add(_shape(shape, element, class_index, what))
    return marks.image()


def _outlines(element: Element) -> list[Element]:
    """The elements that say where an object is: its polygons, else its turned box, else its box."""
    for tag in ("polygon", "robndbox", "bndbox"):
        outlines = [outline for outline in element.findall(tag) if len(outline)]
        if outlines:
            return outlines
    return [Element("bndbox")]  # whose corners are missing then


def _shape(outline: Element, element: Element, class_index: int, what: str) -> Shape:
    """A polygon, or a box, turned clockwise where its tool says so: by `angle` in radians, or an attribute in degrees.

    All count pixels from 1. Raises ImportRefused, NoArea.
    """
    if outline.tag == "polygon":
        return polygon(class_index, _corners(outline, what), what)
    if outline.tag == "robndbox":
        x, y, width, height, angle = (
            number(outline.findtext(key), f"{key} of {what}") for key in ("cx", "cy", "w", "h", "angle")
        )
        flat = box(class_index, x - width / 2, y - height / 2, x + width / 2, y + height / 2, what)
        return turned(flat, float(np.rad2deg(angle)), about=(x, y))
    x0, y0, x1, y1 = (number(outline.findtext(key), f"{key} of {what}") for key in ("xmin", "ymin", "xmax", "ymax"))
    named = {
        attribute.findtext("name", "").strip(): attribute.findtext("value")
        for attribute in element.iterfind("attributes/attribute")
    }
    degrees = number(named.get("rotation") or "0", f"rotation of {what}")
    return turned(box(class_index, x0 - 1, y0 - 1, x1, y1, what), degrees, about=((x0 - 1 + x1) / 2, (y0 - 1 + y1) / 2))


def _corners(outline: Element, what: str) -> list[float]:
    """x, y, x, y, ... of elements x1, y1, x2, y2, ..., or of points with an x and a y."""
    points = [child for child in outline if child.find("x") is not None]
    if points:
        written = [point.findtext(key) for point in points for key in "xy"]
    else:
        corner_numbers = sorted({int(child.tag[1:]) for child in outline if re.fullmatch(r"[xy]\d+", child.tag)})
        written = [outline.findtext(f"{key}{at}") for at in corner_numbers for key in "xy"]
    return [number(coordinate, f"a corner of {what}") - 1 for coordinate in written]


NO_BACKGROUND = "_background_:0,0,0::"
BORDER_RGB = (224, 224, 192)
"""The colour VOC shows its border in; no class has it, see `palette.recoloured`."""


@dataclass(frozen=True, slots=True)
class Voc:
    """Pixel value = line of labelmap.txt, counted from 0; line 0 is the background, which no pixel has in a project
    without one, for readers of the format never take the value 0 for a class.

    `border` pixels on either side of every edge between classes are 255, which says "do not count this".
    """

    subject: Subject
    border: int = 0

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile | Line]:
        """The mask of the image as a palette PNG file, and its line in the list of its split."""
        table = np.full(IGNORE + 1, 0 if self.subject.background is not None else IGNORE, np.uint8)
        table[IGNORE] = IGNORE
        palette = np.zeros((IGNORE + 1, 3), np.uint8)
        for value, label in enumerate(self._labels()):
            if label is not None:
                table[label.id], palette[value] = value, rgb(label)
        palette[IGNORE] = BORDER_RGB
        values = table[image.mask]
        if self.border:
            values[_edges(values, self.border)] = IGNORE
        yield WholeFile(f"voc/SegmentationClass/{image.stem}.png", index_png(values, palette))
        yield Line(f"voc-{image.split}", image.stem.encode())

    def of_all(self) -> Iterator[Assembly]:
        """The file labelmap.txt, and a list of images per part of a split."""
        lines = ["# label:color_rgb:parts:actions", *(_line(label) for label in self._labels())]
        yield Assembly("voc/labelmap.txt", (("\n".join(lines) + "\n").encode(),))
        for split in self.subject.splits or ("",):
            name = f"voc/ImageSets/Segmentation/{split or 'trainval'}.txt"
            yield Assembly(name, (Spooled(f"voc-{split}"),))

    def _labels(self) -> list[ClassLabel | None]:
        """The class of each pixel value; None of the background that a project lacks."""
        background = (label for label in self.subject.named() if label.id == self.subject.background)
        return [next(background, None), *self.subject.objects()]


def _line(label: ClassLabel | None) -> str:
    if label is None:
        return NO_BACKGROUND
    return f"{label.name.replace(':', '_')}:{','.join(map(str, rgb(label)))}::"


def _edges(values: NDArray[np.uint8], border: int) -> NDArray[np.bool_]:
    """(H, W) bool: pixels at most so far, along rows, columns and diagonals, from one of another value."""
    square = np.ones((2 * border + 1, 2 * border + 1), np.uint8)
    return np.asarray(cv2.morphologyEx(values, cv2.MORPH_GRADIENT, square) > 0)


def _find_masks(folder: Path) -> Path | None:
    return folder if any(MASKS & {*mask.parts} for mask in masks_below(folder)) else None


FORMATS = (
    Format(
        "voc",
        "Pascal VOC",
        "palette PNG, labelmap.txt and lists of images",
        SHAPES,
        230,
        write=lambda options: Voc(options.subject, options.border),
        options=frozenset({"border"}),
        has_file_names=True,
        read=read_voc,
        read_title="Pascal VOC",
        clues=(FolderClue(20, _find_masks), FileClue((".xml",), rb"<annotation[\s>]", rank=2, holds="image")),
    ),
)
