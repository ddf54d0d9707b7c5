"""COCO JSON: polygons, compressed and uncompressed runs. Read once; masks are decoded one image at a time."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.imports.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.adapters.imports.mask_files import files_below
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
LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, slots=True)
class _File:
    """A COCO file: its images, their annotations by id, and the names of categories by id."""

    path: Path
    images: list[Any]
    by_image: Mapping[Any, list[Annotation]]
    names: Mapping[Any, str]

    def lost(self) -> list[Any]:
        known = {_key(one.get("id")) for one in self.images if isinstance(one, dict)}
        return [key for key in self.by_image if key not in known]

    def image_names(self) -> set[str]:
        return {str(one.get("file_name")) for one in self.images if isinstance(one, dict)}


def read_coco(path: Path, options: ReadOptions) -> LabelSource:
    """The images of a COCO file with all their annotations; what is said to be a crowd is of its class as well.

    Of a folder, all COCO files below it are read one after the other, as for a set in several splits. An image name
    that several of them have is one in the folder of its file.

    Polygons are filled as pycocotools does it, so that a mask is the one that other readers of COCO get. Annotations
    without a segmentation are their boxes. Later annotations lie over earlier ones.

    Raises:
        ImportRefused: no COCO file, damaged, or a list in it is missing; or two in one folder are for the same image.
    """
    contents = _contents(path) if path.is_dir() else [(path, mapping(read_json(path), path.name))]
    files = [_file(one, content) for one, content in contents]
    prefixes = _prefixes(files, path)
    classes = shape_classes([FileClass(name) for file in files for name in file.names.values()], rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file, prefix in zip(files, prefixes, strict=True):
            for one in file.images:
                yield _image(one, file, prefix, classes)
            for key in file.lost():
                yield UnreadLabels(f"image_id {shown(key)}", "annotations of an image that the file does not list")

    return LabelSource(classes.classes, sum(len(file.images) + len(file.lost()) for file in files), read)


def _contents(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """What the files in a folder hold that have the three lists of COCO. Raises ImportRefused: there are none."""
    read = ((one, read_json(one)) for one in files_below(folder, (".json",)))
    found = [
        (one, content)
        for one, content in read
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in LISTS)
    ]
    if not found:
        raise ImportRefused(f"{folder.name} holds no COCO file: none ending in .json has {', '.join(LISTS)}")
    return found


def _prefixes(files: Sequence[_File], path: Path) -> list[str]:
    """What comes before the names of the images of each file, which is nothing where these are different anyway."""
    if len(files) == 1:
        return [""]
    counts = Counter(name for file in files for name in file.image_names())
    shared = {name for name, count in counts.items() if count > 1}
    taken: dict[tuple[Path, str], _File] = {}
    for file in files:
        for name in file.image_names() & shared:
            other = taken.setdefault((file.path.parent, name), file)
            if other is not file:
                raise ImportRefused(
                    f"{other.path.name} and {file.path.name} are both for the image {shown(name)}: name one of them"
                )
    if not shared:
        return [""] * len(files)
    return [f"{one}/" if (one := file.path.parent.relative_to(path).as_posix()) != "." else "" for file in files]


def _file(path: Path, content: Mapping[str, Any]) -> _File:
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
    return _File(path, images, by_image, kept)


def _names(categories: Sequence[Any]) -> dict[Any, str]:
    found = {}
    for one in categories:
        category = mapping(one, "a category")
        found[_key(category.get("id"))] = text(category.get("name"), "the name of a category")
    return found


def _key(value: object) -> object:
    return value if isinstance(value, int | str) else shown(value)


def _image(one: object, file: _File, prefix: str, classes: ShapeClasses) -> LabelledImage | UnreadLabels:
    name = "an image"
    try:
        image = mapping(one, "an image")
        name = prefix + text(image.get("file_name"), "the file_name of an image")
        hw = claimed_hw(image.get("height"), image.get("width"), name)
        places = []
        own = file.by_image.get(_key(image.get("id")), [])
        for annotation in own:
            category = _key(annotation.get("category_id"))
            if category not in file.names:
                raise ImportRefused(f"{_what(annotation)} is of category {shown(category)}, which the file lacks")
            places.append(classes.places[file.names[category]])
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
