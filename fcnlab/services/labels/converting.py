"""Labels from one format into others, without a project."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from fcnlab.core.images.naming import export_stems
from fcnlab.core.images.palette import coloured_labels
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import IGNORE
from fcnlab.errors import ExportFailed, FcnlabError, ImportRefused
from fcnlab.services.export.formats import LABELS_ALONE, checked_spec, needs, regions_for, writers_with_table
from fcnlab.services.export.target import plain_writer
from fcnlab.services.images.pictures import PictureSizes
from fcnlab.services.labels.label_import import LabelRequest, opened_source, unpacked_labels
from fcnlab.storage.files.zips import LeftOut
from fcnlab.storage.formats.format import Need
from fcnlab.storage.formats.reading.labelled import FileClass, LabelledImage, UnreadLabels
from fcnlab.storage.formats.reading.shapes import is_background
from fcnlab.storage.formats.registry import written_formats
from fcnlab.storage.formats.writing import ExportedImage, Subject
from fcnlab.storage.image_readers.registry import SUFFIXES


@dataclass(frozen=True, slots=True)
class ConvertProgress:
    """One image further; `reason` says why nothing was written for it. The last one has no name."""

    done: int
    total: int | None
    name: str
    reason: str = ""
    notes: tuple[str, ...] = ()
    """Marks that are unknown pixels or were dropped, and why, a line each."""

    has_unknown: bool = False
    """Pixels about which nothing is said: most formats cannot say so, and leave them to the background."""

    lacks_ending: bool = False
    """The labels say no file name, but one without its ending, and a format was wanted that gives the file name."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Labels, opened; `steps` writes them, an image a step."""

    words: str
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    steps: Iterator[ConvertProgress]


@contextmanager
def conversion(
    path: Path, *, request: LabelRequest, spec: ExportSpec, to: Path, pictures: Path | None = None
) -> Iterator[Conversion]:
    """Open labels to write them in other formats; equal labels give equal bytes.

    Args:
        path: a label file, a folder or a zip archive.
        request: the format it is in, what the rest is, and a table of classes.
        spec: the formats to write, those that need no more than masks and points.
        to: a zip file, which appears whole at the end, or a folder.
        pictures: a folder with the images, for labels that do not know their sizes or the endings of their names.

    Raises:
        ImportRefused: no labels, or damaged as a whole.
        ExportFailed: it cannot be written, or a format needs more than labels.
    """
    spec = checked_spec(spec, LABELS_ALONE, source="labels alone")
    has_names = any(each.has_file_names for each in written_formats(spec.formats))
    name = path.name or path.resolve().name
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fcnlab-")))
        unpacked = unpacked_labels(path, name=name, within=work, with_pictures=pictures is None)
        inside, left_out = stack.enter_context(unpacked)
        detected, source = opened_source(inside, request, None, name=name)
        subject = _subject(source.classes, name)
        writer = stack.enter_context(plain_writer(to, writers_with_table(spec, subject, has_pictures=False)))
        sizes = PictureSizes(pictures, inside)

        def steps() -> Iterator[ConvertProgress]:
            taken: set[str] = set()
            done, first = 0, ""
            for labels in source.images():
                done += 1
                try:
                    image = _exported(labels, done, spec, subject, sizes, taken)
                    writer.add(image)
                except FcnlabError as refusal:
                    first = first or f"{labels.name}: {refusal}"
                    yield ConvertProgress(done, source.total, labels.name, " ".join(str(refusal).split()))
                else:
                    has_unknown = bool((image.mask == IGNORE).any())
                    lacks = has_names and not image.name.lower().endswith(tuple(SUFFIXES))
                    notes = labels.notes.lines if isinstance(labels, LabelledImage) else ()
                    yield ConvertProgress(done, source.total, image.name, "", notes, has_unknown, lacks)
            if not taken:
                raise ExportFailed(f"no labels could be converted; {first or 'there are none'}")
            writer.finish()
            ended.append(done)
            yield ConvertProgress(done, done, "")

        ended: list[int] = []
        yield Conversion(f"{name} is read as {detected.format.read_title}", left_out, source.notes, steps())
        if not ended:
            raise ExportFailed("the conversion was stopped before its end")  # no half archive


def _subject(classes: Sequence[FileClass], title: str) -> Subject:
    labels = coloured_labels((class_index, label.name, label.colour) for class_index, label in enumerate(classes))
    background = next(
        (class_index for class_index, file_class in enumerate(classes) if is_background(file_class.name)), None
    )
    return Subject(title, labels, (), background)


def _exported(
    labels: LabelledImage | UnreadLabels,
    image_number: int,
    spec: ExportSpec,
    subject: Subject,
    pictures: PictureSizes,
    taken: set[str],
) -> ExportedImage:
    if isinstance(labels, UnreadLabels):
        raise ImportRefused(labels.reason)
    name, hw = pictures.named_hw(labels.name, labels.hw)
    stem = export_stems([name])[name]
    if stem.casefold() in taken:
        raise ImportRefused("other labels are for an image of this name already, and were taken")
    only_points = not needs(spec, Need.MASK)
    if labels.mask is None and not only_points:
        raise ImportRefused("it has points alone: convert these to the format 'points'")
    mask = np.full(hw, IGNORE, np.uint8) if labels.mask is None or only_points else labels.mask(hw)
    outside = next((point for point in labels.points if point.row >= hw[0] or point.col >= hw[1]), None)
    if outside is not None:
        raise ImportRefused(f"a point in row {outside.row}, column {outside.col} is outside the image")
    if not labels.points and (mask == IGNORE).all():
        raise ImportRefused("nothing is said about any of its pixels")
    taken.add(stem.casefold())
    rows = [
        (name, point.row, point.col, point.class_index, subject.name_of(point.class_index), "import", "import", "")
        for point in labels.points
    ]
    return ExportedImage(
        number=image_number,
        name=name,
        stem=stem,
        split="",
        mask=mask,
        regions=regions_for(spec, mask, subject.background),
        picture=_no_picture,
        original=_no_picture,
        points=rows,
    )


def _no_picture() -> NoReturn:
    raise ExportFailed("labels come without images: this format needs them")
