"""What every reader of label files gives: classes by name, and for each image what is known of its pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from numpy import uint8
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class FileClass:
    """A class as a label file knows it; `colour` is `#rrggbb`, or empty."""

    name: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class FilePoint:
    """A labelled pixel of the upright full-size image; `class_index` counts in the classes of the file."""

    row: int
    col: int
    class_index: int


class Notes:
    """Lines about marks of one image that were not read as they were made: each once, and not without end."""

    MOST = 20

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}
        self._n_unsaid = 0

    def add(self, line: str) -> None:
        """Remember a line that names a mark and says what became of it."""
        if line not in self._lines:
            if len(self._lines) < self.MOST:
                self._lines[line] = None
            else:
                self._n_unsaid += 1

    @property
    def lines(self) -> tuple[str, ...]:
        """What was noted so far; beyond MOST lines, how many more there were."""
        more = (f"{self._n_unsaid} more marks could not be read as they were made",) if self._n_unsaid else ()
        return (*self._lines, *more)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """What a label file says of one image.

    Attributes:
        name: file name or path of the image, as the label file has it; its stem when only that is known.
        hw: the size it claims for the image; None when it claims none.
        mask: given the true (H, W), the indices of the classes as (H, W) uint8, IGNORE where nothing is said; None
            when there are only points. Raises ImportRefused: the file says it wrongly.
        points: single labelled pixels.
    """

    name: str
    hw: tuple[int, int] | None
    mask: Callable[[tuple[int, int]], NDArray[uint8]] | None
    points: tuple[FilePoint, ...] = ()
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True, slots=True)
class UnreadLabels:
    """An image whose labels could not be read, and why, in one line."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelSource:
    """A label file or folder, opened.

    Attributes:
        classes: in the order that class indices count in, background included where the format has one.
        total: number of images, None when nobody knows before reading.
        images: reads them one at a time; can be called again.
        notes: what was taken for granted, and files beside the labels that were not read.
    """

    classes: tuple[FileClass, ...]
    total: int | None
    images: Callable[[], Iterator[LabelledImage | UnreadLabels]]
    notes: tuple[str, ...] = ()
