"""Masks of image files written in any format, while memory stays flat; a file that fails is named, the rest goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.naming import export_stems
from fcnlab.core.images.regions import tidied
from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed, FcnlabError, ImportRefused
from fcnlab.services.export.formats import (
    PREDICTIONS,
    checked_spec,
    kept_classes,
    measured,
    needs,
    regions_for,
    shows_pictures,
    writers_with_table,
)
from fcnlab.services.export.target import plain_writer
from fcnlab.services.images.importing import name_of_page
from fcnlab.services.predict.overlapping import AHEAD, overlapped
from fcnlab.services.predict.predicting import PictureMask, Predictor, Reading
from fcnlab.storage.formats.format import Need
from fcnlab.storage.formats.masks.index_masks import IndexMasks
from fcnlab.storage.formats.writing import ExportedImage, FormatWriter, Subject
from fcnlab.storage.image_readers.registry import SUFFIXES, open_image

NO_PICTURE = np.zeros((0, 0, 3), np.uint8)

LARGE_BYTES = 20_000_000
"""Of larger files only one is read before its turn: they may unpack to hundreds of megabytes."""

STACK_SUFFIXES = frozenset({".tif", ".tiff", ".npy", ".dcm", ".dicom"})
"""Endings of files that may hold several images."""

WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class InputFile:
    """An image file, or a page of a stack, counted from 0, and what its mask is called after."""

    name: str
    path: Path
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One file further: the files written for it, or why there are none.

    The last one has no image, and the files about all images.
    """

    done: int
    total: int
    image: Path | None
    files: tuple[Path, ...] = ()
    refused: str = ""


def input_files(inputs: Sequence[str], *, max_pixels: int) -> list[InputFile]:
    """The files that paths, folders and patterns such as `folder/**/*.tif` name, each once, in order.

    A file is called by its path below the folder, or below what comes before the first wildcard; files of one name are
    told apart by a number. Each page of a stack is one of its own: `stack_001.tif` and so on.

    Args:
        inputs: paths, folders, patterns.
        max_pixels: a file of more is no stack; reading it says that it is too large.

    Raises:
        ImportRefused: one of them names no file.
    """
    names: dict[Path, str] = {}
    for wanted in inputs:
        base, paths = _named_by(wanted)
        if not paths:
            raise ImportRefused(
                f"{wanted} names no image file: check the path; quote patterns such as 'folder/**/*.tif'"
            )
        for path in paths:
            names.setdefault(path, path.relative_to(base).as_posix() if base in path.parents else path.name)
    taken: set[str] = set()
    files = []
    for file in (page for path, name in names.items() for page in _pages(InputFile(name, path), max_pixels)):
        number, free, suffix = 1, file.name, PurePosixPath(file.name).suffix
        while free in taken:
            number += 1
            free = f"{file.name.removesuffix(suffix)}_{number}{suffix}"
        taken.add(free)
        files.append(replace(file, name=free))
    return files


def predict_files(
    predictor: Predictor,
    files: Sequence[InputFile],
    *,
    labels: Sequence[ClassLabel],
    background: int | None,
    spec: ExportSpec,
    is_bare: bool = False,
    to: Path,
) -> Iterator[Prediction]:
    """Write the masks of files into a folder.

    Args:
        predictor: makes them.
        files: see `input_files`.
        labels: the classes of the predictor.
        background: class id that formats of shapes leave out; None: they write every class.
        spec: formats, classes and regions.
        is_bare: only index masks, in the folder itself.
        to: the folder; files of the same names are replaced.

    Raises:
        ExportFailed: the folder cannot be written, or the spec asks for what predictions do not have.
    """
    spec = checked_spec(spec, PREDICTIONS, source="predictions")
    classes = kept_classes(labels, spec, background)
    subject = Subject("fcnlab", classes, (), background)
    writers: list[FormatWriter] = (
        [IndexMasks(subject, folder="")] if is_bare else writers_with_table(spec, subject, has_pictures=True)
    )
    stems = export_stems([file.name for file in files])
    items = list(enumerate(files, start=1))
    keeps_picture = needs(spec, Need.PICTURE) or shows_pictures(spec)
    asks = needs(spec, Need.PROBABILITIES)
    with plain_writer(to, writers) as writer:

        def write(item: tuple[int, InputFile], made: tuple[Reading, PictureMask]) -> tuple[Path, ...]:
            file_number, file = item
            image = _exported(file_number, file, stems[file.name], spec, background, made)
            return tuple(to / name for name in writer.add(image))

        steps = overlapped(
            items,
            read=lambda item: _read(predictor, item[1]),
            work=lambda reading: (
                reading if keeps_picture else replace(reading, rgb=NO_PICTURE),
                predictor.predict(reading, with_probabilities=asks),
            ),
            write=write,
            ahead=1 if _has_large(files) else AHEAD,
        )
        n_made = 0
        for outcome in steps:
            done, file = outcome.item
            n_made += outcome.refused is None
            yield Prediction(done, len(files), file.path, outcome.kept or (), str(outcome.refused or ""))
        about_all = writer.finish() if n_made else {}
        yield Prediction(len(files), len(files), None, tuple(to / name for name in about_all))


def _read(predictor: Predictor, file: InputFile) -> Reading:
    if file.path.suffix.lower() == ".zip":
        raise ImportRefused(
            f"{file.path.name} is a zip archive: unpack it and name the folder, or import it into a project"
        )
    return predictor.read(file.path, page=file.page)


def _pages(file: InputFile, max_pixels: int) -> Iterator[InputFile]:
    """The pages of a stack, or the file itself."""
    count = 1
    if file.path.suffix.lower() in STACK_SUFFIXES:
        with suppress(FcnlabError), open_image(file.path, name=file.name, max_pixels=max_pixels) as source:
            count = source.header.count
    if count == 1:
        yield file  # reading it says what is wrong, if anything is
    else:
        for page in range(count):
            yield InputFile(name_of_page(file.name, page, count), file.path, page)


def _original(file: InputFile) -> Path:
    if file.page is not None:
        raise ExportFailed(f"{file.name} is a page of {file.path.name}, which is not copied: leave out 'images'")
    return file.path


def _has_large(files: Sequence[InputFile]) -> bool:
    return any(file.path.stat().st_size > LARGE_BYTES for file in files if file.path.is_file())


def _named_by(wanted: str) -> tuple[Path, list[Path]]:
    """The folder that names start below, and the files."""
    path = Path(wanted)
    if path.is_file():
        return path.parent, [path]
    if path.is_dir():
        below = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        return path, sorted(each for each in below if not _is_hidden(each.relative_to(path)))
    wildcard = WILDCARD.search(wanted)
    if wildcard is None:
        return path.parent, [path]  # reading it says what is wrong
    start = max(wanted.rfind("/", 0, wildcard.start()), wanted.rfind("\\", 0, wildcard.start())) + 1
    base, pattern = Path(wanted[:start]), wanted[start:]
    pattern = f"{pattern}/*" if pattern.endswith("**") else pattern
    try:
        fitting = [each for each in base.glob(pattern) if each.is_file() and not _is_hidden(each.relative_to(base))]
    except (NotImplementedError, ValueError) as failure:
        raise ImportRefused(f"{wanted} is no pattern ({failure}): write it like 'photos/**/*.tif'") from failure
    return base, sorted(fitting)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _exported(
    image_number: int,
    file: InputFile,
    stem: str,
    spec: ExportSpec,
    background: int | None,
    made: tuple[Reading, PictureMask],
) -> ExportedImage:
    reading, predicted = made
    mask: NDArray[np.uint8] = tidied(
        predicted.mask,
        background=background,
        kept=spec.kept(background),
        min_area=spec.min_area,
        fill_holes=spec.fill_holes,
    )
    regions = regions_for(spec, mask, background)
    return ExportedImage(
        number=image_number,
        name=file.name,
        stem=stem,
        split="",
        mask=mask,
        regions=regions,
        picture=lambda: reading.rgb,
        original=lambda: _original(file),
        is_turned=reading.is_turned,
        probabilities=predicted.probabilities,
        measures=lambda: measured(regions, reading.rgb, reading.recipe, reading.pixel_size),
    )
