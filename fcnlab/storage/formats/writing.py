"""What the writer of a format is given, and what it gives: whole files of an image, lines of files about all images.

A writer keeps no state between images, so that an export can stop and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import ClassLabel


class RegionPiece(Protocol):
    """A connected part of a region; rings are corners of pixels (N, 2) int32, row and col, clockwise outside."""

    @property
    def outer(self) -> NDArray[np.int32]: ...  # noqa: D102
    @property
    def holes(self) -> tuple[NDArray[np.int32], ...]: ...  # noqa: D102


class Region(Protocol):
    """A region as formats see it; see fcnlab.core.images.regions.Region, which says what each part means."""

    @property
    def class_id(self) -> int: ...  # noqa: D102
    @property
    def top(self) -> int: ...  # noqa: D102
    @property
    def left(self) -> int: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def inside(self) -> NDArray[np.bool_]: ...  # noqa: D102
    @property
    def area(self) -> int: ...  # noqa: D102
    @property
    def pieces(self) -> Sequence[RegionPiece]: ...  # noqa: D102
    @property
    def simple_pieces(self) -> Sequence[RegionPiece]: ...  # noqa: D102
    @property
    def rings(self) -> Sequence[NDArray[np.int32]]: ...  # noqa: D102
    @property
    def runs(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def row_runs(self) -> NDArray[np.int64]: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Subject:
    """What all files of an export are about.

    Attributes:
        title: of the project or model.
        classes: in the order of the class bar.
        removed: classes no longer in use, which kept masks may name.
        background: class id that formats of shapes leave out; None: they write every class.
        splits: names of the parts the images are split into; () when they are not.
    """

    title: str
    classes: tuple[ClassLabel, ...]
    removed: tuple[ClassLabel, ...]
    background: int | None
    splits: tuple[str, ...] = ()

    def named(self) -> tuple[ClassLabel, ...]:
        """All classes a mask may name, by id."""
        return tuple(sorted((*self.classes, *self.removed), key=lambda label: label.id))

    def name_of(self, class_id: int) -> str:
        """The name of a class; its id where there is none."""
        return next((label.name for label in self.named() if label.id == class_id), str(class_id))

    def objects(self) -> tuple[ClassLabel, ...]:
        """The classes that are no background, by id."""
        return tuple(label for label in self.named() if label.id != self.background)

    def palette(self) -> NDArray[np.uint8]:
        """(256, 3) uint8: the colour of every class id; grey where there is no class."""
        palette = np.full((256, 3), 128, np.uint8)
        for label in self.named():
            palette[label.id] = rgb(label)
        return palette


@dataclass(frozen=True, slots=True, eq=False)
class ExportedImage:
    """An image with its mask, ready to be written.

    Attributes:
        number: its place among the images of the export, from 1.
        name: of the image.
        stem: path of its files, without folder of the format and ending.
        split: the part it is in; empty when images are not split.
        mask: (H, W) uint8 class ids.
        regions: as asked for: per class, or per connected part; background left out.
        picture: reads the upright picture, (H, W, 3) uint8.
        original: finds the file it was made from; `is_turned` when EXIF turned the picture.
        probabilities: class ids and what the model gives each, (K, h, w) float32 over the same field of view.
        points: rows of the table of points, in order.
        measures: makes the rows of the table of measurements, one per region.
    """

    number: int
    name: str
    stem: str
    split: str
    mask: NDArray[np.uint8]
    regions: Sequence[Region]
    picture: Callable[[], NDArray[np.uint8]]
    original: Callable[[], Path]
    is_turned: bool = False
    probabilities: tuple[tuple[int, ...], NDArray[np.float32]] | None = None
    points: Sequence[PointRow] = ()
    measures: Callable[[], Sequence[tuple[object, ...]]] = tuple

    @property
    def height(self) -> int:
        """Rows of the mask."""
        return int(self.mask.shape[0])

    @property
    def width(self) -> int:
        """Columns of the mask."""
        return int(self.mask.shape[1])

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def place(self) -> str:
        """The path of its files below the folder of a format, without an ending: its split and its stem."""
        return f"{self.split}/{self.stem}" if self.split else self.stem


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file of one image."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """A piece of a file about many images, kept in a spool until all are there.

    `data` ends without a line break. `is_numbered`: a JSON object that gets `id`, its number in the spool from 1.
    """

    spool: str
    data: bytes
    is_numbered: bool = False


@dataclass(frozen=True, slots=True)
class Spooled:
    """All lines of a spool, each with a line break behind it and `between` before all but the first."""

    spool: str
    between: bytes = b""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A file about many images: constant parts, and spools."""

    name: str
    parts: tuple[bytes | Spooled, ...]


class FormatWriter(Protocol):
    """Writes one format of files."""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile | Line]:
        """Files and lines of an image. The same image gives the same bytes."""
        ...

    def of_all(self) -> Iterator[Assembly]:
        """The files about all images, once each was added."""
        ...


class PerImageWriter:
    """A writer without files about all images."""

    __slots__ = ()

    def of_all(self) -> Iterator[Assembly]:
        """No file about all images."""
        return iter(())


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What the writers of an export are made from.

    Attributes:
        subject: what all files are about.
        instances: whether a region is one connected part, and not all of its class.
        border: so many pixels on either side of every edge are 255.
        image_prefix: what the addresses of pictures begin with, before their names.
        has_pictures: whether images come with their pictures, or with masks alone.
        folders: of the classes that stay, by their ids.
        tint: lays a mask (H, W) over a picture (H, W, 3) uint8.
        measures: names of what `ExportedImage.measures` gives.
    """

    subject: Subject
    instances: bool
    border: int
    image_prefix: str
    has_pictures: bool
    folders: dict[int, str]
    tint: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]
    measures: tuple[str, ...]


def rgb(label: ClassLabel) -> tuple[int, int, int]:
    """Red, green and blue of a class, 0 to 255."""
    return int(label.colour[1:3], 16), int(label.colour[3:5], 16), int(label.colour[5:7], 16)


def category_ids(objects: Iterable[ClassLabel]) -> dict[int, int]:
    """The ids of COCO categories by class id: the same, or all of them one more where a category would be 0.

    Tools that take a category for one of a list count them from 1, and lose the 0.
    """
    ids = [label.id for label in objects]
    return {class_id: class_id + (0 in ids) for class_id in ids}


def xy(ring: NDArray[np.int32]) -> list[int]:
    """x, y, x, y, ... of the corners of a ring."""
    flat: list[int] = ring[:, ::-1].ravel().tolist()
    return flat


PointRow = tuple[str, int, int, int, str, str, str, str]
