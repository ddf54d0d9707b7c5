"""One file with everything that cannot be made again, and an installation from it."""

from __future__ import annotations

import os
import shutil
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fcnlab.errors import ExportFailed, FcnlabError, RestoreRefused, storage_explained
from fcnlab.lab import Lab, data_dir_of, utc_now
from fcnlab.settings import Settings
from fcnlab.storage.database.engine import reading, sqlite_file, unchanged_database
from fcnlab.storage.database.migrating import copy_sqlite
from fcnlab.storage.files.named_files import named_files
from fcnlab.storage.files.presence import PART, RUNNING, alone_at_the_gate, other_processes
from fcnlab.storage.files.restoring import (
    DATABASE,
    check_backup,
    finish_restore,
    opened_backup,
    replace_installation,
)
from fcnlab.storage.files.whole_files import OWNER_ONLY, OWNER_ONLY_FOLDER, passing_folder, replaced_whole

EPOCH = (1980, 1, 1, 0, 0, 0)
"""Every entry has this time, so that equal installations give equal backups."""

ATTEMPTS = 5
"""Files that go while they are copied start the backup over; so often at most."""


@dataclass(frozen=True, slots=True)
class Restored:
    """An installation made of a backup.

    Attributes:
        data_dir: where.
        n_files: of the backup.
        aside: where what was there before lies now; None when there was nothing.
        missing: files that the database names and that the backup lacks.
    """

    data_dir: Path
    n_files: int
    aside: Path | None
    missing: tuple[str, ...]


def backup(lab: Lab, file: Path) -> Path:
    """Write the database and the files that it names into one zip file, whole or not at all, for its owner alone.

    Pictures, thumbnails and features are made anew. Labelling may go on meanwhile; the backup has the state at its
    beginning. It lacks what `missing_files` names.

    Raises:
        ExportFailed: the database is not SQLite, or the file cannot be written.
    """
    database = sqlite_file(lab.sessions)
    if database is None:
        raise ExportFailed(
            "a PostgreSQL database is not backed up from here; run `pg_dump --format=custom` for the database, "
            f"and copy the folders images, masks, checkpoints and comparisons of {lab.data_dir}"
        )
    try:
        for _ in range(ATTEMPTS):
            with suppress(_FileWent):
                _write(lab, database, file)
                return file
    except OSError as failure:
        raise ExportFailed(
            f"{file} cannot be written ({failure.strerror or failure}); no backup was made, and one that was there is "
            "as it was; choose a folder that exists, may be written and has room"
        ) from failure
    raise ExportFailed(f"files keep going while they are copied: {file} was not made; try again in a moment")


def restore(settings: Settings, file: Path, *, may_lack: bool = False) -> Restored:
    """Make an installation of a backup, in the place of the one that may be there, which is kept aside.

    The backup is read from the first byte to the last before anything is written; what happens then is done whole,
    also by whoever opens the installation after a crash.

    Args:
        settings: of the installation.
        file: what `backup` wrote.
        may_lack: take a backup that lacks files its database names.

    Raises:
        RestoreRefused: the installation is in use, or keeps its database elsewhere; the backup is damaged, lacks
            files, is of a newer fcnlab, or is none. Nothing was changed.
        StorageFull: there is no room. The installation is as it was.
    """
    data_dir = data_dir_of(settings)
    _refuse_other_database(settings)
    _refuse_in_use(data_dir)
    try:
        with opened_backup(file) as archive:
            checked = check_backup(file, archive)
            if checked.missing and not may_lack:
                raise RestoreRefused(
                    f"{file} lacks {len(checked.missing)} files that its database names, {checked.missing[0]} for one; "
                    "nothing was changed. Take another backup, or say --incomplete to do without them"
                )
            with storage_explained(data_dir, outcome="The installation is as it was"):
                _refuse_without_room(data_dir, file, checked.size)
                data_dir.mkdir(OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
                with alone_at_the_gate(data_dir):
                    _refuse_users(data_dir)
                    finish_restore(data_dir)
                    aside = replace_installation(data_dir, archive, checked, stamp=f"{utc_now():%Y%m%dT%H%M%S}")
    except OSError as failure:
        if isinstance(failure, FcnlabError):
            raise
        raise RestoreRefused(
            f"{file} cannot be restored into {data_dir} ({failure.strerror or failure}: {failure.filename}); see that "
            "the backup can be read and the folder be written"
        ) from failure
    return Restored(data_dir, len(checked.names), aside, checked.missing)


def missing_files(lab: Lab) -> tuple[int, tuple[str, ...]]:
    """How many files the database names, and which of them are gone from the disk."""
    with reading(lab.sessions) as session:
        named = named_files(session)
    gone = tuple(name for name in sorted(named) if not _path_of(lab, name).is_file())
    if gone:  # else one that was replaced meanwhile is called gone
        with reading(lab.sessions) as session:
            gone = tuple(sorted(named_files(session).intersection(gone)))
    return len(named), gone


def _refuse_other_database(settings: Settings) -> None:
    if settings.database_url:
        raise RestoreRefused(
            "FCNLAB_DATABASE_URL names a database outside of the data folder, which is not restored from here: unset "
            "it, or for PostgreSQL run `pg_restore`, and copy the folders images, masks, checkpoints and comparisons "
            "that were kept with its dump into the data folder"
        )


def _refuse_in_use(data_dir: Path) -> None:
    if (data_dir / RUNNING).is_dir():
        with alone_at_the_gate(data_dir):
            _refuse_users(data_dir)


def _refuse_users(data_dir: Path) -> None:
    live = other_processes(data_dir).live
    if live:
        raise RestoreRefused(
            f"{data_dir} is in use by {len(live)} process(es) of fcnlab; nothing was changed. Stop the server, the "
            "REST service, workers and other commands, then try again"
        )


def _refuse_without_room(data_dir: Path, file: Path, size: int) -> None:
    folder = next(parent for parent in (data_dir, *data_dir.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < size:
        raise RestoreRefused(
            f"{file} needs {size / 1e6:.0f} MB, and {folder} has {free / 1e6:.0f} MB free; nothing was changed. "
            "Free some room, then try again"
        )


class _FileWent(Exception):
    """A file went that the copy of the database names, and the database names no more."""


def _write(lab: Lab, database: Path, file: Path) -> None:
    """Write the backup; raises _FileWent, and none is written then."""
    with passing_folder(lab.data_dir, prefix="backup") as folder:
        copy = folder / DATABASE
        copy_sqlite(database, to=copy)
        with reading(unchanged_database(copy)) as session:
            named = named_files(session)
        missing = []
        with replaced_whole(file, mode=OWNER_ONLY) as part, zipfile.ZipFile(part, "w") as archive:
            _store(archive, copy, name=DATABASE, compression=zipfile.ZIP_DEFLATED)
            for name in sorted(named):
                path = _path_of(lab, name)
                try:
                    stored = path.relative_to(lab.data_dir).as_posix()
                    _store(archive, path, name=stored, compression=zipfile.ZIP_STORED)
                except FileNotFoundError:
                    missing.append(name)
            if missing:
                with reading(lab.sessions) as session:
                    if not named_files(session).issuperset(missing):
                        raise _FileWent


def _path_of(lab: Lab, name: str) -> Path:
    """Where a file lies that the database names; the name of an original gets its ending."""
    path = lab.data_dir / name
    if not path.is_relative_to(lab.folders.images):
        return path
    return next((match for match in sorted(path.parent.glob(f"{path.name}.*")) if match.suffix != PART), path)


def _store(archive: zipfile.ZipFile, path: Path, *, name: str, compression: int) -> None:
    entry = zipfile.ZipInfo(name, date_time=EPOCH)
    entry.compress_type = compression
    entry.external_attr = 0o644 << 16
    with path.open("rb") as source:
        entry.file_size = os.fstat(source.fileno()).st_size
        with archive.open(entry, "w") as target:
            shutil.copyfileobj(source, target, length=1 << 20)
