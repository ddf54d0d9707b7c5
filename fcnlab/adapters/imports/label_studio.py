"""Label Studio JSON: a list of tasks with their annotations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from fcnlab.adapters.images import SUFFIXES
from fcnlab.adapters.imports.labelled import FileClass, FilePoint, LabelledImage, LabelSource, UnreadLabels
from fcnlab.adapters.imports.reading import ReadOptions, claimed_hw, listing, mapping, number, read_json, shown, text
from fcnlab.adapters.imports.shapes import (
    Ellipse,
    Shape,
    ShapeClasses,
    Stamp,
    box,
    drawn,
    point_at,
    polygon,
    shape_classes,
    turned,
)
from fcnlab.adapters.label_studio_brush import decode_brush
from fcnlab.errors import ImportRefused

KINDS = ("polygon", "rectangle", "ellipse", "brush", "keypoint")
NO_AREA = frozenset(
    {"labels", "choices", "textarea", "rating", "number", "taxonomy", "datetime", "ranker", "pairwise", "relation"}
)
"""Results that mark no part of an image."""

SERVED = "/data/"
"""How addresses of files begin that Label Studio serves itself."""

UPLOADED = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the names of files that were uploaded to it."""

Result = Mapping[str, Any]


def read_label_studio(path: Path, options: ReadOptions) -> LabelSource:
    """The tasks of an export in the format JSON: polygons, rectangles, ellipses and brushes; keypoints are points.

    Of several annotations of a task the one marked as ground truth counts, else the last that was not cancelled.
    Coordinates are per cent of width and height; rectangles turn about their top left corner. Tasks with regions of
    other kinds are left out, and so are those in which something was said, but no region marked.

    Raises:
        ImportRefused: no such export, or damaged.
    """
    tasks = listing(read_json(path), path.name)
    names: set[str] = set()
    for task in tasks:
        try:
            names |= {label for _, _, label in _labelled(_results(mapping(task, "a task")))}
        except ImportRefused:  # named when its turn comes
            continue
    classes = shape_classes([FileClass(name) for name in sorted(names)], rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for count, task in enumerate(tasks, start=1):
            name = f"task {count}"
            try:
                whole = mapping(task, name)
                name = _image_name(whole, name)
                yield _image(name, _results(whole), classes)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, len(tasks), read)


def _image_name(task: Mapping[str, Any], what: str) -> str:
    """The name of the picture in its address: a path, an address of the web, or a query of local storage."""
    data = mapping(task.get("data"), f"the data of {what}")
    named = [_path_in(one) for one in data.values() if isinstance(one, str)]
    found = data.get("image") or next((one for one in named if one.lower().endswith(tuple(SUFFIXES))), None)
    name = _path_in(text(found or task.get("file_upload"), f"the image of {what}"))
    if "/upload/" in name or not found:
        return UPLOADED.sub("", name.rpartition("/")[2])  # its folder is a number of Label Studio's own
    return name


def _path_in(address: str) -> str:
    if "://" not in address and not address.startswith(SERVED):
        return address
    try:
        parts = urlsplit(address)
    except ValueError:  # a text with a damaged address
        return address
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _results(task: Mapping[str, Any]) -> list[Result]:
    kept = []
    for one in listing(task.get("annotations", task.get("completions")), "the annotations"):
        annotation = mapping(one, "an annotation")
        if not annotation.get("was_cancelled"):
            kept.append(annotation)
    if not kept:
        raise ImportRefused("nobody annotated it")
    chosen = next((one for one in kept if one.get("ground_truth")), kept[-1])
    return [mapping(one, "a result") for one in listing(chosen.get("result"), "the result of an annotation")]


def _labelled(results: list[Result]) -> Iterator[tuple[Result, str, str]]:
    """(result, kind of shape, label) of every shape with a label, perhaps in a result of its own with the same id."""
    apart = {}
    for one in results:
        value = one.get("value")
        if one.get("type") == "labels" and isinstance(value, dict):
            apart[str(one.get("id"))] = value.get("labels")
    for one in results:
        named, value = str(one.get("type")), one.get("value")
        kind = named.removesuffix("labels")
        if kind not in KINDS or not isinstance(value, dict):
            continue
        found = value.get(named) or value.get("labels") or apart.get(str(one.get("id")))
        if isinstance(found, list) and found and isinstance(found[0], str) and found[0].strip():
            yield one, kind, found[0]


def _image(name: str, results: list[Result], classes: ShapeClasses) -> LabelledImage:
    _refuse_unread(results)
    shapes: list[Shape] = []
    points: list[FilePoint] = []
    hw: tuple[int, int] | None = None
    for one, kind, label in _labelled(results):
        what = f"{kind} {shown(one.get('id'))}"
        own = claimed_hw(one.get("original_height"), one.get("original_width"), what)
        if own is None or (hw is not None and own != hw):
            raise ImportRefused(f"{what} says nothing about the size of its image, or something else than the others")
        if one.get("image_rotation"):
            raise ImportRefused(f"{what} was drawn on the image turned by {one['image_rotation']} degrees")
        hw, value, place = own, mapping(one.get("value"), what), classes.place_of(label, what)
        if kind == "keypoint":
            x, y = (_share(value, key, size, what) for key, size in (("x", hw[1]), ("y", hw[0])))
            points.append(point_at(min(x, hw[1]), min(y, hw[0]), place, what, hw))
        else:
            shapes.append(_shape(kind, value, place, hw, what))
    mask = None if points and not shapes else partial(drawn, shapes, ground=classes.ground)
    return LabelledImage(name, hw, mask, tuple(points))


def _refuse_unread(results: list[Result]) -> None:
    """What was marked must not become background, nor an image of which only a property was said."""
    for one in results:
        kind = str(one.get("type"))
        if kind.removesuffix("labels") not in KINDS and kind not in NO_AREA:
            raise ImportRefused(f"it has a region of the kind {shown(kind)}, which cannot be read; draw it as a brush")
    if results and next(_labelled(results), None) is None:
        raise ImportRefused("no region with a class was marked in it")


def _shape(kind: str, value: Mapping[str, Any], place: int, hw: tuple[int, int], what: str) -> Shape:
    height, width = hw
    if kind == "brush":
        if value.get("format") != "rle":
            raise ImportRefused(f"{what} is in the format {shown(value.get('format'))}, wanted 'rle'")
        code = listing(value.get("rle"), f"the rle of {what}")
        return Stamp(place, 0, 0, hw, partial(decode_brush, code, hw, place=what))
    if kind == "polygon":
        pairs = [listing(pair, f"a point of {what}") for pair in listing(value.get("points"), f"the points of {what}")]
        if any(len(pair) != 2 for pair in pairs):
            raise ImportRefused(f"the points of {what} are no pairs")
        shares = [number(one, f"a point of {what}") for pair in pairs for one in pair]
        return polygon(place, [share * hw[1 - spot % 2] / 100 for spot, share in enumerate(shares)], what)
    x, y = _share(value, "x", width, what), _share(value, "y", height, what)
    degrees = number(value.get("rotation", 0), f"rotation of {what}")
    if kind == "ellipse":
        radii = (_share(value, "radiusX", width, what), _share(value, "radiusY", height, what))
        if min(radii) < 0:
            raise ImportRefused(f"{what} has a negative size")
        return Ellipse(place, x, y, *radii, degrees)
    right, bottom = x + _share(value, "width", width, what), y + _share(value, "height", height, what)
    return turned(box(place, x, y, right, bottom, what), degrees, about=(x, y))


def _share(value: Mapping[str, Any], key: str, size: int, what: str) -> float:
    return number(value.get(key), f"{key} of {what}") * size / 100
