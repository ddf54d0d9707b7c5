"""Files written whole: readers see the old file or the new one, never half of one."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

FLUSHED_TOGETHER = 8


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file object whose content replaces `path` when the block ends without an error.

    The temporary file lies in the same folder under a unique name and is removed on failure. The folder
    is made when it is missing.
    """
    with replaced_whole(path) as part, part.open("wb") as file:
        yield file


@contextmanager
def replaced_whole(path: Path) -> Iterator[Path]:
    """As `written_whole`, for writers that want a path: a unique one that becomes `path` at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name[:100]}.{uuid.uuid4().hex}.part")
    try:
        yield part
        flush_to_disk(part)
        part.replace(path)
        _flush_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` to `path`, whole."""
    with written_whole(path) as file:
        file.write(data)


def refuse_unwritable(path: Path) -> None:
    """Raise OSError where a file could not be written as `path`; nothing is left behind."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    folder = next(one for one in path.absolute().parents if one.exists())
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
