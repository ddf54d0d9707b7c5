"""Labels from one format into others, without a project."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from fcnlab.adapters.exports.archive import archive
from fcnlab.adapters.exports.dataset import DatasetWriter, Target
from fcnlab.adapters.exports.folder import LooseFolder
from fcnlab.adapters.exports.format import ExportedImage, Subject
from fcnlab.adapters.exports.spools import Spools
from fcnlab.adapters.images import SUFFIXES, open_image
from fcnlab.adapters.imports.formats import FORMATS
from fcnlab.adapters.imports.labelled import FileClass, LabelledImage, UnreadLabels
from fcnlab.adapters.imports.mask_files import files_below
from fcnlab.adapters.imports.shapes import is_background
from fcnlab.adapters.zips import LeftOut
from fcnlab.core.naming import export_stems
from fcnlab.domain import DEFAULT_PALETTE, IGNORE, ClassLabel
from fcnlab.errors import ExportFailed, FcnlabError, ImportRefused
from fcnlab.exports import ExportFormat, ExportSpec
from fcnlab.services.expert_labels import LabelRequest, opened_source, unpacked_labels
from fcnlab.services.export_formats import formats_of, regions_for
from fcnlab.services.importing import clean_file_name
from fcnlab.services.label_names import ImageNames

CONVERTED = (
    *(ExportFormat.INDEX, ExportFormat.COLOUR, ExportFormat.BINARY, ExportFormat.NUMPY, ExportFormat.COCO),
    *(ExportFormat.COCO_RLE, ExportFormat.YOLO, ExportFormat.VOC, ExportFormat.CITYSCAPES, ExportFormat.LABELME),
    *(ExportFormat.CVAT, ExportFormat.LABEL_STUDIO, ExportFormat.ROOT_PAINTER, ExportFormat.SVG, ExportFormat.POINTS),
)
"""Formats that need nothing but masks and points."""

NO_BACKGROUND = IGNORE
SIDEWAYS = 5
"""EXIF orientations from here on swap height and width."""

MOST_PIXELS = 2_000_000_000


@dataclass(frozen=True, slots=True)
class ConvertProgress:
    """One image further; `reason` says why nothing was written for it. The last one has no name."""

    done: int
    total: int | None
    name: str
    reason: str = ""
    has_unknown: bool = False
    """Pixels about which nothing is said: most formats cannot say so, and leave them to the background."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """Labels, opened; `steps` writes them, an image a step."""

    words: str
    left_out: tuple[LeftOut, ...]
    steps: Iterator[ConvertProgress]


@contextmanager
def conversion(
    path: Path, *, request: LabelRequest, spec: ExportSpec, to: Path, pictures: Path | None = None
) -> Iterator[Conversion]:
    """Open labels to write them in other formats; equal labels give equal bytes.

    Args:
        path: a label file, a folder or a zip archive.
        request: the format it is in, what the rest is, and a table of classes.
        spec: the formats to write, all of CONVERTED.
        to: a zip file, which appears whole at the end, or a folder.
        pictures: a folder with the images, for labels that do not know their sizes.

    Raises:
        ImportRefused: no labels, or damaged as a whole.
        ExportFailed: it cannot be written, or a format needs more than labels.
    """
    strange = sorted(set(spec.formats) - set(CONVERTED))
    if strange:
        raise ExportFailed(f"labels alone cannot become {strange[0].value}; choose {', '.join(CONVERTED)}")
    name = path.name or path.resolve().name
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fcnlab-")))
        inside, left_out = stack.enter_context(unpacked_labels(path, name=name, within=work))
        detected, source = opened_source(inside, request, None, name=name)
        subject = _subject(source.classes, name)
        target = stack.enter_context(_target(to))
        spools = stack.enter_context(closing(Spools(work / "spools")))
        writer = DatasetWriter(target, spools, formats_of(spec, subject))
        found = _Pictures(pictures)

        def steps() -> Iterator[ConvertProgress]:
            taken: set[str] = set()
            done, first = 0, ""
            for one in source.images():
                done += 1
                try:
                    image = _exported(one, done, spec, subject, found, taken)
                    writer.add(image)
                except FcnlabError as refusal:
                    first = first or f"{one.name}: {refusal}"
                    yield ConvertProgress(done, source.total, one.name, " ".join(str(refusal).split()))
                else:
                    has_unknown = bool((image.mask == IGNORE).any())
                    yield ConvertProgress(done, source.total, image.name, has_unknown=has_unknown)
            if not taken:
                raise ExportFailed(f"no labels could be converted; {first or 'there are none'}")
            writer.finish()
            ended.append(done)
            yield ConvertProgress(done, done, "")

        ended: list[int] = []
        yield Conversion(f"{name} is read as {FORMATS[detected.format].title}", left_out, steps())
        if not ended:
            raise ExportFailed("the conversion was stopped before its end")  # no half archive


def _subject(classes: Sequence[FileClass], title: str) -> Subject:
    labels = tuple(
        ClassLabel(place, one.name, one.colour or DEFAULT_PALETTE[place % len(DEFAULT_PALETTE)], place)
        for place, one in enumerate(classes)
    )
    background = next((place for place, one in enumerate(classes) if is_background(one.name)), NO_BACKGROUND)
    return Subject(title, labels, (), background)


@contextmanager
def _target(to: Path) -> Iterator[Target]:
    if to.suffix.lower() == ".zip":
        with archive(to) as target:
            yield target
        return
    try:
        to.mkdir(parents=True, exist_ok=True)
        yield LooseFolder(to)
    except OSError as failure:
        raise ExportFailed(
            f"{to} cannot be written ({failure.strerror or failure}); choose another folder"
        ) from failure


class _Pictures:
    """Sizes of images in a folder, looked up by the names that labels give them."""

    def __init__(self, folder: Path | None) -> None:
        self._files = [] if folder is None else files_below(folder, tuple(SUFFIXES))
        names = [] if folder is None else [file.relative_to(folder).as_posix() for file in self._files]
        self._names = ImageNames((name, place, (0, 0)) for place, name in enumerate(names))

    def named_hw(self, name: str, hw: tuple[int, int] | None) -> tuple[str, tuple[int, int]]:
        """The name and size of an image, from its file where there is one. Raises ImportRefused: no size is known."""
        if not self._files:
            if hw is None:
                raise ImportRefused(
                    "the labels do not say how large the image is: name the folder of images (--images)"
                )
            return clean_file_name(name), hw
        known = self._names.find(name)
        with open_image(self._files[known.id], name=known.name, max_pixels=MOST_PIXELS) as source:
            height, width = source.header.stored_hw
            found = (width, height) if source.header.orientation >= SIDEWAYS else (height, width)
        if hw is not None and hw != found:
            raise ImportRefused(
                f"the labels are for {hw[1]} x {hw[0]} pixels, {known.name} has {found[1]} x {found[0]}"
            )
        return known.name, found


def _exported(
    one: LabelledImage | UnreadLabels,
    number: int,
    spec: ExportSpec,
    subject: Subject,
    pictures: _Pictures,
    taken: set[str],
) -> ExportedImage:
    if isinstance(one, UnreadLabels):
        raise ImportRefused(one.reason)
    name, hw = pictures.named_hw(one.name, one.hw)
    stem = export_stems([name])[name]
    if stem.casefold() in taken:
        raise ImportRefused("other labels are for an image of this name already, and were taken")
    only_points = set(spec.formats) == {ExportFormat.POINTS}
    if one.mask is None and not only_points:
        raise ImportRefused("it has points alone: convert these to the format 'points'")
    mask = np.full(hw, IGNORE, np.uint8) if one.mask is None or only_points else one.mask(hw)
    outside = next((point for point in one.points if point.row >= hw[0] or point.col >= hw[1]), None)
    if outside is not None:
        raise ImportRefused(f"a point in row {outside.row}, column {outside.col} is outside the image")
    taken.add(stem.casefold())
    rows = [
        (name, point.row, point.col, point.place, subject.name_of(point.place), "import", "import", "")
        for point in one.points
    ]
    return ExportedImage(
        number=number,
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
    raise ExportFailed("labels come without pictures: this format needs them")
