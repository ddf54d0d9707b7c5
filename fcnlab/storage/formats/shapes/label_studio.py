"""Label Studio JSON: a list of tasks with their annotations, and the labelling interface they fit."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.export import EMBEDDED, LOCAL_FILES, PICTURES
from fcnlab.domain.project import IGNORE
from fcnlab.errors import ExportFailed, ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, Format, Need
from fcnlab.storage.formats.masks.colour_masks import colour_png
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.shapes import (
    Ellipse,
    Marks,
    Shape,
    ShapeClasses,
    Stamp,
    box,
    polygon,
    shape_classes,
    turned,
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
from fcnlab.storage.formats.shapes.label_studio_brush import decode_brush
from fcnlab.storage.formats.writing import (
    Assembly,
    ExportedImage,
    Line,
    Region,
    Spooled,
    Subject,
    WholeFile,
)
from fcnlab.storage.image_readers.registry import SUFFIXES

KINDS = ("polygon", "rectangle", "ellipse", "brush", "keypoint")
NO_AREA = frozenset(
    {"labels", "choices", "textarea", "rating", "number", "taxonomy", "datetime", "ranker", "pairwise", "relation"}
)
"""Results that mark no part of an image."""

SERVED = ("/data/", "/tasks/")
"""How addresses of files begin that Label Studio serves itself."""

WEB = frozenset({"http", "https", "file"})
"""Addresses whose paths are quoted; those of stores (s3, gs, azure-blob...) are keys, taken as they are."""

UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the names of files that were uploaded to it."""

Result = Mapping[str, Any]


def read_label_studio(path: Path, options: ReadOptions) -> LabelSource:
    """The tasks of an export in the format JSON: polygons, rectangles, ellipses and brushes; keypoints are points.

    Of several annotations of a task the one marked as ground truth counts, else the last with regions that was not
    cancelled; what only the others marked is unknown. One that was submitted without regions says that nothing is
    there. Coordinates are per cent of width and height; rectangles turn about their top left corner. Of several labels
    of a region the first counts; regions without one are unknown. Tasks with regions of other kinds are left out, and
    so are those in which something was said, but no region marked.

    Raises:
        ImportRefused: no such export, or damaged.
    """
    tasks = listing(read_json(path), path.name)
    if any(
        isinstance(listed_task, dict) and "annotation_id" in listed_task and "annotations" not in listed_task
        for listed_task in tasks
    ):
        raise ImportRefused(
            f"{path.name} is an export as JSON-MIN, which lacks parts of what was marked: export the project as JSON"
        )
    names: set[str] = set()
    for task in tasks:
        try:
            regions = _regions(_annotations(mapping(task, "a task"))[0])
            names |= {labels[0] for _, _, labels in regions if labels}
        except ImportRefused:  # named when its turn comes
            continue
    classes = shape_classes([FileClass(name) for name in sorted(names)], rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for count, task in enumerate(tasks, start=1):
            name = f"task {count}"
            try:
                whole = mapping(task, name)
                name = _image_name(whole, name)
                yield _image(name, _annotations(whole), classes)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, len(tasks), read)


def _image_name(task: Mapping[str, Any], what: str) -> str:
    """The name of the picture in its address: a path, an address of the web or a store, or a query of Label Studio."""
    data = mapping(task.get("data"), f"the data of {what}")
    named = [_path_in(value) for value in data.values() if isinstance(value, str)]
    address = data.get("image") or next((path for path in named if path.lower().endswith(tuple(SUFFIXES))), None)
    name = _path_in(text(address or task.get("file_upload"), f"the image of {what}"))
    if "/upload/" in name or not address:
        return UPLOADED.sub("", name.rpartition("/")[2])  # its folder is a number of Label Studio's own
    return name


def _path_in(address: str) -> str:
    scheme, sign, rest = address.partition("://")
    if sign and scheme.lower() not in WEB:
        key = f"/{rest.partition('/')[2]}"  # behind the bucket
        before = key.partition("?")[0]
        return before if before.lower().endswith(tuple(SUFFIXES)) else key
    if not sign and not address.startswith(SERVED):
        return address
    try:
        parts = urlsplit(address if sign else address.replace("#", "%23"))
    except ValueError:  # a text with a damaged address
        return address
    query = parse_qs(parts.query)
    if "fileuri" in query:
        try:
            return _path_in(base64.b64decode(query["fileuri"][0], validate=True).decode())
        except ValueError:
            return address
    return query["d"][0] if "d" in query else unquote(parts.path)


def _annotations(task: Mapping[str, Any]) -> tuple[list[Result], list[Result]]:
    """The results of the annotation that counts, and those of the others where it is not known to be the truth."""
    kept = []
    for listed_annotation in listing(task.get("annotations", task.get("completions")), "the annotations"):
        annotation = mapping(listed_annotation, "an annotation")
        if not annotation.get("was_cancelled"):
            kept.append(annotation)
    if not kept:
        raise ImportRefused("nobody annotated it")
    truth = next((candidate for candidate in kept if candidate.get("ground_truth")), None)
    listed: dict[int, list[Result]] = {
        id(candidate): [
            mapping(part, "a result") for part in listing(candidate.get("result"), "the result of an annotation")
        ]
        for candidate in kept
    }
    marked = [candidate for candidate in kept if next(_regions(listed[id(candidate)]), None) is not None]
    chosen = truth or (marked or kept)[-1]
    others = (
        [] if truth else [part for candidate in marked if candidate is not chosen for part in listed[id(candidate)]]
    )
    return listed[id(chosen)], others


def _kind(result: Result) -> str:
    return str(result.get("type")).removesuffix("labels")


def _regions(results: list[Result]) -> Iterator[tuple[Result, str, list[str]]]:
    """(result, kind of shape, labels) of every region; labels may stand in a result of their own with the same id."""
    by_id: dict[str, list[str]] = {}
    for result in results:
        labels = _labels(result)
        if labels and result.get("id") is not None:
            by_id.setdefault(str(result.get("id")), labels)
    drawn_ids = set()
    for result in results:
        if _kind(result) not in KINDS or not isinstance(result.get("value"), dict):
            continue
        key = str(result.get("id"))
        region_labels = _labels(result)
        if region_labels or key not in drawn_ids or result.get("id") is None:
            drawn_ids.add(key)
            yield result, _kind(result), region_labels or by_id.get(key, [])


def _labels(result: Result) -> list[str]:
    value = result.get("value")
    named = str(result.get("type"))
    if not isinstance(value, dict) or (_kind(result) not in KINDS and named != "labels"):
        return []
    labels = value.get(named) or value.get("labels") or value.get(f"{_kind(result)}labels")
    return [name for name in map(name_in, labels if isinstance(labels, list) else [labels]) if name]


def _image(name: str, annotations: tuple[list[Result], list[Result]], classes: ShapeClasses) -> LabelledImage:
    results, others = annotations
    if not results:  # submitted without regions
        return LabelledImage(name, None, partial(np.full, fill_value=classes.ground, dtype=np.uint8))
    for result in results:  # what was marked must not become background
        if _kind(result) not in KINDS and str(result.get("type")) not in NO_AREA:
            raise ImportRefused(
                f"it has a region of the kind {shown(str(result.get('type')))}, which cannot be read; "
                "draw it as a brush"
            )
    regions = [(*region, True) for region in _regions(results)]
    if not regions:
        raise ImportRefused("no region with a class was marked in it")
    hw = _hw([region_result for region_result, *_ in regions])
    marks = Marks(name, hw, classes)
    if others:
        marks.notes.add("others annotated it too: what only they marked is unknown")
        regions = [*((*region, False) for region in _regions(others)), *regions]
    for result, kind, labels, counts in regions:
        what = f"{kind} {shown(result.get('id'))}"
        class_index = IGNORE
        if counts:
            class_index = marks.class_index_of(labels[0] if labels else None, f"the label of {what}")
        if counts and len(labels) > 1:
            marks.notes.add(f"{what} has the labels {', '.join(map(repr, labels))}: only the first is taken")
        value = mapping(result.get("value"), what)
        with marks.dropping():
            if kind == "keypoint":
                x, y = (_share(value, key, size, what) for key, size in (("x", hw[1]), ("y", hw[0])))
                marks.add_point(min(x, hw[1]), min(y, hw[0]), class_index, what)
            else:
                marks.add(_shape(kind, value, class_index, hw, what))
    return marks.image()


def _hw(results: list[Result]) -> tuple[int, int]:
    """The size that all regions claim. Raises ImportRefused: one claims none, or another; or the image was turned."""
    sizes = set()
    for result in results:
        what = f"{_kind(result)} {shown(result.get('id'))}"
        sizes.add(claimed_hw(result.get("original_height"), result.get("original_width"), what))
        if result.get("image_rotation"):
            raise ImportRefused(f"{what} was drawn on the image turned by {result['image_rotation']} degrees")
        if None in sizes or len(sizes) > 1:
            raise ImportRefused(f"{what} says nothing about the size of its image, or something else than the others")
    return next(hw for hw in sizes if hw is not None)


def _shape(kind: str, value: Mapping[str, Any], class_index: int, hw: tuple[int, int], what: str) -> Shape:
    height, width = hw
    if kind == "brush":
        if value.get("format") != "rle":
            raise ImportRefused(f"{what} is in the format {shown(value.get('format'))}, wanted 'rle'")
        code = listing(value.get("rle"), f"the rle of {what}")
        return Stamp(class_index, 0, 0, hw, partial(decode_brush, code, hw, what=what), what)
    if kind == "polygon":
        pairs = [listing(pair, f"a point of {what}") for pair in listing(value.get("points"), f"the points of {what}")]
        if any(len(pair) != 2 for pair in pairs):
            raise ImportRefused(f"the points of {what} are no pairs")
        shares = [number(coordinate, f"a point of {what}") for pair in pairs for coordinate in pair]
        return polygon(class_index, [share * hw[1 - spot % 2] / 100 for spot, share in enumerate(shares)], what)
    x, y = _share(value, "x", width, what), _share(value, "y", height, what)
    degrees = number(value.get("rotation", 0), f"rotation of {what}")
    if kind == "ellipse":
        radii = (_share(value, "radiusX", width, what), _share(value, "radiusY", height, what))
        if min(radii) < 0:
            raise ImportRefused(f"{what} has a negative size")
        return Ellipse(class_index, x, y, *radii, degrees, what)
    right, bottom = x + _share(value, "width", width, what), y + _share(value, "height", height, what)
    return turned(box(class_index, x, y, right, bottom, what), degrees, about=(x, y))


def _share(value: Mapping[str, Any], key: str, size: int, what: str) -> float:
    return number(value.get(key), f"{key} of {what}") * size / 100


FROM_NAME, TO_NAME = "tag", "image"
CHANNELS = 4
"""Brush masks are pictures with red, green, blue and opacity, all alike here."""

SIZE_BITS = (3, 4, 8, 16)
"""How many bits the length of a run may have; two bits say which."""

WORD_BITS = 8

SHOWN = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp"})
"""Endings of files that browsers show."""

BIT_DEPTH_AT = 24
"""Where a PNG file says how many bits a value has; of 16 bits browsers show the upper 8, whatever they hold."""


@dataclass(frozen=True, slots=True)
class LabelStudio:
    """One task per image with one annotation, a brush mask per region; `data.image` says where its picture is.

    Args:
        subject: what is exported.
        prefix: of the address of every picture, before its name; EMBEDDED: the pictures are in the tasks.
        has_pictures: whether the pictures are written to `images`, for the prefix LOCAL_FILES to find them.
    """

    subject: Subject
    prefix: str = ""
    has_pictures: bool = False

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile | Line]:
        """The task of the image, and the picture it shows where that is written too."""
        address = f"{self.prefix}{quote(image.name) if self.prefix else image.name}"
        if self.prefix == EMBEDDED:
            ending, picture = shown_picture(image)
            kind = mimetypes.types_map[ending]
            address = f"data:{kind};base64,{base64.b64encode(picture).decode()}"
        elif self.has_pictures:
            ending, picture = shown_picture(image)
            address = f"{self.prefix}{quote(image.place + ending)}"
            yield WholeFile(f"label_studio/{PICTURES}{image.place}{ending}", picture)
        data = {"image": address, **({"split": image.split} if image.split else {})}
        result = [
            self._result(image, region, region_number) for region_number, region in enumerate(image.regions, start=1)
        ]
        task = {"id": image.number, "data": data, "annotations": [{"id": image.number, "result": result}]}
        yield Line("label-studio", json.dumps(task, ensure_ascii=False, separators=(",", ":")).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The files tasks.json and interface.xml."""
        yield Assembly("label_studio/tasks.json", (b"[\n", Spooled("label-studio", b","), b"]\n"))
        labels = "".join(
            f"    <Label value={quoteattr(label.name)} background={quoteattr(label.colour)}/>\n"
            for label in self.subject.objects()
        )
        interface = (
            f'<View>\n  <Image name="{TO_NAME}" value="$image" zoom="true"/>\n'
            f'  <BrushLabels name="{FROM_NAME}" toName="{TO_NAME}">\n{labels}  </BrushLabels>\n</View>\n'
        )
        yield Assembly("label_studio/interface.xml", (interface.encode(),))

    def _result(self, image: ExportedImage, region: Region, region_number: int) -> dict[str, Any]:
        return {
            "id": f"{image.number}-{region_number}",
            "type": "brushlabels",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "original_width": image.width,
            "original_height": image.height,
            "image_rotation": 0,
            "value": {
                "format": "rle",
                "rle": brush_rle(region.row_runs).tolist(),
                "brushlabels": [self.subject.name_of(region.class_id)],
            },
        }


def shown_picture(image: ExportedImage) -> tuple[str, bytes]:
    """Ending and content of a file that a browser shows like the picture: the original, or a PNG of the picture.

    Raises:
        ExportFailed, ImportRefused: the original is gone.
    """
    original = image.original()
    ending = original.suffix.lower()
    if ending in SHOWN:
        try:
            data = original.read_bytes()
        except OSError as failure:
            raise ExportFailed(f"the original of {image.name} cannot be read ({failure.strerror})") from failure
        if ending != ".png" or data[BIT_DEPTH_AT : BIT_DEPTH_AT + 1] <= bytes([WORD_BITS]):
            return ending, data
    return ".png", colour_png(image.picture())


def brush_rle(row_runs: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The bytes of a brush mask: 255 inside, 0 outside, for each of four channels.

    Bits, the highest first: how many values there are (32), bits of a value less one (5), the four lengths of a length
    less one (4 each). Then runs: 1, which length of a length (2), length less one, value. See "Brush RLE" in Label
    Studio's documentation, and the encoding of thi.ng/rle-pack that it names.

    Args:
        row_runs: lengths of pixels outside and inside by turns, row by row, outside first.

    Raises:
        ExportFailed: more pixels than the format can count.
    """
    lengths = row_runs * CHANNELS
    values = np.where(np.arange(len(lengths)) % 2 == 1, 255, 0)
    lengths, values = lengths[lengths > 0], values[lengths > 0]
    most = 1 << SIZE_BITS[-1]
    parts = -(-lengths // most)
    rest = lengths - (parts - 1) * most
    split = np.full(int(parts.sum()), most, np.int64)
    split[np.cumsum(parts) - 1] = rest
    values = np.repeat(values, parts)
    total = int(lengths.sum())
    if total >= 1 << 32:
        raise ExportFailed(f"Label Studio's brush masks end at {(1 << 32) // CHANNELS} pixels: choose another format")
    head = [(total, 32), (WORD_BITS - 1, 5), *((bits - 1, 4) for bits in SIZE_BITS)]
    bits = [_bits(field, width) for field, width in head]
    which = np.searchsorted([1 << width for width in SIZE_BITS], split)
    for length, value, size in zip(split.tolist(), values.tolist(), which.tolist(), strict=True):
        width = 1 + 2 + SIZE_BITS[size] + WORD_BITS
        run_code = (((1 << 2 | size) << SIZE_BITS[size] | (length - 1)) << WORD_BITS) | value
        bits.append(_bits(run_code, width))
    return np.packbits(np.frombuffer("".join(bits).encode(), np.uint8) - ord("0"))


def _bits(value: int, width: int) -> str:
    return f"{value:0{width}b}"


FORMATS = (
    Format(
        "labelstudio",
        "Label Studio",
        "tasks with brush masks, and their images",
        SHAPES,
        270,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: LabelStudio(
            options.subject, options.image_prefix, options.has_pictures and options.image_prefix == LOCAL_FILES
        ),
        options=frozenset({"image_prefix"}),
        has_file_names=True,
        shows_picture=True,
        read=read_label_studio,
        read_title="Label Studio JSON",
        clues=(FileClue((".json",), rb'(?s)\A\s*\[.*"(annotation_id|annotations|completions)"\s*:', rank=10),),
    ),
)
