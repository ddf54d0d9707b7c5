"""RootPainter: a PNG per image with strokes, red on what is wanted, green on what is not; the rest is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.imports.index_masks import sized
from fcnlab.adapters.imports.labelled import FileClass, LabelledImage, LabelSource, UnreadLabels
from fcnlab.adapters.imports.mask_files import files_below, folder_of, mask_colours, mask_header, name_of
from fcnlab.adapters.imports.reading import ReadOptions
from fcnlab.adapters.imports.shapes import BACKGROUND
from fcnlab.domain import IGNORE
from fcnlab.errors import ImportRefused

FOREGROUND = "foreground"
SETS = frozenset({"train", "val"})
"""Folders that RootPainter sorts annotations into; they say nothing of the image."""


def read_root_painter(path: Path, options: ReadOptions) -> LabelSource:
    """The annotations in a folder, or one file: red is `foreground`, green `background`, transparent unknown.

    Where both were painted, red counts, as it does in RootPainter.

    Raises:
        ImportRefused: no annotations.
    """
    del options
    files, folder = (files_below(path, (".png",)) if path.is_dir() else [path]), folder_of(path)
    if not files:
        raise ImportRefused(f"{path.name} holds no annotations: no file ends in .png")

    def read() -> Iterator[LabelledImage | UnreadLabels]:
        for file in files:
            parts = name_of(file, folder).split("/")
            name = "/".join([part for part in parts[:-1] if part not in SETS] + parts[-1:])
            try:
                yield LabelledImage(name, mask_header(file).hw, partial(_mask, file=file))
            except ImportRefused as refusal:
                yield UnreadLabels(name, str(refusal))

    classes = (FileClass(BACKGROUND), FileClass(FOREGROUND, "#ff0000"))
    return LabelSource(classes, len(files), read)


def _mask(hw: tuple[int, int], *, file: Path) -> NDArray[np.uint8]:
    rgba = mask_colours(file)
    painted = rgba[..., 3] > 0
    mask = np.full(rgba.shape[:2], IGNORE, np.uint8)
    mask[painted & (rgba[..., 1] > 0)] = 0
    mask[painted & (rgba[..., 0] > 0)] = 1
    return sized(mask, hw, file)
