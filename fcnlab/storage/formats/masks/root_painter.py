"""RootPainter: a PNG per image, red on what is wanted, green on what is not."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.format import SHAPES, Format, MaskClue, MaskPixels
from fcnlab.storage.formats.masks.index_masks import refuse_other_size
from fcnlab.storage.formats.reading.labelled import (
    FileClass,
    LabelledImage,
    LabelSource,
    Notes,
    UnreadLabels,
)
from fcnlab.storage.formats.reading.mask_files import (
    folder_of,
    mask_colours,
    mask_header,
    masks_below,
    name_of,
)
from fcnlab.storage.formats.reading.shapes import BACKGROUND
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Subject, WholeFile

FOREGROUND = "foreground"
RED = "#ff0000"
ANNOTATIONS = "annotations"
SETS = frozenset({"train", "val"})
"""Folders that RootPainter sorts annotations into; they say nothing of the image."""

Part = tuple[int, Path]


def read_root_painter(path: Path, options: ReadOptions) -> LabelSource:
    """The annotations in a folder, or one file: red is `foreground`, green `background`, transparent unknown.

    Where both were painted, red counts, as it does in RootPainter. Projects of several classes, `<class>/annotations`
    each, make one mask: red is the class, and background is what is green for all of them; of two reds the last counts.

    Raises:
        ImportRefused: no annotations.
    """
    del options
    files, folder = (masks_below(path, (".png",)) if path.is_dir() else [path]), folder_of(path)
    if not files:
        raise ImportRefused(f"{path.name} holds no annotations: no file ends in .png")
    annotated_files = [(*_class_and_name(file, folder), file) for file in files]
    named = sorted({annotated_file[0] for annotated_file in annotated_files})
    names = named if len(named) > 1 else [FOREGROUND]
    by_image: dict[str, list[Part]] = {}
    for class_name, name, file in annotated_files:
        by_image.setdefault(name, []).append((named.index(class_name) + 1, file))

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for name, parts in by_image.items():
            try:
                notes = Notes()
                mask = partial(_mask, parts=parts, n_classes=len(names), notes=notes)
                yield LabelledImage(name, mask_header(parts[0][1]).hw, mask, (), notes)
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    classes = (FileClass(BACKGROUND), *(FileClass(name, RED if len(names) == 1 else "") for name in names))
    return LabelSource(classes, len(by_image), read)


def _class_and_name(file: Path, folder: Path) -> tuple[str, str]:
    """The class that a folder above `annotations` names, and what the image is called."""
    parts = name_of(file, folder).split("/")
    folder_index = parts.index(ANNOTATIONS) if ANNOTATIONS in parts[:-1] else -1
    inside = parts[folder_index + 1 :]
    image = "/".join([part for part in inside[:-1] if part not in SETS] + inside[-1:])
    return (parts[folder_index - 1] if folder_index > 0 else FOREGROUND), image


def _mask(hw: tuple[int, int], *, parts: Sequence[Part], n_classes: int, notes: Notes) -> NDArray[np.uint8]:
    mask = np.full(hw, IGNORE, np.uint8)
    n_green = np.zeros(hw, np.uint8)
    for class_index, file in parts:
        refuse_other_size(file, hw)
        rgba = mask_colours(file)
        painted, red, green = rgba[..., 3] > 0, rgba[..., 0] > 0, rgba[..., 1] > 0
        n_green += painted & ~red & green
        if (strange := painted & ~red & ~green & (rgba[..., 2] > 0)).any():
            notes.add(f"{int(strange.sum())} pixels of {file.name} are neither red nor green: they are unknown")
        mask[painted & red] = class_index
    mask[(n_green == n_classes) & (mask == IGNORE)] = 0
    return mask


WRITTEN_FOREGROUND, WRITTEN_BACKGROUND, UNKNOWN = (255, 0, 0, 180), (0, 255, 0, 180), (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RootPainter(PerImageWriter):
    """Every pixel is annotated but those about which nothing is said.

    RootPainter knows one class: of several, each has a folder of annotations.

    Args:
        folders: of the classes by their ids, background left out.
    """

    subject: Subject
    folders: dict[int, str]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """An annotation as a PNG file per class."""
        name = f"annotations/{image.split or 'train'}/{image.stem}.png"
        for label in self.subject.objects():
            if label.id in self.folders:
                above = f"{self.folders[label.id]}/" if len(self.folders) > 1 else ""
                table = np.full((IGNORE + 1, 4), WRITTEN_BACKGROUND, np.uint8)
                table[label.id], table[IGNORE] = WRITTEN_FOREGROUND, UNKNOWN
                pixels = table[image.mask]
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
                yield WholeFile(f"root_painter/{above}{name}", buffer.getvalue())


def _has_strokes(pixels: MaskPixels) -> bool:
    """Whether a mask in colour has strokes in red and green that let the picture through."""
    rgba = pixels.rgba
    if rgba is None:
        return False
    painted = rgba[rgba[..., 3] > 0][:, :3] > 0
    return bool((rgba[..., 3] < 255).any() and (painted.sum(axis=1) == 1).all() and not painted[:, 2].any())


FORMATS = (
    Format(
        "rootpainter",
        "RootPainter",
        "annotations as PNG",
        SHAPES,
        280,
        write=lambda options: RootPainter(options.subject, options.folders),
        read=read_root_painter,
        read_title="RootPainter annotations",
        clues=(MaskClue(70, _has_strokes),),
    ),
)
