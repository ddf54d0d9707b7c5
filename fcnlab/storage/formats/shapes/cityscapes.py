"""Cityscapes: gtFine, as masks of label ids and instance ids, the same in colour, and as polygons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.export import SPLIT_NAMES
from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, FileClue, FolderClue, Format, Need
from fcnlab.storage.formats.masks.colour_masks import colour_png
from fcnlab.storage.formats.masks.index_masks import grey_png, sized, stored_indices
from fcnlab.storage.formats.masks.originals import Originals
from fcnlab.storage.formats.reading.label_tables import find_table, read_table
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import files_below, folder_of, mask_header, masks_below
from fcnlab.storage.formats.reading.shapes import Marks, ShapeClasses, polygon
from fcnlab.storage.formats.reading.values import (
    ReadOptions,
    claimed_hw,
    listing,
    mapping,
    name_in,
    read_json,
)
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Subject, WholeFile

IDS, POLYGONS = "_labelIds.png", "_polygons.json"
MARKS = ("_gtFine", "_gtCoarse")

VOID = ("unlabeled", "ego vehicle", "rectification border", "out of roi")
"""The values 0 to 3: nothing is said about their pixels."""

NAMES = (
    *VOID,
    *("static", "dynamic", "ground", "road", "sidewalk", "parking", "rail track", "building", "wall", "fence"),
    *("guard rail", "bridge", "tunnel", "pole", "polegroup", "traffic light", "traffic sign", "vegetation", "terrain"),
    *("sky", "person", "rider", "car", "truck", "bus", "caravan", "trailer", "train", "motorcycle", "bicycle"),
)
"""The classes in the order of their values; the value -1 of licence plates is 255 in 8 bits."""

GROUP = "group"


def read_cityscapes(path: Path, options: ReadOptions) -> LabelSource:
    """Masks of label ids below a folder, or where there are none, polygons; names are those of the images' pictures.

    Ids are those of Cityscapes unless a table beside or above the folder says otherwise. Pixels outside all polygons
    are unknown, and so are the labels 0 to 3 unless the table names them; a group of things counts as these things.

    Raises:
        ImportRefused: neither masks nor polygons.
    """
    folder = folder_of(path)
    masks = [file for file in files_below(path, (".png",)) if file.name.endswith(IDS)] if path.is_dir() else [path]
    files = [file for file in masks if file.name.endswith(IDS)]
    if not files:
        documents = files_below(path, (".json",)) if path.is_dir() else [path]
        files = [file for file in documents if file.name.endswith(POLYGONS)]
    if not files:
        raise ImportRefused(f"{path.name} holds no Cityscapes labels: no name ends in {IDS} or {POLYGONS}")
    table = options.table or find_table(folder)
    named = _standard() if table is None else dict(sorted(read_table(table).by_value.items()))
    classes = tuple(dict.fromkeys(named.values()))
    class_indices = {file_class.name: class_index for class_index, file_class in enumerate(classes)}
    by_value = dict.fromkeys(range(len(VOID)), IGNORE) | {
        value: class_indices[file_class.name] for value, file_class in named.items()
    }
    if table is None:
        class_indices |= dict.fromkeys((*VOID, "license plate"), IGNORE)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = _image_name(file, folder)
            try:
                if file.name.endswith(IDS):
                    yield LabelledImage(name, mask_header(file).hw, partial(_mask, file=file, class_indices=by_value))
                else:
                    yield _of_polygons(file, name, ShapeClasses(classes, class_indices, IGNORE))
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes, len(files), read)


def _standard() -> dict[int, FileClass]:
    return {value: FileClass(name) for value, name in enumerate(NAMES) if name not in VOID}


def _image_name(file: Path, folder: Path) -> str:
    """`gtFine/train/ulm/ulm_000_019_gtFine_labelIds.png` is of the picture `train/ulm/ulm_000_019`."""
    stem = file.name
    for mark in MARKS:
        stem = stem.partition(mark)[0]
    parts = [part for part in file.relative_to(folder).parts[:-1] if part not in ("gtFine", "gtCoarse")]
    return "/".join([*parts, stem])


def _mask(hw: tuple[int, int], *, file: Path, class_indices: Mapping[int, int]) -> NDArray[np.uint8]:
    return sized(stored_indices(file, class_indices, tabled=()), hw, file)


def _of_polygons(file: Path, name: str, classes: ShapeClasses) -> LabelledImage:
    content = mapping(read_json(file), file.name)
    marks = Marks(name, claimed_hw(content.get("imgHeight"), content.get("imgWidth"), file.name), classes)
    for count, listed_object in enumerate(listing(content.get("objects"), f"'objects' of {file.name}")):
        what = f"objects[{count}] of {file.name}"
        annotation = mapping(listed_object, what)
        if annotation.get("deleted"):
            continue
        label = name_in(annotation.get("label"))
        class_name = label if label in classes.class_indices else label.removesuffix(GROUP)
        is_known = class_name in classes.class_indices
        class_index = marks.class_index_of(
            class_name if is_known else annotation.get("label"),
            f"the label of {what}",
            lacking="which Cityscapes does not have",
        )
        pairs = [
            listing(pair, f"a corner of {what}")
            for pair in listing(annotation.get("polygon"), f"the polygon of {what}")
        ]
        with marks.dropping():
            marks.add(polygon(class_index, [value for pair in pairs for value in pair], what), says_unknown=is_known)
    return marks.image()


CITY, SPLIT = "default", "train"
"""Folders of images that lie in none, and of those that are not split."""

PICTURE = "_leftImg8bit"

UNLABELED = 0
UNSAID = 4
"""Ids below this say nothing about a pixel, unless a table names them."""
WRITTEN_VOID = (4, 5, 6, 3, 2, 1)
"""Ids that no score of Cityscapes looks at; "static" is what it calls all that belongs to no other class."""

THINGS = range(24, 34)
"""Label ids of things that are told apart."""

FIRST_OTHER = len(NAMES)
MOST_PARTS = 1000
"""An instance id is the label id times this, and the number of the thing."""


@dataclass(frozen=True)
class Cityscapes:
    """`gtFine/<split>/<city>/`: the city is the folder of the image.

    Classes called as in Cityscapes have its label ids, the background an id that its scripts look past, and others ids
    from 34 on, which its scripts do not know. Where no class is called so, all keep the ids of the project.
    classes.json says which is which. Pixels about which nothing is said are 0, "unlabeled".

    Args:
        subject: what is exported.
        instances: whether a region is a thing, and not all of its class.
    """

    subject: Subject
    instances: bool = False

    @cached_property
    def standard(self) -> dict[int, int]:
        """Label ids of the classes that are called as in Cityscapes; none when only the background is."""
        free = {name: value for value, name in enumerate(NAMES) if value != UNLABELED}
        called = {label.id: " ".join(label.name.replace("_", " ").split()).casefold() for label in self.subject.named()}
        ids = {class_id: free.pop(name) for class_id, name in called.items() if name in free}
        return ids if ids.keys() - {self.subject.background} else {}

    @cached_property
    def label_ids(self) -> dict[int, int]:
        """The label id of each class, by class id."""
        others = [label.id for label in self.subject.named() if label.id not in self.standard]
        if not self.standard:
            return {class_id: class_id for class_id in others}
        ids = dict(self.standard)
        background = self.subject.background
        if background in others:
            others.remove(background)
            ids[background] = next((value for value in WRITTEN_VOID if value not in ids.values()), FIRST_OTHER)
        taken = set(ids.values())
        free = (value for value in (*range(FIRST_OTHER, IGNORE), *range(1, FIRST_OTHER)) if value not in taken)
        return ids | dict(zip(others, free, strict=False))

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The label ids, instance ids and colours of the image as PNG files, and its polygons as JSON."""
        base = f"cityscapes/gtFine/{cityscapes_place(image)}_gtFine_"
        label_ids = self._table()[image.mask]
        yield WholeFile(f"{base}labelIds.png", grey_png(label_ids))
        yield WholeFile(f"{base}instanceIds.png", grey_png(self._instances(image, label_ids)))
        yield WholeFile(f"{base}color.png", colour_png(self.subject.palette()[image.mask]))
        objects = [
            {"label": self.subject.name_of(region.class_id), "polygon": ring[:, ::-1].tolist()}
            for region in image.regions
            for ring in region.rings
        ]
        content = {"imgHeight": image.height, "imgWidth": image.width, "objects": objects}
        yield WholeFile(f"{base}polygons.json", json.dumps(content, ensure_ascii=False).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The file classes.json, with the label id of each class."""
        rows = [
            {"id": self.label_ids[label.id], "name": label.name, "colour": label.colour}
            for label in self.subject.named()
        ]
        data = json.dumps(rows, ensure_ascii=False, indent=1).encode()
        yield Assembly("cityscapes/classes.json", (data, b"\n"))

    def _table(self) -> NDArray[np.uint8]:
        """(256,) the label id of every class id; nothing said is the first of the ids 0 to 3 that no class has."""
        taken = set(self.label_ids.values())
        unknown = next((value for value in range(UNSAID) if value not in taken), IGNORE)
        table = np.full(IGNORE + 1, unknown, np.uint8)
        for class_id, label_id in self.label_ids.items():
            table[class_id] = label_id
        return table

    def _instances(self, image: ExportedImage, label_ids: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """The label id alone for stuff, and for things that were not told apart, as Cityscapes marks its groups."""
        ids = label_ids.astype(np.uint16)
        counts: dict[int, int] = {}
        for region in image.regions if self.instances else ():
            label_id = self.label_ids.get(region.class_id, IGNORE)
            instance_index = counts.get(label_id, 0)
            is_thing = label_id in THINGS or label_id >= FIRST_OTHER or not self.standard
            value = label_id * MOST_PARTS + instance_index
            if not is_thing or label_id == 0 or instance_index >= MOST_PARTS or value > np.iinfo(np.uint16).max:
                continue
            counts[label_id] = instance_index + 1
            box = np.s_[region.top : region.top + region.height, region.left : region.left + region.width]
            ids[box][region.inside] = value
        return ids


def cityscapes_place(image: ExportedImage) -> str:
    """`split/city/name` of an image; the split of a name such as `train/aachen/aachen_000000_000019` is its own."""
    *folders, file = image.stem.removesuffix(PICTURE).split("/")
    split = image.split or SPLIT
    if not image.split and len(folders) > 1 and folders[0] in SPLIT_NAMES:
        split, *folders = folders
    return "/".join([split, *(folders or [CITY]), file])


def cityscapes_pictures() -> Originals:
    """The writer of the originals beside the labels, called as in Cityscapes."""
    return Originals("cityscapes/leftImg8bit", lambda image: f"{cityscapes_place(image)}{PICTURE}")


def _find_ids(folder: Path) -> Path | None:
    return folder if any(mask.name.endswith(IDS) for mask in masks_below(folder)) else None


FORMATS = (
    Format(
        "cityscapes",
        "Cityscapes",
        "label and instance ids, colours, polygons",
        SHAPES,
        240,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: Cityscapes(options.subject, options.instances),
        pictures=cityscapes_pictures,
        read=read_cityscapes,
        read_title="Cityscapes",
        clues=(FolderClue(10, _find_ids), FileClue((".json",), rb'"imgHeight"\s*:', rank=20, holds="image")),
    ),
)
