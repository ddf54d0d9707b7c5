"""Which format a label file or folder is in, by the clues that formats declare."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fcnlab.errors import ImportRefused
from fcnlab.storage.exports.manifest import MANIFEST_NAME
from fcnlab.storage.formats.format import BY_DOCUMENTS, BY_PIXELS, FileClue, FolderClue, Format, MaskClue, MaskPixels
from fcnlab.storage.formats.reading.labelled import LabelSource
from fcnlab.storage.formats.reading.mask_files import SUFFIXES, files_below, masks_below
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.registry import read_format, read_formats

PEEK_BYTES = 65_536
MOST_MASKS = 5
MOST_DOCUMENTS = 50
"""So many files of a folder are looked at."""

UNREADABLE = "index"
"""Masks that cannot be decoded are taken for this: its reader says what is wrong."""


@dataclass(frozen=True, slots=True)
class Detected:
    """A guess: the format, and the file or folder to read, which may lie inside the one that was named."""

    format: Format
    path: Path

    def open(self, options: ReadOptions) -> LabelSource:
        """The labels. Raises ImportRefused: they are not of that format."""
        assert self.format.read is not None
        return self.format.read(self.path, options)


def detect(path: Path) -> Detected:
    """The format of a file or folder, and what in it is to be read.

    Raises:
        ImportRefused: it does not exist, or is in no format; or several files of which one must be named.
    """
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file():
        raise ImportRefused(f"there is no file or folder {path}; check its spelling")
    clue = _clue_of_file(path)
    if clue is not None:
        return Detected(clue[0], path)
    if path.suffix.lower() in SUFFIXES:
        return Detected(_format_of_masks([path]), path)
    raise ImportRefused(f"{path.name} is in no format that is known by its beginning; {_choices()}")


def located(path: Path, name: str) -> Detected:
    """Where labels of a format lie: the folder, or the one file in it that holds them all.

    Raises:
        ImportRefused: there is no such format or no such file, or a folder holds several.
    """
    wanted = read_format(name)
    if not path.exists():
        raise ImportRefused(f"there is no file or folder {path}; check its spelling")
    if not path.is_dir() or not wanted.dataset_suffix:
        return Detected(wanted, path)
    files = [file for file in files_below(path, (wanted.dataset_suffix,)) if _is_of(file, wanted)]
    if len(files) > 1 and wanted.joins_files:
        return Detected(wanted, path)
    if len(files) != 1:
        raise _not_one(path, files)
    return Detected(wanted, files[0])


def open_labels(path: Path, name: str, options: ReadOptions) -> LabelSource:
    """The labels in a file or folder of a format. Raises ImportRefused: it is not of that format."""
    return Detected(read_format(name), path).open(options)


def _choices() -> str:
    return f"name the format: {', '.join(read_formats())}"


def _not_one(folder: Path, files: Sequence[Path]) -> ImportRefused:
    if not files:
        return ImportRefused(f"{folder.name} holds no labels of this format")
    names = ", ".join(file.relative_to(folder).as_posix() for file in files[:5])
    return ImportRefused(f"{folder.name} holds {len(files)} label files ({names}): name one of them")


def _clue_of_file(path: Path) -> tuple[Format, FileClue] | None:
    """The format of a file that is no mask, and the clue that tells it."""
    ends = partial(_ends, path)
    if path.name == MANIFEST_NAME and not re.search(rb'"annotations"\s*:', ends()):
        return None  # it lists images too
    return next(((each, clue) for each, clue in _file_clues() if clue.matches(path, ends)), None)


def _file_clues() -> list[tuple[Format, FileClue]]:
    """The clues in single files, lower ranks first, with their formats."""
    clues = [(each, clue) for each in read_formats().values() for clue in each.clues if isinstance(clue, FileClue)]
    return sorted(clues, key=lambda pair: pair[1].rank)


def _is_of(path: Path, wanted: Format) -> bool:
    clue = _clue_of_file(path)
    return clue is not None and clue[0] is wanted


def _of_folder(folder: Path) -> Detected:
    clues = [(each, clue) for each in read_formats().values() for clue in each.clues if isinstance(clue, FolderClue)]
    clues.sort(key=lambda pair: pair[1].rank)
    steps = [(clue.rank, partial(_by_clue, folder, each, clue)) for each, clue in clues]
    steps += [(BY_DOCUMENTS, partial(_by_documents, folder)), (BY_PIXELS, partial(_by_pixels, folder))]
    for _, step in sorted(steps, key=lambda pair: pair[0]):
        detected = step()
        if detected is not None:
            return detected
    raise ImportRefused(f"{folder.name} holds no labels that are known; {_choices()}")


def _by_clue(folder: Path, declared: Format, clue: FolderClue) -> Detected | None:
    path = clue.find(folder)
    return None if path is None else Detected(declared, path)


def _by_documents(folder: Path) -> Detected | None:
    """By the first files that hold labels: one file for all images, or a file for each.

    Raises:
        ImportRefused: several files that hold labels of all images, and are not read together.
    """
    for suffix in dict.fromkeys(suffix for _, clue in _file_clues() if clue.in_folders for suffix in clue.suffixes):
        files = files_below(folder, (suffix,))[:MOST_DOCUMENTS]
        matches = [(file, *match) for file in files if (match := _clue_of_file(file)) is not None]
        datasets = [(file, declared) for file, declared, clue in matches if clue.holds == "dataset"]
        if len(datasets) == 1:
            return Detected(datasets[0][1], datasets[0][0])
        if datasets:
            declared = datasets[0][1]
            if declared.joins_files and all(each is declared for _, each in datasets):
                return Detected(declared, folder)
            raise _not_one(folder, [file for file, _ in datasets])
        if matches:
            return Detected(matches[0][1], folder)
    return None


def _by_pixels(folder: Path) -> Detected | None:
    masks = masks_below(folder)
    return Detected(_format_of_masks(masks[:MOST_MASKS]), folder) if masks else None


def _format_of_masks(files: Sequence[Path]) -> Format:
    """The format of the lowest rank that one of the masks is in."""
    masks = [MaskPixels(file) for file in files]
    clues = [(each, clue) for each in read_formats().values() for clue in each.clues if isinstance(clue, MaskClue)]
    clues.sort(key=lambda pair: pair[1].rank)
    matching = (each for each, clue in clues if any(clue.matches(mask) for mask in masks))
    return next(matching, read_format(UNREADABLE))


def _ends(path: Path) -> bytes:
    """The beginning and the end of a file."""
    try:
        with path.open("rb") as file:
            start = file.read(PEEK_BYTES).removeprefix(codecs.BOM_UTF8)
            file.seek(max(PEEK_BYTES, path.stat().st_size - PEEK_BYTES))
            return start + file.read(PEEK_BYTES)
    except OSError as failure:
        raise ImportRefused(f"{path.name} cannot be read ({failure.strerror}); check that it exists") from failure
