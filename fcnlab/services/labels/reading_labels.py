"""Labels of other tools as arrays: for scripts and notebooks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE
from fcnlab.errors import ImportRefused
from fcnlab.services.images.pictures import PictureSizes
from fcnlab.services.labels.label_import import AUTO, LabelRequest, opened_source, unpacked_labels
from fcnlab.storage.formats.reading.labelled import LabelledImage, LabelSource, UnreadLabels
from fcnlab.storage.formats.reading.values import Rest
from fcnlab.validation import checked_call


@dataclass(frozen=True, slots=True, eq=False)
class ReadLabels:
    """Labels, opened.

    Attributes:
        classes: names; the value of a pixel is the place in this list.
        masks: (name of the image, mask (H, W) uint8 with 255 where nothing is said), read one at a time; labelled
            points are pixels of an otherwise unknown mask.
        left_out: (name, reason) of images that could not be read so far.
        notes: (name, line) of marks read so far that are unknown pixels or were dropped, and why; before the first
            image, what was taken for granted, with the name of the labels.
    """

    classes: tuple[str, ...]
    masks: Iterator[tuple[str, NDArray[np.uint8]]]
    left_out: list[tuple[str, str]]
    notes: list[tuple[str, str]]


@checked_call(ImportRefused)
@contextmanager
def read_labels(
    path: str | Path,
    *,
    as_format: str = AUTO,
    images: str | Path | None = None,
    table: str | Path | None = None,
    rest: Rest = "auto",
) -> Iterator[ReadLabels]:
    """Read labels of another tool, without a project; a context manager.

    Args:
        path: a label file, a folder of them, or a zip archive.
        as_format: a name as `fcnlab labels import` has it.
        images: a folder with the images, for labels that do not say their sizes.
        table: a file that names classes by pixel value or colour.
        rest: what pixels outside all shapes are. "auto": background, where the file has a class for that, else unknown.

    Raises:
        ImportRefused: no labels, or damaged as a whole. What is wrong with one image stands in `left_out`.
    """
    for what, given, is_there in (
        ("labels", path, Path.exists),
        ("folder of images", images, Path.is_dir),
        ("table of classes", table, Path.is_file),
    ):
        if given is not None and not (str(given) and is_there(Path(given))):
            raise ImportRefused(f"there is no {what} {str(given)!r}: check the path")
    labels_path = Path(path)
    name = labels_path.name or labels_path.resolve().name
    request = LabelRequest(as_format=as_format, rest=rest, table=None if table is None else Path(table))
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fcnlab-")))
        unpacked = unpacked_labels(labels_path, name=name, within=work, with_pictures=images is None)
        inside, packed = stack.enter_context(unpacked)
        _, source = opened_source(inside, request, None, name=name)
        left_out = [(file.name, file.reason) for file in packed]
        notes = [(name, line) for line in source.notes]
        sizes = PictureSizes(None if images is None else Path(images), inside)
        masks = _masks(source, sizes, left_out, notes)
        yield ReadLabels(tuple(file_class.name for file_class in source.classes), masks, left_out, notes)


def _masks(
    source: LabelSource, sizes: PictureSizes, left_out: list[tuple[str, str]], notes: list[tuple[str, str]]
) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for labels in source.images():
        if isinstance(labels, UnreadLabels):
            left_out.append((labels.name, labels.reason))
            continue
        try:
            name, hw = sizes.named_hw(labels.name, labels.hw)
            mask = _mask(labels, hw)
        except ImportRefused as refusal:
            left_out.append((labels.name, str(refusal)))
        else:
            notes += [(name, line) for line in labels.notes.lines]
            yield name, mask


def _mask(labels: LabelledImage, hw: tuple[int, int]) -> NDArray[np.uint8]:
    if labels.mask is not None:
        return labels.mask(hw)
    mask = np.full(hw, IGNORE, np.uint8)
    for point in labels.points:
        if point.row >= hw[0] or point.col >= hw[1]:
            raise ImportRefused(f"a point in row {point.row}, column {point.col} is outside the image")
        mask[point.row, point.col] = point.class_index
    return mask
