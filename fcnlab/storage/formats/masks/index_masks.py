"""Index masks: pictures whose values are classes."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.project import IGNORE, MAX_CLASSES
from fcnlab.errors import ImportRefused
from fcnlab.storage.exports.manifest import is_export
from fcnlab.storage.formats.format import MASKS, FolderClue, Format, MaskClue, MaskPixels, is_binary
from fcnlab.storage.formats.reading.label_tables import find_table, read_table, refuse_unread_table
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import (
    Rgb,
    folder_of,
    mask_header,
    mask_nothing,
    mask_values,
    masks_at,
    name_of,
)
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Subject, WholeFile

MOST_VALUE = 65_535

EXPORTED = "masks"
"""Where exports of fcnlab keep masks of class ids."""


def read_index_masks(path: Path, options: ReadOptions) -> LabelSource:
    """Masks in a folder, or one file, matched to images by their paths without the ending.

    Names come from the table, else from `options.names`; colours from there too, else from the palette of the first
    mask that has one. Class 255 is unknown unless the table names it.

    Raises:
        ImportRefused: no masks, or no names for their values.
    """
    files, folder = masks_at(path), folder_of(path)
    table = options.table or find_table(folder)
    named = named_values(folder, options, files[0], table)
    tabled = frozenset(named) if table is not None else frozenset()
    class_indices = {value: class_index for class_index, value in enumerate(named)}

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            name = name_of(file, folder)
            try:
                yield LabelledImage(
                    name, mask_header(file).hw, partial(_mask, file=file, class_indices=class_indices, tabled=tabled)
                )
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    notes = () if table is not None else ("no table names the pixel values: they are ids of the project",)
    return LabelSource(tuple(named.values()), len(files), read, notes)


def named_values(folder: Path, options: ReadOptions, first: Path, table: Path | None) -> dict[int, FileClass]:
    """The class of every value, in the order of values. Raises ImportRefused: there are no names, or too many."""
    if table is not None:
        named = dict(sorted(read_table(table).by_value.items()))
    else:
        refuse_unread_table(folder)
        named = {value: FileClass(name) for value, name in sorted(options.names.items())}
    if not named:
        raise ImportRefused(
            f"nothing says which classes the values in {folder.name} stand for: name a table of classes"
        )
    if len(named) > MAX_CLASSES or max(named) > MOST_VALUE:
        raise ImportRefused(f"the table of classes has {len(named)} entries up to {max(named)}; at most {MAX_CLASSES}")
    palette = _palette(first)
    for value, file_class in named.items():
        if not file_class.colour and value < len(palette):
            named[value] = FileClass(file_class.name, "#{:02x}{:02x}{:02x}".format(*palette[value]))
    return named


def indices_of_values(values: NDArray[Any], class_indices: Mapping[int, int], what: str) -> NDArray[np.uint8]:
    """Class indices uint8 of stored values, in their shape; 255 is IGNORE unless it is a class.

    Raises:
        ImportRefused: a value without a class.
    """
    lowest, highest = int(values.min()), int(values.max())
    if lowest < 0 or highest > MOST_VALUE:
        raise ImportRefused(f"{what} has the value {lowest if lowest < 0 else highest}, which is no class")
    index_of_value = np.full(max(highest, IGNORE) + 1, -1, np.int16)
    index_of_value[IGNORE] = IGNORE
    for value, class_index in class_indices.items():
        if value < len(index_of_value):
            index_of_value[value] = class_index
    indices = index_of_value[values]
    if (indices < 0).any():
        strange = np.unique(values[indices < 0])
        listed = ", ".join(str(strange_value) for strange_value in strange[:5].tolist()) + (
            " ..." if len(strange) > 5 else ""
        )
        raise ImportRefused(f"{what} has pixels of the value {listed}, which no table of classes names")
    return np.asarray(indices, np.uint8)


def _mask(
    hw: tuple[int, int], *, file: Path, class_indices: Mapping[int, int], tabled: frozenset[int]
) -> NDArray[np.uint8]:
    refuse_other_size(file, hw)
    return stored_indices(file, class_indices, tabled=tabled)


def stored_indices(file: Path, class_indices: Mapping[int, int], *, tabled: Collection[int]) -> NDArray[np.uint8]:
    """Class indices (H, W) uint8 of the values in a file; where it says that nothing is there, IGNORE.

    `tabled`: values that a table names. Raises ImportRefused: as `mask_values`, or a value without a class.
    """
    values = mask_values(file)
    nothing = mask_nothing(file, values, named=tabled)
    mask = np.full(values.shape, IGNORE, np.uint8)
    if not nothing.all():
        mask[~nothing] = indices_of_values(values[~nothing], class_indices, file.name)
    return mask


def sized(mask: NDArray[np.uint8], hw: tuple[int, int], file: Path) -> NDArray[np.uint8]:
    """The mask, which must be of this size. Raises ImportRefused."""
    _refuse_other((mask.shape[0], mask.shape[1]), hw, file)
    return mask


def refuse_other_size(file: Path, hw: tuple[int, int]) -> None:
    """Before its pixels are decoded: a mask must be of the size of its image. Raises ImportRefused."""
    _refuse_other(mask_header(file).hw, hw, file)


def _refuse_other(mask_hw: tuple[int, int], hw: tuple[int, int], file: Path) -> None:
    if mask_hw != hw:
        raise ImportRefused(
            f"{file.name} has {mask_hw[1]} x {mask_hw[0]} pixels, its image {hw[1]} x {hw[0]}; export it at full size"
        )


def _palette(file: Path) -> tuple[Rgb, ...]:
    try:
        return mask_header(file).palette
    except ImportRefused:  # named when its turn comes
        return ()


def index_png(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """PNG bytes of class ids (H, W) uint8 with a (256, 3) uint8 palette; 8 bits a pixel, no alpha."""
    image = Image.fromarray(mask).convert("L")
    image.putpalette(palette.tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6, bits=8)
    return buffer.getvalue()


def grey_png(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """PNG bytes of numbers (H, W), uint8 or uint16, without a palette."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class IndexMasks(PerImageWriter):
    """Pixel value = class id, with the class colours as palette."""

    subject: Subject
    folder: str = "masks/"

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The mask of the image as a palette PNG file."""
        yield WholeFile(f"{self.folder}{image.place}.png", index_png(image.mask, self.subject.palette()))


def _find_exported_masks(folder: Path) -> Path | None:
    """The masks of class ids in an export of fcnlab, which its manifest tells."""
    masks = folder / EXPORTED
    return masks if is_export(folder) and masks.is_dir() else None


def _has_class_ids(pixels: MaskPixels) -> bool:
    """Whether the pixels of a mask have a palette, or more values than black and white."""
    if pixels.header is None:
        return False
    return bool(pixels.header.palette) or pixels.is_large or (pixels.values is not None and not is_binary(pixels))


FORMATS = (
    Format(
        "index",
        "Index PNG",
        "pixel value = class id, shown in class colours",
        MASKS,
        110,
        write=lambda options: IndexMasks(options.subject),
        has_class_ids=True,
        read=read_index_masks,
        read_title="index masks",
        clues=(FolderClue(0, _find_exported_masks), MaskClue(72, _has_class_ids)),
    ),
)
