"""COCO JSON: polygons, compressed and uncompressed runs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from fcnlab.domain.project import IGNORE, MAX_CLASSES
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, Format, Need
from fcnlab.storage.formats.reading.labelled import (
    FileClass,
    LabelledImage,
    LabelSource,
    Notes,
    UnreadLabels,
)
from fcnlab.storage.formats.reading.mask_files import files_below
from fcnlab.storage.formats.reading.runs import counts_of_text, pixels_of_runs
from fcnlab.storage.formats.reading.shapes import (
    UNKNOWN_PIXELS,
    Marks,
    NoArea,
    Painted,
    Polygon,
    Shape,
    ShapeClasses,
    box,
    shape_classes,
    turned,
)
from fcnlab.storage.formats.reading.values import (
    ReadOptions,
    claimed_hw,
    id_in,
    listing,
    mapping,
    name_in,
    number,
    read_json,
    shown,
    whole,
)
from fcnlab.storage.formats.writing import (
    Assembly,
    ExportedImage,
    Line,
    Region,
    Spooled,
    Subject,
    category_ids,
    xy,
)

Annotation = Mapping[str, Any]
LISTS = ("images", "annotations", "categories")

PARTS = ("image_info", "labels", "captions", "panoptic", "stuff", "instances", "person_keypoints")
"""What files of one set are called before its name: of their images the later of these lie over the earlier."""


@dataclass(frozen=True, slots=True)
class _Category:
    """The name of a category; empty, and why, where the file gives its id twice."""

    name: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _File:
    """A COCO file: its images, their annotations by id, and categories by id."""

    path: Path
    images: list[Any]
    by_image: Mapping[int | str | None, list[Annotation]]
    categories: Mapping[int | str | None, _Category]

    def lost(self) -> list[int | str | None]:
        """Ids of images that have annotations, and that the file does not list."""
        listed_ids = {id_in(image.get("id")) for image in self.images if isinstance(image, dict)} - {None}
        return [key for key in self.by_image if key not in listed_ids]

    def image_names(self) -> set[str]:
        return {name for image in self.images if isinstance(image, dict) and (name := name_in(image.get("file_name")))}

    def doubled(self) -> frozenset[int | str | None]:
        """Ids that several images have."""
        counts = Counter(id_in(image.get("id")) for image in self.images if isinstance(image, dict))
        return frozenset(key for key, count in counts.items() if count > 1 and key is not None)


def read_coco(path: Path, options: ReadOptions) -> LabelSource:
    """The images of a COCO file with all their annotations; what is said to be a crowd is of its class as well.

    Of a folder, all COCO files below it are read one after the other, as for a set in several splits. An image name
    that several of them have is one in the folder of its file; files of one set (`stuff_train.json` and
    `instances_train.json`) are read as one.

    Polygons are filled as pycocotools does it, so that a mask is the one that other readers of COCO get. Annotations
    without a segmentation are their boxes, turned where their attributes say so. Later annotations lie over earlier
    ones. An image without annotations is left out: COCO does not say whether nobody looked or nothing is there.

    Raises:
        ImportRefused: no COCO file, damaged, or a list in it is missing; or two in one folder are for the same image.
    """
    contents = _contents(path) if path.is_dir() else [(path, mapping(read_json(path), path.name))]
    groups = _groups([_file(file_path, content) for file_path, content in contents])
    prefixes = _prefixes(groups, path)
    names = [
        category.name for files in groups for file in files for category in file.categories.values() if category.name
    ]
    classes = shape_classes(map(FileClass, names), rest=options.rest)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for files, prefix in zip(groups, prefixes, strict=True):
            by_name: dict[str, list[tuple[_File, Mapping[str, Any]]]] = {}
            for file in files:
                for count, image in enumerate(file.images, start=1):
                    key = name_in(image.get("file_name")) if len(files) > 1 and isinstance(image, dict) else ""
                    by_name.setdefault(key or f"{file.path.name}/{count}", []).append((file, image))
            for parts in by_name.values():
                yield _image(parts, prefix, classes)
            for image_id in (lost_id for file in files for lost_id in file.lost()):
                yield UnreadLabels(f"image_id {shown(image_id)}", "annotations of an image that the file does not list")

    n_images = sum(len(files[0].images) if len(files) == 1 else _n_named(files) for files in groups)
    return LabelSource(classes.classes, n_images + sum(len(file.lost()) for files in groups for file in files), read)


def _n_named(files: Sequence[_File]) -> int:
    unnamed = sum(
        not (isinstance(image, dict) and name_in(image.get("file_name"))) for file in files for image in file.images
    )
    return unnamed + len(set().union(*(file.image_names() for file in files)))


def _contents(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """What the files in a folder hold that have the three lists of COCO. Raises ImportRefused: there are none."""
    read = ((path, read_json(path)) for path in files_below(folder, (".json",)))
    datasets = [
        (path, content)
        for path, content in read
        if isinstance(content, dict) and all(isinstance(content.get(key), list) for key in LISTS)
    ]
    if not datasets:
        raise ImportRefused(f"{folder.name} holds no COCO file: none ending in .json has {', '.join(LISTS)}")
    return datasets


def _groups(files: Sequence[_File]) -> list[list[_File]]:
    """Files that are read as one, in the order in which their annotations are drawn; most stand alone."""
    groups: dict[tuple[Path, str, str], list[_File]] = {}
    for file in files:
        part = next((prefix for prefix in PARTS if file.path.stem.startswith(f"{prefix}_")), "")
        rest = file.path.stem.removeprefix(f"{part}_")
        alone = file.path.name if not part else ""
        groups.setdefault((file.path.parent, rest, alone), []).append(file)

    def order(file: _File) -> int:
        return next((position for position, part in enumerate(PARTS) if file.path.stem.startswith(f"{part}_")), 0)

    return [sorted(group, key=order) for group in groups.values()]


def _prefixes(groups: Sequence[list[_File]], path: Path) -> list[str]:
    """What comes before the names of the images of each group, which is nothing where these are different anyway."""
    if len(groups) == 1:
        return [""]
    of_groups = [set().union(*(file.image_names() for file in files)) for files in groups]
    counts = Counter(name for names in of_groups for name in names)
    shared = {name for name, count in counts.items() if count > 1}
    taken: dict[tuple[Path, str], _File] = {}
    for (file, *_), names in zip(groups, of_groups, strict=True):
        for name in names & shared:
            other = taken.setdefault((file.path.parent, name), file)
            if other is not file:
                raise ImportRefused(
                    f"{other.path.name} and {file.path.name} are both for the image {shown(name)}: name one of them"
                )
    if not shared:
        return [""] * len(groups)
    folders = [files[0].path.parent.relative_to(path).as_posix() for files in groups]
    return [f"{folder}/" if folder != "." else "" for folder in folders]


def _file(path: Path, content: Mapping[str, Any]) -> _File:
    images = listing(content.get("images"), f"'images' of {path.name}")
    annotations = listing(content.get("annotations"), f"'annotations' of {path.name}")
    categories = _categories(listing(content.get("categories"), f"'categories' of {path.name}"))
    by_image: dict[int | str | None, list[Annotation]] = defaultdict(list)
    used = set()
    for listed_annotation in annotations:
        annotation = mapping(listed_annotation, f"an annotation of {path.name}")
        by_image[id_in(annotation.get("image_id"))].append(annotation)
        used.add(id_in(annotation.get("category_id")))
    if len(categories) >= MAX_CLASSES:
        categories = {key: category for key, category in categories.items() if key in used}
    return _File(path, images, by_image, categories)


def _categories(listed: Sequence[Any]) -> dict[int | str | None, _Category]:
    categories: dict[int | str | None, _Category] = {}
    for listed_category in listed:
        category = mapping(listed_category, "a category")
        key, name = id_in(category.get("id")), name_in(category.get("name"))
        if not name:
            raise ImportRefused(f"the name of a category is {shown(category.get('name'))}, wanted a text")
        twice = key in categories and categories[key].name != name
        categories[key] = (
            _Category("", f"the id of {categories[key].name!r} and of {name!r}") if twice else _Category(name)
        )
    categories.pop(None, None)
    return categories


def _image(parts: Sequence[tuple[_File, Any]], prefix: str, classes: ShapeClasses) -> LabelledImage | UnreadLabels:
    name = "an image"
    try:
        sizes = []
        for _, listed_image in parts:
            image = mapping(listed_image, "an image")
            if not name_in(image.get("file_name")):
                raise ImportRefused(f"the file_name of an image is {shown(image.get('file_name'))}, wanted a text")
            name = prefix + name_in(image.get("file_name"))
            sizes.append(claimed_hw(image.get("height"), image.get("width"), name))
        claimed = [hw for hw in sizes if hw is not None]
        if len(set(claimed)) > 1:
            raise ImportRefused(f"{' and '.join(file.path.name for file, _ in parts)} give it different sizes")
        marks = Marks(name, claimed[0] if claimed else None, classes)
        for file, image in parts:
            key = id_in(image.get("id"))
            if key in file.doubled():
                raise ImportRefused(f"several images of {file.path.name} have its id {shown(key)}")
            for annotation in [] if key is None else file.by_image.get(key, []):
                _take(annotation, file, classes, marks)
        return marks.image()
    except ImportRefused as refusal:
        return UnreadLabels(name, str(refusal))


def _take(annotation: Annotation, file: _File, classes: ShapeClasses, marks: Marks) -> None:
    what = f"annotation {shown(annotation.get('id', '?'))} in {file.path.name}"
    if not annotation.get("segmentation") and not annotation.get("bbox") and annotation.get("keypoints"):
        marks.unread(what, "has key points alone")
        return
    if annotation.get("segmentation") is None and annotation.get("bbox") is None:
        if "caption" not in annotation and "segments_info" not in annotation:
            marks.notes.add(f"{what} marks no part of the image: it is dropped")
        return
    category = file.categories.get(id_in(annotation.get("category_id")))
    class_index = IGNORE if category is None else classes.class_indices.get(category.name, IGNORE)
    if class_index == IGNORE:
        reason = "which the file lacks" if category is None else category.reason
        marks.notes.add(f"{what} is of category {shown(annotation.get('category_id'))}, {reason}: {UNKNOWN_PIXELS}")
    with marks.dropping():
        marks.add(_shape(annotation, class_index, what, marks.notes))


def _shape(annotation: Annotation, class_index: int, what: str, notes: Notes) -> Shape:
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        return Painted(class_index, partial(_pixels_of_runs, segmentation, what=what), what=what)
    listed = [] if segmentation is None else listing(segmentation, f"the segmentation of {what}")
    if listed and not any(isinstance(ring, list | dict) for ring in listed):
        listed = [listed]  # written flat
    rings = [_ring(ring, what) for ring in listed]
    kept = [ring for ring in rings if len(ring) >= 6]
    short = next((len(ring) for ring in rings if len(ring) < 6), None)
    said = f"a polygon of {what} has {short} coordinates, wanted pairs, at least three"
    if kept and short is not None:
        notes.add(f"{said}: it is dropped")
    if not kept:
        try:
            kept = [_box(annotation, class_index, what).corners.ravel().tolist()]
        except NoArea as refusal:
            raise (refusal if short is None else NoArea(f"{said}, and no box with an area")) from refusal
        if short is not None:
            notes.add(f"{said}: its box is taken")
    corners = np.array([value for ring in kept for value in ring], np.float64).reshape(-1, 2)
    return Painted(class_index, partial(_pixels_of_polygons, kept, what=what), corners, what)


def _pixels_of_runs(segmentation: Annotation, hw: tuple[int, int], *, what: str) -> NDArray[np.bool_]:
    sides = listing(segmentation.get("size"), f"the size of {what}")
    size = [whole(side, f"the size of {what}") for side in sides]
    if size != list(hw):
        raise ImportRefused(f"the runs of {what} are for {size}, the image has {list(hw)} rows and columns")
    packed = segmentation.get("counts")
    if isinstance(packed, str):
        counts = counts_of_text(packed, what)
    else:
        named = f"the counts of {what}"
        most = hw[0] * hw[1] + 1
        counts = np.array([min(whole(count, named), most) for count in listing(packed, named)], np.int64)
    return _by_columns(counts, hw, what)


def _by_columns(counts: NDArray[np.int64], hw: tuple[int, int], what: str) -> NDArray[np.bool_]:
    """COCO counts down the columns."""
    return pixels_of_runs(counts, hw[0] * hw[1], what).reshape(hw[::-1]).T


def _pixels_of_polygons(rings: list[list[float]], hw: tuple[int, int], *, what: str) -> NDArray[np.bool_]:
    from pycocotools import mask as coco

    for ring in rings:
        for most, along in ((hw[1], ring[::2]), (hw[0], ring[1::2])):
            if min(along) < -most or max(along) > 2 * most:
                raise ImportRefused(f"{what} lies far outside the image of {hw[1]} x {hw[0]} pixels")
    packed = coco.merge(coco.frPyObjects(rings, *hw))
    return _by_columns(counts_of_text(packed["counts"], what), hw, what)


def _ring(ring: object, what: str) -> list[float]:
    """Coordinates x, y, x, y, ... Raises ImportRefused: no numbers, or one too few."""
    values = [number(coordinate, f"a corner of {what}") for coordinate in listing(ring, f"a polygon of {what}")]
    if len(values) % 2:
        raise ImportRefused(f"a polygon of {what} has {len(values)} coordinates: wanted pairs, at least three")
    return values


def _box(annotation: Annotation, class_index: int, what: str) -> Polygon:
    """The box of an annotation, turned about its middle where a tool wrote that into its attributes. Raises NoArea."""
    values = [
        number(value, f"the bbox of {what}") for value in listing(annotation.get("bbox") or [], f"the bbox of {what}")
    ]
    if not values or (len(values) == 4 and 0 in values[2:]):
        raise NoArea(f"{what} has neither a polygon nor a box with an area")
    if len(values) != 4 or values[2] < 0 or values[3] < 0:
        raise ImportRefused(f"the bbox of {what} is {shown(values)}, wanted x, y, width and height")
    x, y, width, height = values
    attributes = annotation.get("attributes")
    written = attributes.get("rotation") if isinstance(attributes, dict) else None
    degrees = number(annotation.get("rotation", 0) if written is None else written, f"the rotation of {what}")
    return turned(box(class_index, x, y, x + width, y + height, what), degrees, about=(x + width / 2, y + height / 2))


@dataclass(frozen=True, slots=True)
class Coco:
    """Annotations as polygons, or as compressed run lengths.

    Both give the mask to the pixel with pycocotools: corners lie on the corners of pixels, holes are joined to the
    outer ring by a seam. `image_id` is the number of the image in the export; category ids are those of
    `category_ids`, and the background is no category.
    """

    subject: Subject
    is_rle: bool = False

    @property
    def _ids(self) -> dict[int, int]:
        return category_ids(self.subject.objects())

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The entry of the image in `images`, and one per region in `annotations`."""
        about = {"id": image.number, "file_name": image.name, "height": image.height, "width": image.width}
        yield Line(self._spool("images", image.split), _json(about))
        for region in image.regions:
            yield Line(self._spool("annotations", image.split), self._annotation(image, region), is_numbered=True)

    def of_all(self) -> Iterator[Assembly]:
        """A COCO file per part of a split, or one for all images."""
        categories = [{"id": self._ids[label.id], "name": label.name} for label in self.subject.objects()]
        for split in self.subject.splits or ("",):
            name = f"coco/annotations{'_rle' if self.is_rle else ''}{f'_{split}' if split else ''}.json"
            head = {"info": {"description": self.subject.title}, "licenses": [], "categories": categories}
            yield Assembly(
                name,
                (
                    _json(head)[:-1] + b',\n"images":[\n',
                    Spooled(self._spool("images", split), b","),
                    b'],\n"annotations":[\n',
                    Spooled(self._spool("annotations", split), b","),
                    b"]}\n",
                ),
            )

    def _annotation(self, image: ExportedImage, region: Region) -> bytes:
        size = [image.height, image.width]
        segmentation: Any
        if self.is_rle:
            packed = coco_mask.frPyObjects({"size": size, "counts": region.runs.tolist()}, *size)
            segmentation = {"size": size, "counts": packed["counts"].decode("ascii")}
        else:
            segmentation = [xy(ring) for ring in region.rings]
        return _json(
            {
                "image_id": image.number,
                "category_id": self._ids[region.class_id],
                "iscrowd": 0,
                "area": region.area,
                "bbox": [region.left, region.top, region.width, region.height],
                "segmentation": segmentation,
            }
        )

    def _spool(self, what: str, split: str) -> str:
        return f"coco-{'rle' if self.is_rle else 'polygons'}-{what}-{split}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


FORMATS = (
    Format(
        "coco",
        "COCO",
        "one JSON file with polygons",
        SHAPES,
        210,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Coco(options.subject),
        has_file_names=True,
        read=read_coco,
        read_title="COCO JSON",
        clues=(FileClue((".json",), rb'"(images|annotations|categories)"\s*:', rank=40),),
        joins_files=True,
    ),
    Format(
        "coco-rle",
        "COCO RLE",
        "one JSON file with run lengths",
        SHAPES,
        215,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Coco(options.subject, is_rle=True),
        has_file_names=True,
    ),
)
