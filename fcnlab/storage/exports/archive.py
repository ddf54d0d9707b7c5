"""A zip file whose bytes depend on its content alone."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fcnlab.errors import ExportFailed
from fcnlab.storage.files.whole_files import replaced_whole

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every entry has this time: a clock would make equal exports differ."""

UNIX = 3
PACKED = (".png", ".jpg", ".jpeg", ".webp", ".jp2", ".tif", ".npz")
"""Endings of files that are compressed already."""


class Archive:
    """An open zip file; entries are written in the order they come."""

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file

    def add(self, name: str, data: bytes) -> str:
        """Write one entry; returns the SHA-256 of its content."""
        self._file.writestr(_entry(name), data)
        return hashlib.sha256(data).hexdigest()

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> str:
        """Write one entry of any length; returns the SHA-256 of its content."""
        digest = hashlib.sha256()
        with self._file.open(_entry(name), "w", force_zip64=True) as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
        return digest.hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=EPOCH)
    entry.create_system = UNIX
    entry.external_attr = 0o644 << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED
    return entry


@contextmanager
def archive(path: Path) -> Iterator[Archive]:
    """An archive that appears at `path` when the block ends without an error, and not at all otherwise.

    Raises:
        ExportFailed: the file cannot be written.
    """
    try:
        with replaced_whole(path) as part, zipfile.ZipFile(part, "w") as file:
            yield Archive(file)
    except OSError as failure:
        raise ExportFailed(
            f"{path} cannot be written ({failure.strerror or failure}); choose another folder or free some room"
        ) from failure
