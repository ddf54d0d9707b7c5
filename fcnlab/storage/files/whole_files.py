"""Files written whole: readers see the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from fcnlab.errors import storage_explained
from fcnlab.storage.files.presence import new_part

FLUSHED_TOGETHER = 8
OWNER_ONLY = 0o600
OWNER_ONLY_FOLDER = 0o700


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file object whose content replaces `path` when the block ends without an error.

    The temporary file lies in the same folder under a unique name and is removed on failure. The folder
    is made when it is missing.

    Raises:
        StorageFull: its disk has no room; `path` is as it was.
        OSError: it cannot be written for another reason.
    """
    with replaced_whole(path) as part, part.open("wb") as file:
        yield file


@contextmanager
def replaced_whole(path: Path, *, mode: int | None = None) -> Iterator[Path]:
    """As `written_whole`, for writers that want a path: a unique one that becomes `path` at the end.

    With `mode` the file is there from the beginning, empty, and has these permissions.
    """
    with storage_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = new_part(path.parent, stem=path.name)
        try:
            if mode is not None:
                os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
            yield part
            flush_to_disk(part)
            part.replace(path)
            _flush_folder(path.parent)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def passing_folder(parent: Path, *, prefix: str = "") -> Iterator[Path]:
    """A new folder inside `parent` for as long as the block runs, whose owner alone may look into it."""
    with storage_explained(parent):
        parent.mkdir(parents=True, exist_ok=True)
        folder = new_part(parent, stem=prefix)
        folder.mkdir(OWNER_ONLY_FOLDER)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole; raises as `written_whole`."""
    with written_whole(path) as file:
        file.write(data)


def make_private(path: Path) -> None:
    """Take from everybody but its owner what they may do with a file or folder. Raises OSError: it is another's."""
    if os.name == "posix":
        path.chmod(OWNER_ONLY_FOLDER if path.is_dir() else OWNER_ONLY)


def is_private(path: Path) -> bool:
    """Whether nobody but the owner of a file or folder may do anything with it; Windows has rules of its own."""
    return os.name != "posix" or path.stat().st_mode & 0o077 == 0


def refuse_unwritable(path: Path) -> None:
    """Raise OSError where a file could not be written as `path`; nothing is left behind."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    with TemporaryFile(dir=folder):
        pass


def flush_to_disk(path: Path) -> None:
    """Return once the content of the file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_together(paths: Sequence[Path]) -> None:
    """As `flush_to_disk` of many files: beside each other, which takes hardly longer than one."""
    with ThreadPoolExecutor(FLUSHED_TOGETHER, "fcnlab-flush") as pool:
        for _ in pool.map(flush_to_disk, paths):
            pass


def flush_folders(folders: Collection[Path]) -> None:
    """Return once the names in these folders are on the disk."""
    with ThreadPoolExecutor(FLUSHED_TOGETHER, "fcnlab-flush") as pool:
        for _ in pool.map(_flush_folder, sorted(folders)):
            pass


def _flush_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its rename is in the journal already
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
