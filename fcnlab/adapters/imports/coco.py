"""COCO JSON: polygons, compressed and uncompressed runs. Read once; masks are decoded one image at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.imports.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.adapters.imports.reading import (
    ReadOptions,
    claimed_hw,
    listing,
    mapping,
    number,
    read_json,
    shown,
    text,
    whole,
)
from fcnlab.adapters.imports.runs import counts_of_text, pixels_of_runs
from fcnlab.adapters.imports.shapes import ShapeClasses, shape_classes
from fcnlab.domain import MAX_CLASSES
from fcnlab.errors import ImportRefused

Annotation = Mapping[str, Any]


def read_coco(path: Path, options: ReadOptions) -> LabelSource:
    """The images of a COCO file with all their annotations; what is said to be a crowd is of its class as well.

    Polygons are filled as pycocotools does it, so that a mask is the one that other readers of COCO get. Annotations
    without a segmentation are their boxes. Later annotations lie over earlier ones.

    Raises:
        ImportRefused: no COCO file, damaged, or a list in it is missing.
    """
    content = mapping(read_json(path), path.name)
    images = listing(content.get("images"), f"'images' of {path.name}")
    annotations = listing(content.get("annotations"), f"'annotations' of {path.name}")
    names = _names(listing(content.get("categories"), f"'categories' of {path.name}"))
    by_image: dict[Any, list[Annotation]] = defaultdict(list)
    used = set()
    for one in annotations:
        annotation = mapping(one, f"an annotation of {path.name}")
        by_image[_key(annotation.get("image_id"))].append(annotation)
        used.add(_key(annotation.get("category_id")))
    kept = names if len(names) < MAX_CLASSES else {key: name for key, name in names.items() if key in used}
    classes = shape_classes([FileClass(name) for name in kept.values()], rest=options.rest)
    known = {_key(one.get("id")) for one in images if isinstance(one, dict)}
    lost = [key for key in by_image if key not in known]

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for one in images:
            yield _image(one, by_image, kept, classes)
        for key in lost:
            yield UnreadLabels(f"image_id {shown(key)}", "annotations of an image that the file does not list")

    return LabelSource(classes.classes, len(images) + len(lost), read)


def _names(categories: Sequence[Any]) -> dict[Any, str]:
    found = {}
    for one in categories:
        category = mapping(one, "a category")
        found[_key(category.get("id"))] = text(category.get("name"), "the name of a category")
    return found


def _key(value: object) -> object:
    return value if isinstance(value, int | str) else shown(value)


def _image(
    one: object, by_image: Mapping[Any, list[Annotation]], names: Mapping[Any, str], classes: ShapeClasses
) -> LabelledImage | UnreadLabels:
    name = "an image"
    try:
        image = mapping(one, "an image")
        name = text(image.get("file_name"), "the file_name of an image")
        hw = claimed_hw(image.get("height"), image.get("width"), name)
        places = []
        own = by_image.get(_key(image.get("id")), [])
        for annotation in own:
            category = _key(annotation.get("category_id"))
            if category not in names:
                raise ImportRefused(f"{_what(annotation)} is of category {shown(category)}, which the file lacks")
            places.append(classes.places[names[category]])
        return LabelledImage(name, hw, partial(_mask, annotations=own, places=places, ground=classes.ground))
    except ImportRefused as refusal:
        return UnreadLabels(name, str(refusal))


def _mask(
    hw: tuple[int, int], *, annotations: Sequence[Annotation], places: Sequence[int], ground: int
) -> NDArray[np.uint8]:
    mask = np.full(hw, ground, np.uint8)
    for annotation, place in zip(annotations, places, strict=True):
        segmentation = annotation.get("segmentation")
        if isinstance(segmentation, dict):
            mask[_pixels_of_runs(segmentation, hw, _what(annotation))] = place
        else:
            mask[_pixels_of_polygons(annotation, hw)] = place
    return mask


def _pixels_of_runs(segmentation: Annotation, hw: tuple[int, int], what: str) -> NDArray[np.bool_]:
    size = [whole(one, f"the size of {what}") for one in listing(segmentation.get("size"), f"the size of {what}")]
    if size != list(hw):
        raise ImportRefused(f"the runs of {what} are for {size}, the image has {list(hw)} rows and columns")
    packed = segmentation.get("counts")
    if isinstance(packed, str):
        counts = counts_of_text(packed, what)
    else:
        named = f"the counts of {what}"
        most = hw[0] * hw[1] + 1
        counts = np.array([min(whole(one, named), most) for one in listing(packed, named)], np.int64)
    return _by_columns(counts, hw, what)


def _by_columns(counts: NDArray[np.int64], hw: tuple[int, int], what: str) -> NDArray[np.bool_]:
    """COCO counts down the columns."""
    return pixels_of_runs(counts, hw[0] * hw[1], what).reshape(hw[::-1]).T


def _pixels_of_polygons(annotation: Annotation, hw: tuple[int, int]) -> NDArray[np.bool_]:
    from pycocotools import mask as coco

    what = _what(annotation)
    rings = annotation.get("segmentation")
    if rings is None or rings == []:
        rings = [_corners_of_box(annotation, what)]
    checked = [_ring(one, hw, what) for one in listing(rings, f"the segmentation of {what}")]
    packed = coco.merge(coco.frPyObjects(checked, *hw))
    return _by_columns(counts_of_text(packed["counts"], what), hw, what)


def _ring(ring: object, hw: tuple[int, int], what: str) -> list[float]:
    values = [number(one, f"a corner of {what}") for one in listing(ring, f"a polygon of {what}")]
    if len(values) < 6 or len(values) % 2:
        raise ImportRefused(f"a polygon of {what} has {len(values)} coordinates: wanted pairs, at least three")
    for most, along in ((hw[1], values[::2]), (hw[0], values[1::2])):
        if min(along) < -most or max(along) > 2 * most:
            raise ImportRefused(f"{what} lies far outside the image of {hw[1]} x {hw[0]} pixels")
    return values


def _corners_of_box(annotation: Annotation, what: str) -> list[float]:
    values = [number(one, f"the bbox of {what}") for one in listing(annotation.get("bbox"), f"the bbox of {what}")]
    if len(values) != 4 or values[2] < 0 or values[3] < 0:
        raise ImportRefused(f"the bbox of {what} is {shown(values)}, wanted x, y, width and height")
    x, y, width, height = values
    return [x, y, x + width, y, x + width, y + height, x, y + height]


def _what(annotation: Annotation) -> str:
    return f"annotation {shown(annotation.get('id', '?'))}"
