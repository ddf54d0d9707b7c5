"""Cityscapes: gtFine, as masks of label ids or as polygons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.index_masks import sized, stored_places
from fcnlab.storage.formats.label_tables import find_table, read_table
from fcnlab.storage.formats.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.mask_files import files_below, folder_of, mask_header
from fcnlab.storage.formats.reading import ReadOptions, claimed_hw, listing, mapping, name_in, read_json
from fcnlab.storage.formats.shapes import Marks, ShapeClasses, polygon

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
    masks = [one for one in files_below(path, (".png",)) if one.name.endswith(IDS)] if path.is_dir() else [path]
    files = [one for one in masks if one.name.endswith(IDS)]
    if not files:
        found = files_below(path, (".json",)) if path.is_dir() else [path]
        files = [one for one in found if one.name.endswith(POLYGONS)]
    if not files:
        raise ImportRefused(f"{path.name} holds no Cityscapes labels: no name ends in {IDS} or {POLYGONS}")
    table = options.table or find_table(folder)
    named = _standard() if table is None else dict(sorted(read_table(table).by_value.items()))
    classes = tuple(dict.fromkeys(named.values()))
    places = {one.name: place for place, one in enumerate(classes)}
    by_value = dict.fromkeys(range(len(VOID)), IGNORE) | {value: places[one.name] for value, one in named.items()}
    if table is None:
        places |= dict.fromkeys((*VOID, "license plate"), IGNORE)

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = _image_name(file, folder)
            try:
                if file.name.endswith(IDS):
                    yield LabelledImage(name, mask_header(file).hw, partial(_mask, file=file, places=by_value))
                else:
                    yield _of_polygons(file, name, ShapeClasses(classes, places, IGNORE))
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


def _mask(hw: tuple[int, int], *, file: Path, places: Mapping[int, int]) -> NDArray[np.uint8]:
    return sized(stored_places(file, places, tabled=()), hw, file)


def _of_polygons(file: Path, name: str, classes: ShapeClasses) -> LabelledImage:
    content = mapping(read_json(file), file.name)
    marks = Marks(name, claimed_hw(content.get("imgHeight"), content.get("imgWidth"), file.name), classes)
    for count, one in enumerate(listing(content.get("objects"), f"'objects' of {file.name}")):
        what = f"objects[{count}] of {file.name}"
        thing = mapping(one, what)
        if thing.get("deleted"):
            continue
        label = name_in(thing.get("label"))
        known = label if label in classes.places else label.removesuffix(GROUP)
        is_known = known in classes.places
        place = marks.place_of(
            known if is_known else thing.get("label"),
            f"the label of {what}",
            lacking="which Cityscapes does not have",
        )
        pairs = [
            listing(pair, f"a corner of {what}") for pair in listing(thing.get("polygon"), f"the polygon of {what}")
        ]
        with marks.dropping():
            marks.add(polygon(place, [value for pair in pairs for value in pair], what), says_unknown=is_known)
    return marks.image()
