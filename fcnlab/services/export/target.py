"""Where an export goes: a zip file, a folder in which one goes on, or a file for one browser to fetch for a day."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from fcnlab.core.images.naming import safe_part
from fcnlab.errors import ExportFailed, UnknownExport, storage_explained
from fcnlab.lab import Lab
from fcnlab.storage.exports.targets import DatasetWriter, FolderTarget, Journal, LooseFolder, Spools, Target, archive
from fcnlab.storage.files.whole_files import passing_folder
from fcnlab.storage.formats.writing import FormatWriter

KEPT_FOR_S = 24 * 3600
PREFIX = "download-"


def new_download(lab: Lab, *, name: str) -> Path:
    """A path for a new file; those of other days are deleted. Raises StorageFull."""
    now = lab.clock().timestamp()
    for folder in lab.folders.exports.glob(f"{PREFIX}*"):
        if now - folder.stat().st_mtime > KEPT_FOR_S:
            shutil.rmtree(folder, ignore_errors=True)
    folder = lab.folders.exports / f"{PREFIX}{secrets.token_urlsafe(24)}"
    with storage_explained(folder):
        folder.mkdir()
    return folder / safe_part(name)


def download_url(path: Path) -> str:
    """Where the server offers a file of `new_download`, under its own address."""
    return f"/fcnlab/download/{path.parent.name.removeprefix(PREFIX)}/{quote(path.name)}"


def find_download(lab: Lab, *, token: str, name: str) -> Path:
    """The file behind an address. Raises UnknownExport: it is gone."""
    if re.fullmatch(r"[A-Za-z0-9_-]{32}", token) and name == safe_part(name):
        path = lab.folders.exports / f"{PREFIX}{token}" / name
        if path.is_file():
            return path
    raise UnknownExport("this file is not offered any more; make it again")


FILE_SUFFIXES = frozenset(
    {
        *(".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz"),
        *(
            ".csv",
            ".geojson",
            ".html",
            ".json",
            ".npy",
            ".npz",
            ".pdf",
            ".svg",
            ".tsv",
            ".txt",
            ".xml",
            ".yaml",
            ".yml",
        ),
        *(".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
        *(".ckpt", ".onnx", ".pt", ".pt2", ".pth", ".safetensors"),
    }
)
"""Endings of files, which nobody gives a folder."""

JOURNAL_EVERY_S = 2.0
"""An interrupted export does at most this much again, and the image it was at."""


@dataclass(slots=True)
class OpenTarget:
    """A target being written to; `journal` says how much of it is there already."""

    target: Target
    spools: Spools
    journal: Journal
    folder: FolderTarget | None = None
    kept_at: float = 0.0

    def finished_image(self, counts: Mapping[str, int]) -> None:
        """One image more is written, its lines included; remember that now and then."""
        self.journal = replace(self.journal, n_images=self.journal.n_images + 1, counts=counts)
        if self.folder is not None and time.monotonic() - self.kept_at >= JOURNAL_EVERY_S:
            self.remember()

    def remember(self) -> None:
        """Write down how far the export has come."""
        if self.folder is not None:
            self.journal = replace(self.journal, ends=self.spools.ends())
            self.folder.keep(self.journal)
            self.kept_at = time.monotonic()


def refuse_file_name(to: Path) -> None:
    """Refuse a new folder that is called like a file. Raises ExportFailed."""
    if to.suffix.lower() in FILE_SUFFIXES and not to.is_dir():
        raise ExportFailed(f"{to} is called like a {to.suffix} file: give a folder, or a name that ends in .zip")


@contextmanager
def open_target(to: Path, *, fingerprint: str) -> Iterator[OpenTarget]:
    """A zip file if the name says so, which appears when the block ends without an error; else a folder.

    Args:
        to: the file or folder.
        fingerprint: of everything that decides the bytes of the export. A folder in which an export with the same
            one was interrupted goes on where it stopped.

    Raises:
        ExportFailed: it cannot be written, or the folder holds something else.
    """
    if to.suffix.lower() == ".zip":
        try:
            with (
                archive(to) as target,
                passing_folder(to.parent, prefix=f".{to.name[:80]}") as work,
                closing(Spools(work)) as spools,
            ):
                yield OpenTarget(target, spools, Journal(fingerprint))
        except OSError as failure:
            raise ExportFailed(
                f"{to} cannot be written ({failure.strerror or failure}); nothing of it is kept. Free some room, or "
                "choose another folder, then export again"
            ) from failure
        return
    refuse_file_name(to)
    folder = FolderTarget(to)
    try:
        with folder.alone():
            journal = folder.journal(fingerprint)
            with closing(Spools(folder.work, journal.ends)) as spools:
                opened = OpenTarget(folder, spools, journal, folder)
                opened.remember()
                yield opened
    except OSError as failure:
        raise ExportFailed(
            f"{to} cannot be written ({failure.strerror or failure}); free some room, then export again to go on"
        ) from failure
    folder.finish()


@contextmanager
def plain_writer(to: Path, writers: Sequence[FormatWriter]) -> Iterator[DatasetWriter]:
    """Writes into a zip file if the name says so, else into a folder beside whatever is there; nothing is remembered.

    Files of the same names are replaced. A new folder that nothing was written into does not stay.

    Raises:
        ExportFailed: it cannot be written.
    """
    is_zip = to.suffix.lower() == ".zip"
    if not is_zip:
        refuse_file_name(to)
    folder = to.parent if is_zip else to
    made = [directory for directory in (folder, *folder.parents) if not directory.exists()]
    try:
        with ExitStack() as stack:
            folder.mkdir(parents=True, exist_ok=True)
            work = stack.enter_context(passing_folder(folder, prefix=".fcnlab"))
            target: Target = stack.enter_context(archive(to)) if is_zip else LooseFolder(to)
            spools = stack.enter_context(closing(Spools(work)))
            yield DatasetWriter(target, spools, writers)
    except OSError as failure:
        raise ExportFailed(
            f"{to} cannot be written ({failure.strerror or failure}); choose another folder or free some room"
        ) from failure
    finally:
        with suppress(OSError):  # the first that is not empty stays, and those it is in
            for directory in made:
                directory.rmdir()
