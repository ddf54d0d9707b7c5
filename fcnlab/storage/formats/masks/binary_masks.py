"""Binary masks: black and white pictures, one per image, or one per class and image in a folder per class."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import MASKS, Format, MaskClue, is_binary
from fcnlab.storage.formats.masks.index_masks import refuse_other_size, sized
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.mask_files import (
    folder_of,
    mask_header,
    mask_nothing,
    mask_values,
    masks_at,
    name_of,
)
from fcnlab.storage.formats.reading.shapes import shape_classes
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, WholeFile

FOREGROUND = "foreground"
NO_CLASSES = frozenset({"train", "val", "valid", "test", "masks", "mask", "labels", "images", "annotations"})
"""Folders whose names are no classes."""

Part = tuple[int, Path]


def read_binary_masks(path: Path, options: ReadOptions) -> LabelSource:
    """All that is not black is `foreground`, or the class of its folder where masks lie in several; else background.

    Where masks of several classes overlap, the last in the order of the alphabet counts.

    Raises:
        ImportRefused: no masks.
    """
    files = masks_at(path)
    folder = Path(os.path.commonpath([file.parent for file in files])) if path.is_dir() else folder_of(path)
    named = [FileClass(class_name) for class_name in class_folders(files, folder) or [FOREGROUND]]
    classes = shape_classes(named, rest="background" if options.rest == "auto" else options.rest)  # black says so
    by_image: dict[str, list[Part]] = {}
    for file in files:
        name, (first, *others) = name_of(file, folder), file.relative_to(folder).parts
        is_class = bool(others) and first in classes.class_indices
        image = name.removeprefix(f"{first}/") if is_class else name
        by_image.setdefault(image, []).append((classes.class_indices[first if is_class else FOREGROUND], file))

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for name, parts in by_image.items():
            try:
                yield LabelledImage(
                    name, mask_header(parts[0][1]).hw, partial(_mask, parts=parts, ground=classes.ground)
                )
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    return LabelSource(classes.classes, len(by_image), read)


def class_folders(files: Sequence[Path], folder: Path) -> list[str]:
    """Names of the folders that are classes: all masks lie in some, and none of them is called as sets are."""
    parts = [file.relative_to(folder).parts for file in files]
    if any(len(path_parts) < 2 or path_parts[0].casefold() in NO_CLASSES for path_parts in parts):
        return []
    return sorted({path_parts[0] for path_parts in parts})


def _mask(hw: tuple[int, int], *, parts: Sequence[Part], ground: int) -> NDArray[np.uint8]:
    mask = np.full(hw, ground, np.uint8)
    for class_index, file in parts:
        refuse_other_size(file, hw)
        values = mask_values(file)
        nothing = mask_nothing(file, values, named=(0,))  # which 0 is by the kind of these masks
        mask[sized((values > 0).astype(np.uint8), hw, file) > 0] = class_index
        mask[nothing] = IGNORE
    return mask


def binary_png(is_class: NDArray[np.bool_]) -> bytes:
    """PNG bytes of (H, W) bool: 8-bit grey, 255 where true, 0 elsewhere."""
    buffer = io.BytesIO()
    Image.fromarray(is_class.astype(np.uint8) * np.uint8(255)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class BinaryMasks(PerImageWriter):
    """White where a class is, black elsewhere; `folders` are those of the classes by their ids."""

    folders: dict[int, str]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """A black and white PNG file per class."""
        for class_id, folder in self.folders.items():
            yield WholeFile(f"binary/{folder}/{image.place}.png", binary_png(image.mask == class_id))


FORMATS = (
    Format(
        "binary",
        "Binary PNG",
        "black and white, a file per class",
        MASKS,
        130,
        write=lambda options: BinaryMasks(options.folders),
        read=read_binary_masks,
        read_title="black and white masks",
        clues=(MaskClue(73, is_binary),),
    ),
)
