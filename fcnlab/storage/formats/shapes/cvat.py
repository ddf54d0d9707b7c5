"""CVAT XML 1.1 "for images"."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, Format, Need
from fcnlab.storage.formats.reading.label_tables import colour_of
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.runs import pixels_of_runs
from fcnlab.storage.formats.reading.shapes import (
    UNKNOWN_PIXELS,
    Ellipse,
    Marks,
    Shape,
    ShapeClasses,
    Stamp,
    box,
    hull,
    polygon,
    shape_classes,
    turned,
)
from fcnlab.storage.formats.reading.values import (
    ReadOptions,
    claimed_hw,
    name_in,
    number,
    text,
    whole,
    xml_elements,
)
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Line, Region, Spooled, Subject

ELEMENTS = frozenset({"meta", "image", "track"})
POSITIONS = frozenset({"points", "polyline"})
"""Elements whose corners become points."""

KINDS = frozenset({"polygon", "box", "ellipse", "mask"})
CUBOID = tuple(f"{axis}{edge}{end}" for edge in ("tl", "bl", "tr", "br") for end in "12" for axis in "xy")
"""How the attributes with the eight corners of a cuboid are called."""


def read_cvat(path: Path, options: ReadOptions) -> LabelSource:
    """The images of a file: polygons, boxes, ellipses and masks, the highest z_order on top; points.

    The corners of polylines become points. Tags say nothing of pixels. What a cuboid spans is unknown, and where an
    image has a skeleton, so is all that is outside the other shapes. An image without shapes is left out: CVAT lists
    those too that nobody has looked at.

    Raises:
        ImportRefused: damaged, cut off, or CVAT's format for videos.
    """
    named: dict[str, FileClass] = {}
    total = 0
    for element in xml_elements(path, ELEMENTS):
        if element.tag == "track":
            raise ImportRefused(f"{path.name} is CVAT's format for videos: export it as 'CVAT for images 1.1'")
        if element.tag == "meta":
            named |= {file_class.name: file_class for file_class in _declared(element)}
        else:
            total += 1
            for shape in element:
                label = name_in(shape.get("label"))
                if label:
                    named.setdefault(label, FileClass(label))
    if not total:
        raise ImportRefused(f"{path.name} lists no image; is it an export in the format 'CVAT for images 1.1'?")
    classes = shape_classes(named.values(), rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for count, element in enumerate(xml_elements(path, frozenset({"image"})), start=1):
            name = element.get("name") or f"image {count}"
            try:
                yield _image(element, name, classes)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, total, read)


def _declared(meta: Element) -> Iterator[FileClass]:
    for label in meta.iter("label"):
        name, colour = label.findtext("name"), label.findtext("color")
        if name and name.strip():
            yield FileClass(name.strip(), colour_of(colour, f"the colour of {name}") if colour else "")


def _image(element: Element, name: str, classes: ShapeClasses) -> LabelledImage:
    text(element.get("name"), "the name of an image")
    marks = Marks(name, claimed_hw(element.get("height"), element.get("width"), name), classes)
    for count, child in enumerate(element, start=1):
        if child.tag != "tag":
            with marks.dropping():
                _take(child, f"{child.tag} {count} of {name}", marks)
    return marks.image()


def _take(element: Element, what: str, marks: Marks) -> None:
    """Add what one element says to the marks. Raises NoArea."""
    if element.tag == "skeleton":
        marks.unread(what, "cannot be read")
        return
    class_index = marks.class_index_of(element.get("label"), f"the label of {what}")
    order = int(number(element.get("z_order", "0"), f"z_order of {what}"))
    if element.tag in POSITIONS:
        corners = _corners(element, what)
        pairs = list(zip(corners[::2], corners[1::2], strict=True))
        if element.tag == "polyline":
            marks.add_line(pairs, class_index, what, order=order)
        else:
            for x, y in pairs:
                marks.add_point(x, y, class_index, what)
    elif element.tag == "cuboid":
        values = [number(element.get(key), f"{key} of {what}") for key in CUBOID]
        marks.add(hull(IGNORE, list(zip(values[::2], values[1::2], strict=True)), what), order=order)
        marks.notes.add(f"{what} is not read: {UNKNOWN_PIXELS}")
    elif element.tag in KINDS:
        marks.add(_shape(element, class_index, what), order=order)
    else:
        marks.unread(what, "is of a kind that is not known")


def _shape(element: Element, class_index: int, what: str) -> Shape:
    degrees = number(element.get("rotation", "0"), f"rotation of {what}")
    if element.tag == "polygon":
        return polygon(class_index, _corners(element, what), what)
    if element.tag == "box":
        x0, y0, x1, y1 = (number(element.get(key), f"{key} of {what}") for key in ("xtl", "ytl", "xbr", "ybr"))
        return turned(box(class_index, x0, y0, x1, y1, what), degrees, about=((x0 + x1) / 2, (y0 + y1) / 2))
    if element.tag == "ellipse":
        x, y, x_radius, y_radius = (number(element.get(key), f"{key} of {what}") for key in ("cx", "cy", "rx", "ry"))
        if x_radius < 0 or y_radius < 0:
            raise ImportRefused(f"{what} has a negative size")
        return Ellipse(class_index, x, y, x_radius, y_radius, degrees, what)
    return _stamp(element, class_index, what)


def _stamp(element: Element, class_index: int, what: str) -> Stamp:
    """Runs row by row in a box, outside first."""
    top, left = (int(number(element.get(key), f"{key} of {what}")) for key in ("top", "left"))
    height, width = (whole(element.get(key), f"{key} of {what}", least=1) for key in ("height", "width"))
    words = text(element.get("rle"), f"rle of {what}").split(",")
    most = height * width + 1
    counts = np.array([min(whole(word.strip(), f"rle of {what}"), most) for word in words], np.int64)
    return Stamp(
        class_index,
        top,
        left,
        (height, width),
        lambda: pixels_of_runs(counts, height * width, what).reshape(height, width),
        what,
    )


def _corners(element: Element, what: str) -> list[float]:
    pairs = [pair.split(",") for pair in text(element.get("points"), f"points of {what}").split(";")]
    if any(len(pair) != 2 for pair in pairs):
        raise ImportRefused(f"the points of {what} are no pairs x,y")
    return [number(word, f"a corner of {what}") for pair in pairs for word in pair]


@dataclass(frozen=True, slots=True)
class Cvat:
    """A region in one piece without holes is a polygon, any other a mask: CVAT's polygons have no holes."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The `image` element of the document."""
        subset = f" subset={quoteattr(image.split)}" if image.split else ""
        head = (
            f'<image id="{image.number - 1}" name={quoteattr(image.name)}{subset} '
            f'width="{image.width}" height="{image.height}"'
        )
        shapes = "".join(f"\n    {self._shape(region)}" for region in image.regions)
        yield Line("cvat", (f"  {head}>{shapes}\n  </image>" if shapes else f"  {head}/>").encode())

    def of_all(self) -> Iterator[Assembly]:
        """The document annotations.xml."""
        labels = "".join(
            f"\n        <label><name>{escape(label.name)}</name><color>{label.colour.lower()}</color>"
            "<type>any</type><attributes></attributes></label>"
            for label in self.subject.objects()
        )
        head = (
            '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>\n    <task>\n'
            f"      <name>{escape(self.subject.title)}</name>\n      <labels>{labels}\n      </labels>\n"
            "    </task>\n  </meta>\n"
        )
        yield Assembly("cvat/annotations.xml", (head.encode(), Spooled("cvat"), b"</annotations>\n"))

    def _shape(self, region: Region) -> str:
        label = quoteattr(self.subject.name_of(region.class_id))
        common = f'label={label} source="manual" occluded="0"'
        pieces = region.pieces
        if len(pieces) == 1 and not pieces[0].holes:
            corners = ";".join(f"{col},{row}" for row, col in pieces[0].outer.tolist())
            return f'<polygon {common} points="{corners}" z_order="0"/>'
        flat = region.inside.ravel()
        changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        counts = np.diff(np.concatenate([[0], [0] if flat[0] else [], changes, [flat.size]]).astype(np.int64))
        runs = ", ".join(map(str, counts.tolist()))
        box = f'left="{region.left}" top="{region.top}" width="{region.width}" height="{region.height}"'
        return f'<mask {common} rle="{runs}" {box} z_order="0"/>'


FORMATS = (
    Format(
        "cvat",
        "CVAT",
        "XML 1.1 for images",
        SHAPES,
        260,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Cvat(options.subject),
        has_file_names=True,
        read=read_cvat,
        read_title="CVAT XML 1.1 for images",
        clues=(FileClue((".xml",), rb"<annotations[\s>]", rank=1),),
    ),
)
