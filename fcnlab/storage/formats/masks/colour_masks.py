"""Colour masks: a picture per image whose colours are classes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.project import IGNORE, MAX_CLASSES
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import MASKS, Format, MaskClue, MaskPixels
from fcnlab.storage.formats.masks.index_masks import sized
from fcnlab.storage.formats.reading.label_tables import (
    LabelTable,
    find_table,
    read_table,
    refuse_unread_table,
)
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import (
    folder_of,
    mask_colours,
    mask_header,
    masks_at,
    name_of,
)
from fcnlab.storage.formats.reading.values import ReadOptions, Strange
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Subject, WholeFile


def read_colour_masks(path: Path, options: ReadOptions) -> LabelSource:
    """Masks in a folder, or one file; colours by the table, else by `options.colours`. Transparent pixels are unknown.

    Raises:
        ImportRefused: no masks, or no colours of classes, or one that two classes have.
    """
    files, folder = masks_at(path), folder_of(path)
    classes = coloured_classes(folder, options)
    places = {one.colour: place for place, one in enumerate(classes)}

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = name_of(file, folder)
            try:
                hw = mask_header(file).hw
                yield LabelledImage(name, hw, partial(_mask, file=file, places=places, strange=options.strange))
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes, len(files), read)


def coloured_classes(folder: Path, options: ReadOptions) -> tuple[FileClass, ...]:
    """The classes that have a colour, in the order of the table. Raises ImportRefused: none has, or two have one."""
    found = options.table or find_table(folder)
    table = LabelTable({}) if found is None else read_table(found)
    classes = [one for one in table.by_value.values() if one.colour]
    if not classes:
        refuse_unread_table(folder)
        classes = [FileClass(name, colour) for colour, name in options.colours.items()]
    if not classes or len(classes) > MAX_CLASSES:
        raise ImportRefused(
            f"nothing says which classes the colours in {folder.name} stand for: name a table of colours"
        )
    colours = [one.colour for one in classes]
    twice = next((one for one in colours if colours.count(one) > 1), None)
    if twice is not None:
        raise ImportRefused(f"two classes have the colour {twice}: masks in colour cannot tell them apart")
    return tuple(classes)


def places_of_colours(
    rgba: NDArray[np.uint8], places: Mapping[str, int], what: str, *, strange: Strange
) -> NDArray[np.uint8]:
    """Places (H, W) uint8 of colours (H, W, 4) uint8.

    Raises:
        ImportRefused: a colour that no class has, unless such pixels are to be unknown.
    """
    packed = (rgba[..., 0].astype(np.int32) << 16) | (rgba[..., 1].astype(np.int32) << 8) | rgba[..., 2]
    known = np.array(sorted(int(colour[1:], 16) for colour in places), np.int32)
    by_order = np.array([places[f"#{colour:06x}"] for colour in known.tolist()], np.uint8)
    at = np.minimum(np.searchsorted(known, packed), len(known) - 1)
    mask, missing = by_order[at], known[at] != packed
    missing |= rgba[..., 3] == 0
    if strange == "refuse" and (missing & (rgba[..., 3] > 0)).any():
        first = int(packed[missing & (rgba[..., 3] > 0)][0])
        raise ImportRefused(f"{what} has pixels of the colour #{first:06x}, which no class has")
    mask[missing] = IGNORE
    return np.asarray(mask, np.uint8)


def _mask(hw: tuple[int, int], *, file: Path, places: Mapping[str, int], strange: Strange) -> NDArray[np.uint8]:
    return sized(places_of_colours(mask_colours(file), places, file.name, strange=strange), hw, file)


def colour_png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a picture (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class ColourMasks(PerImageWriter):
    """True colour: every pixel in the colour of its class."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One PNG."""
        yield WholeFile(f"colour/{image.place}.png", colour_png(self.subject.palette()[image.mask]))


def _has_colours(pixels: MaskPixels) -> bool:
    return pixels.rgba is not None


FORMATS = (
    Format(
        "colour",
        "Colour PNG",
        "every pixel in the colour of its class",
        MASKS,
        120,
        write=lambda options: ColourMasks(options.subject),
        has_class_ids=True,
        read=read_colour_masks,
        read_title="colour masks",
        clues=(MaskClue(71, _has_colours),),
    ),
)
