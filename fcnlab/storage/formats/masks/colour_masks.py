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
    class_indices = {file_class.colour: class_index for class_index, file_class in enumerate(classes)}

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = name_of(file, folder)
            try:
                hw = mask_header(file).hw
                yield LabelledImage(
                    name, hw, partial(_mask, file=file, class_indices=class_indices, strange=options.strange)
                )
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes, len(files), read)


def coloured_classes(folder: Path, options: ReadOptions) -> tuple[FileClass, ...]:
    """The classes that have a colour, in the order of the table. Raises ImportRefused: none has, or two have one."""
    table_path = options.table or find_table(folder)
    table = LabelTable({}) if table_path is None else read_table(table_path)
    classes = [file_class for file_class in table.by_value.values() if file_class.colour]
    if not classes:
        refuse_unread_table(folder)
        classes = [FileClass(name, colour) for colour, name in options.colours.items()]
    if not classes or len(classes) > MAX_CLASSES:
        raise ImportRefused(
            f"nothing says which classes the colours in {folder.name} stand for: name a table of colours"
        )
    colours = [file_class.colour for file_class in classes]
    twice = next((colour for colour in colours if colours.count(colour) > 1), None)
    if twice is not None:
        raise ImportRefused(f"two classes have the colour {twice}: masks in colour cannot tell them apart")
    return tuple(classes)


def indices_of_colours(
    rgba: NDArray[np.uint8], class_indices: Mapping[str, int], what: str, *, strange: Strange
) -> NDArray[np.uint8]:
    """Class indices (H, W) uint8 of colours (H, W, 4) uint8.

    Raises:
        ImportRefused: a colour that no class has, unless such pixels are to be unknown.
    """
    packed = (rgba[..., 0].astype(np.int32) << 16) | (rgba[..., 1].astype(np.int32) << 8) | rgba[..., 2]
    class_colours = np.array(sorted(int(colour[1:], 16) for colour in class_indices), np.int32)
    by_order = np.array([class_indices[f"#{colour:06x}"] for colour in class_colours.tolist()], np.uint8)
    at = np.minimum(np.searchsorted(class_colours, packed), len(class_colours) - 1)
    mask, missing = by_order[at], class_colours[at] != packed
    missing |= rgba[..., 3] == 0
    if strange == "refuse" and (missing & (rgba[..., 3] > 0)).any():
        first = int(packed[missing & (rgba[..., 3] > 0)][0])
        raise ImportRefused(f"{what} has pixels of the colour #{first:06x}, which no class has")
    mask[missing] = IGNORE
    return np.asarray(mask, np.uint8)


def _mask(hw: tuple[int, int], *, file: Path, class_indices: Mapping[str, int], strange: Strange) -> NDArray[np.uint8]:
    return sized(indices_of_colours(mask_colours(file), class_indices, file.name, strange=strange), hw, file)


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
        """The mask of the image as a PNG file in the colours of the classes."""
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
