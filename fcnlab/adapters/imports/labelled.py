"""What every reader of label files gives: classes by name, and for each image what is known of its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from numpy import uint8
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FileClass:
    """A class as a label file knows it; `colour` is `#rrggbb`, or empty."""

    name: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class FilePoint:
    """A labelled pixel of the upright full-size image; `place` counts in the classes of the file."""

    row: int
    col: int
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """What a label file says of one image.

    Attributes:
        name: file name or path of the image, as the label file has it; its stem when only that is known.
        hw: the size it claims for the image; None when it claims none.
        mask: given the true (H, W), the places of the classes as (H, W) uint8, IGNORE where nothing is said; None
            when there are only points. Raises ImportRefused: the file says it wrongly.
        points: single labelled pixels.
    """

    name: str
    hw: tuple[int, int] | None
    mask: Callable[[tuple[int, int]], NDArray[uint8]] | None
    points: tuple[FilePoint, ...] = ()


@dataclass(frozen=True, slots=True)
class UnreadLabels:
    """An image whose labels could not be read, and why, in one line."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelSource:
    """A label file or folder, opened.

    Attributes:
        classes: in the order that places count in, background included where the format has one.
        total: number of images, None when nobody knows before reading.
        images: reads them one at a time; can be called again.
    """

    classes: tuple[FileClass, ...]
    total: int | None
    images: Callable[[], Iterator[LabelledImage | UnreadLabels]]
