"""Which format a label file or folder is in: a guess from names and beginnings, said aloud."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from fcnlab.errors import ImportRefused
from fcnlab.storage.exports.manifest import FORMAT, MANIFEST_NAME
from fcnlab.storage.formats.reading.formats import FORMATS, LabelFormat
from fcnlab.storage.formats.reading.mask_files import (
    SUFFIXES,
    files_below,
    mask_colours,
    mask_header,
    mask_values,
    masks_below,
)
from fcnlab.storage.formats.shapes.cityscapes import IDS
from fcnlab.storage.formats.shapes.voc import MASKS
from fcnlab.storage.formats.shapes.yolo import begins_with_label, label_files

PEEK_BYTES = 65_536
MASKS_LOOKED_AT = 5
PIXELS_LOOKED_AT = 200_000_000
"""Larger masks are not decoded for a guess."""

FILES_LOOKED_AT = 50
JSON_MARKS = (
    (LabelFormat.LABEL_STUDIO, rb'(?s)\A\s*\[.*"annotation_id"\s*:'),
    (LabelFormat.LABEL_STUDIO, rb'(?s)\A\s*\[.*"(annotations|completions)"\s*:'),
    (LabelFormat.CITYSCAPES, rb'"imgHeight"\s*:'),
    (LabelFormat.LABELME, rb'"shapes"\s*:'),
    (LabelFormat.COCO, rb'"(images|annotations|categories)"\s*:'),
)
ONE_PER_IMAGE = frozenset({LabelFormat.LABELME, LabelFormat.VOC, LabelFormat.CITYSCAPES})
"""Formats with a file for each image: of these a folder is read, not one file of it."""

ONE_FOR_ALL = {
    LabelFormat.COCO: ".json",
    LabelFormat.LABEL_STUDIO: ".json",
    LabelFormat.CVAT: ".xml",
    LabelFormat.POINTS: ".csv",
}
"""Formats with one file for all images, and how it ends."""

OWN_MASKS = "masks"
"""Where exports of fcnlab keep masks whose values are classes."""

NOT_FOUND = f"name the format: {', '.join(LabelFormat)}"


@dataclass(frozen=True, slots=True)
class Detected:
    """A guess: the format, and the file or folder to read, which may lie inside the one that was named."""

    format: LabelFormat
    path: Path

    def in_words(self) -> str:
        """What it was taken for."""
        return f"{self.path.name} was taken for {FORMATS[self.format].title}"


def detect(path: Path) -> Detected:
    """What a file or folder seems to hold.

    Raises:
        ImportRefused: it does not exist, or holds nothing that is known; or several files of which one must be named.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise ImportRefused(f"there is no file or folder {path}; check its spelling")
    found = _of_file(path)
    if found is None:
        raise ImportRefused(f"{path.name} is in no format that is known by its beginning; {NOT_FOUND}")
    return Detected(found, path)


def located(path: Path, wanted: LabelFormat) -> Detected:
    """Where labels of a format that was named lie: the folder, or the one file in it that is of this format.

    Several files of COCO are read together.

    Raises:
        ImportRefused: it does not exist, or a folder holds no such file, or several.
    """
    if not path.exists():
        raise ImportRefused(f"there is no file or folder {path}; check its spelling")
    if not path.is_dir() or wanted not in ONE_FOR_ALL:
        return Detected(wanted, path)
    files = [one for one in files_below(path, (ONE_FOR_ALL[wanted],)) if _of_file(one) is wanted]
    if len(files) > 1 and wanted is LabelFormat.COCO:
        return Detected(wanted, path)
    if len(files) != 1:
        raise _not_one(path, files)
    return Detected(wanted, files[0])


def _not_one(folder: Path, files: list[Path]) -> ImportRefused:
    if not files:
        return ImportRefused(f"{folder.name} holds no labels of this format")
    names = ", ".join(one.relative_to(folder).as_posix() for one in files[:5])
    return ImportRefused(f"{folder.name} holds {len(files)} label files ({names}): name one of them")


def _of_file(path: Path) -> LabelFormat | None:
    suffix = path.suffix.lower()
    if suffix == ".json":
        return _of_json(path)
    if suffix == ".xml":
        start = _ends(path)
        marks = ((LabelFormat.CVAT, rb"<annotations[\s>]"), (LabelFormat.VOC, rb"<annotation[\s>]"))
        return next((known for known, mark in marks if re.search(mark, start)), None)
    if suffix in SUFFIXES:
        return _of_masks([path])
    by_suffix = {
        ".csv": LabelFormat.POINTS,
        ".txt": LabelFormat.YOLO,
        ".yaml": LabelFormat.YOLO,
        ".yml": LabelFormat.YOLO,
    }
    return by_suffix.get(suffix)


def _of_json(path: Path) -> LabelFormat | None:
    ends = _ends(path)
    if path.name == MANIFEST_NAME and not re.search(rb'"annotations"\s*:', ends):
        return None  # it lists images too
    return next((known for known, mark in JSON_MARKS if re.search(mark, ends)), None)


def _is_own_manifest(path: Path, ends: bytes) -> bool:
    return path.name == MANIFEST_NAME and re.search(rb'"format"\s*:\s*"%s"' % FORMAT.encode(), ends) is not None


def _of_folder(folder: Path) -> Detected:
    manifest, own = folder / MANIFEST_NAME, folder / OWN_MASKS
    if manifest.is_file() and own.is_dir() and _is_own_manifest(manifest, _ends(manifest)):
        return Detected(LabelFormat.INDEX, own)
    masks = masks_below(folder)
    if any(one.name.endswith(IDS) for one in masks):
        return Detected(LabelFormat.CITYSCAPES, folder)
    if any(MASKS & {*one.parts} for one in masks):
        return Detected(LabelFormat.VOC, folder)
    for suffix in (".xml", ".json"):
        files = files_below(folder, (suffix,))[:FILES_LOOKED_AT]
        known = [(found, one) for one in files if (found := _of_file(one)) is not None]
        whole = [(found, one) for found, one in known if found not in ONE_PER_IMAGE]
        if len(whole) == 1:
            return Detected(*whole[0])
        if whole and all(found is LabelFormat.COCO for found, _ in whole):
            return Detected(LabelFormat.COCO, folder)
        if whole:
            raise _not_one(folder, [one for _, one in whole])
        if known:
            return Detected(known[0][0], folder)
    if _holds_yolo(folder):
        return Detected(LabelFormat.YOLO, folder)
    if masks:
        return Detected(_of_masks(masks[:MASKS_LOOKED_AT]), folder)
    tables = files_below(folder, (".csv",))
    if len(tables) == 1:
        return Detected(LabelFormat.POINTS, tables[0])
    raise ImportRefused(f"{folder.name} holds no labels that are known; {NOT_FOUND}")


def _of_masks(files: list[Path]) -> LabelFormat:
    """What the first masks look like; those that cannot be read say nothing."""
    found = {kind for kind in map(_of_mask, files) if kind is not None}
    order = (LabelFormat.ROOT_PAINTER, LabelFormat.COLOUR, LabelFormat.INDEX, LabelFormat.BINARY)
    return next((kind for kind in order if kind in found), LabelFormat.INDEX)


def _of_mask(file: Path) -> LabelFormat | None:
    try:
        header = mask_header(file)
        if header.palette or header.hw[0] * header.hw[1] > PIXELS_LOOKED_AT:
            return LabelFormat.INDEX
        values = mask_values(file)
    except ImportRefused:
        return _of_colours(file)
    return LabelFormat.BINARY if np.isin(values, (0, 255)).all() and (values == 0).any() else LabelFormat.INDEX


def _of_colours(file: Path) -> LabelFormat | None:
    """Strokes in red and green that let the picture through are RootPainter's."""
    try:
        rgba = mask_colours(file)
    except ImportRefused:
        return None
    painted = rgba[rgba[..., 3] > 0][:, :3] > 0
    strokes = (rgba[..., 3] < 255).any() and (painted.sum(axis=1) == 1).all() and not painted[:, 2].any()
    return LabelFormat.ROOT_PAINTER if strokes else LabelFormat.COLOUR


def _holds_yolo(folder: Path) -> bool:
    """Empty files say that an image shows nothing; where all of them are, a table of YOLO's beside them decides."""
    files = label_files(folder)
    filled = list(islice((one for one in files if one.stat().st_size), MASKS_LOOKED_AT))
    if filled or not files:
        return any(begins_with_label(one) for one in filled)
    return (folder / "data.yaml").is_file()


def _ends(path: Path) -> bytes:
    """The beginning and the end of a file."""
    try:
        with path.open("rb") as file:
            start = file.read(PEEK_BYTES).removeprefix(codecs.BOM_UTF8)
            file.seek(max(PEEK_BYTES, path.stat().st_size - PEEK_BYTES))
            return start + file.read(PEEK_BYTES)
    except OSError as failure:
        raise ImportRefused(f"{path.name} cannot be read ({failure.strerror}); check that it exists") from failure
