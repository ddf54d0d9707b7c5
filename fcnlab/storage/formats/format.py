"""What a format declares of itself: its names, what it needs, who writes and reads it, how its files are recognised."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import ImportRefused
from fcnlab.storage.formats.reading.labelled import LabelSource
from fcnlab.storage.formats.reading.mask_files import MaskHeader, mask_colours, mask_header, mask_values
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.writing import FormatWriter, WriteOptions

Result = TypeVar("Result")

MASKS, SHAPES, TABLES = "Masks and images", "Shapes and other tools", "Tables"
"""Groups that people look for formats in."""

BY_DOCUMENTS, BY_PIXELS = 50, 70
"""At these ranks single files decide what a folder holds, such as XML and JSON, and the pixels of its masks."""

MOST_PIXELS = 200_000_000
"""Larger masks are not decoded for a guess."""


class Need(StrEnum):
    """What a format cannot be written without, besides the size of the image."""

    MASK = "mask"
    REGIONS = "regions"
    PARTS = "parts"
    """Regions, one for each connected part."""

    PROBABILITIES = "probabilities"
    PICTURE = "picture"
    ORIGINAL = "original"
    POINTS = "points"


@dataclass(frozen=True, slots=True)
class FolderClue:
    """What in a folder tells the format of all of it.

    Attributes:
        rank: folder clues of lower ranks are asked first; see BY_DOCUMENTS and BY_PIXELS.
        find: given the folder, what in it is to be read; None: it is not of this format.
    """

    rank: int
    find: Callable[[Path], Path | None]


@dataclass(frozen=True, slots=True)
class FileClue:
    """What tells the format of a file.

    Attributes:
        suffixes: of its name, in lower case.
        mark: a regular expression that its beginning or its end matches; empty: the suffix says it.
        rank: clues of lower ranks are asked first, and in a folder, files of their suffixes are looked at first.
        holds: labels of one image, or of all images.
        in_folders: whether such a file tells the format of the folder it lies in.
    """

    suffixes: tuple[str, ...]
    mark: bytes = b""
    rank: int = 100
    holds: Literal["image", "dataset"] = "dataset"
    in_folders: bool = True

    def matches(self, path: Path, ends: Callable[[], bytes]) -> bool:
        """Whether a file is of the format; `ends` gives its beginning and its end."""
        return path.suffix.lower() in self.suffixes and (not self.mark or re.search(self.mark, ends()) is not None)


@dataclass(frozen=True, slots=True)
class MaskClue:
    """What in the pixels of a mask tells its format; of several, the lowest rank of any mask in a folder counts."""

    rank: int
    matches: Callable[[MaskPixels], bool]


Clue = FolderClue | FileClue | MaskClue


@dataclass(frozen=True)
class MaskPixels:
    """The pixels of a mask, decoded when they are asked for."""

    path: Path

    @cached_property
    def header(self) -> MaskHeader | None:
        """Size and palette; None: no mask, or damaged."""
        return _tried(mask_header, self.path)

    @property
    def is_large(self) -> bool:
        """Whether it has too many pixels to be decoded for a guess."""
        return self.header is not None and self.header.hw[0] * self.header.hw[1] > MOST_PIXELS

    @cached_property
    def values(self) -> NDArray[Any] | None:
        """(H, W) of an integer type; None: in colour, too large, or damaged."""
        return None if self.header is None or self.is_large else _tried(mask_values, self.path)

    @cached_property
    def rgba(self) -> NDArray[np.uint8] | None:
        """(H, W, 4) uint8 of a mask in colour; None where `values` has them, or when damaged."""
        has_values = self.header is None or self.is_large or self.values is not None
        return None if has_values else _tried(mask_colours, self.path)


@dataclass(frozen=True, slots=True)
class Format:
    """A format of files. Its module lists it in FORMATS, by which `registry` finds it.

    Attributes:
        name: on the command line, in REST and in Python.
        title: what people call it.
        description: what its files are.
        group: MASKS, SHAPES or TABLES.
        order: its place in lists, and among the files that are written; different for every format.
        needs: what it is written from.
        write: makes the writer; None: it is not written.
        options: attributes of WriteOptions that no other format may use, which pages show where it is chosen.
        has_class_ids: the values of its masks stand for classes, and its files do not name them.
        has_file_names: its files say the file name of an image, by which readers open it.
        shows_picture: its files may hold the picture in another form than the original's.
        pictures: the writer of the originals at the place where readers of this format look for them.
        trains_from: the folder of those, where its readers train on files and cannot do without them.
        read: opens label files; None: it is not read.
        read_title: what a label file of this format is called.
        clues: how its label files are told from others.
        joins_files: of a folder all files are read together.
    """

    name: str
    title: str
    description: str
    group: str
    order: int
    needs: frozenset[Need] = frozenset({Need.MASK})
    write: Callable[[WriteOptions], FormatWriter] | None = None
    options: frozenset[str] = frozenset()
    has_class_ids: bool = False
    has_file_names: bool = False
    shows_picture: bool = False
    pictures: Callable[[], FormatWriter] | None = None
    trains_from: str = ""
    read: Callable[[Path, ReadOptions], LabelSource] | None = None
    read_title: str = ""
    clues: tuple[Clue, ...] = ()
    joins_files: bool = False

    @property
    def dataset_suffix(self) -> str:
        """The ending of label files that hold all images; empty: there are none."""
        files = (clue for clue in self.clues if isinstance(clue, FileClue) and clue.holds == "dataset")
        return next((clue.suffixes[0] for clue in files), "")


def is_binary(pixels: MaskPixels) -> bool:
    """Whether a mask without a palette has the values 0 and 255 alone, and the 0."""
    if pixels.header is None or pixels.header.palette or pixels.values is None:
        return False
    return bool(np.isin(pixels.values, (0, 255)).all() and (pixels.values == 0).any())


def _tried(read: Callable[[Path], Result], path: Path) -> Result | None:
    try:
        return read(path)
    except ImportRefused:
        return None
