"""One file with everything that cannot be made again."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from fcnlab.adapters.database import sqlite_file
from fcnlab.adapters.files import written_whole
from fcnlab.adapters.migrating import copy_sqlite
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every entry has this time, so that equal installations give equal backups."""


def backup(lab: Lab, file: Path) -> Path:
    """Write database, images, masks and checkpoints into one zip file, whole or not at all.

    Unpacked into an empty folder, it is a data folder again: pictures, thumbnails and features are made anew.
    Labelling may go on meanwhile; the backup has the state at its beginning.

    Raises:
        ExportFailed: the database is not SQLite, or the file cannot be written.
    """
    database = sqlite_file(lab.sessions)
    if database is None:
        raise ExportFailed(
            "a PostgreSQL database is not backed up from here; run `pg_dump --format=custom` for the database, "
            f"and copy the folders images, masks and checkpoints of {lab.folders.images.parent}"
        )
    base = lab.folders.images.parent
    try:
        with tempfile.TemporaryDirectory(dir=base, suffix=".part") as folder:
            copy = Path(folder) / "lab.db"
            copy_sqlite(database, to=copy)
            with written_whole(file) as target, zipfile.ZipFile(target, "w") as archive:
                _store(archive, copy, name="lab.db", compression=zipfile.ZIP_DEFLATED)
                for path in _kept_files(lab):
                    name = path.relative_to(base).as_posix()
                    _store(archive, path, name=name, compression=zipfile.ZIP_STORED)
    except OSError as failure:
        raise ExportFailed(
            f"{file} cannot be written ({failure.strerror or failure}); choose a folder that exists, may be "
            "written and has room"
        ) from failure
    return file


def _kept_files(lab: Lab) -> Iterator[Path]:
    for folder in (lab.folders.images, lab.folders.masks, lab.folders.checkpoints, lab.folders.comparisons):
        yield from sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".part")


def _store(archive: zipfile.ZipFile, path: Path, *, name: str, compression: int) -> None:
    entry = zipfile.ZipInfo(name, date_time=EPOCH)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    entry.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target, length=1 << 20)
