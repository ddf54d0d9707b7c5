"""Putting the files of a backup in the place of an installation: all of them or none, whatever happens meanwhile."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath

from fcnlab.errors import DatabaseUnavailable, RestoreRefused, storage_explained
from fcnlab.storage.database.engine import close_database, open_database, reading
from fcnlab.storage.database.migrating import sqlite_files
from fcnlab.storage.files.filestore import Folders
from fcnlab.storage.files.named_files import FOLDERS_OF_BACKUP, named_files
from fcnlab.storage.files.presence import PART, new_part
from fcnlab.storage.files.whole_files import (
    OWNER_ONLY,
    OWNER_ONLY_FOLDER,
    flush_folders,
    flush_to_disk,
    write_whole,
)

DATABASE = "lab.db"
MARKER = "restoring.json"
"""In the data folder while a checked and unpacked backup takes its place; whoever opens it next goes on with it."""

ASIDE = "before-restore-"
STAGED = "restore"
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CheckedBackup:
    """A backup that was read from the first byte to the last.

    Attributes:
        names: of its files, the database first.
        size: bytes of them all, unpacked.
        missing: files that its database names and that it lacks.
    """

    names: tuple[str, ...]
    size: int
    missing: tuple[str, ...]


@contextmanager
def opened_backup(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. Raises RestoreRefused when something in it cannot be read, also inside the block."""
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as failure:
        raise RestoreRefused(
            f"{file} is damaged, or no backup of fcnlab ({failure}); nothing was changed. Take another backup"
        ) from failure


def check_backup(file: Path, archive: zipfile.ZipFile) -> CheckedBackup:
    """Read all of a backup; writes nothing but a copy of its database into the system's folder for such files.

    Raises:
        RestoreRefused: it is damaged, no backup of fcnlab, or of a newer one.
        StorageFull: there is no room for that copy.
    """
    entries = archive.infolist()
    for entry in entries:
        _refuse_strange(file, entry)
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names) or DATABASE not in names:
        what = f"holds no {DATABASE}" if DATABASE not in names else "names a file twice"
        raise RestoreRefused(f"{file} {what}: it is no backup that fcnlab made; nothing was changed")
    for entry in entries:
        path = PurePosixPath(entry.filename)
        digest = _digest(archive, entry)
        if path.parts[0] == "images" and path.stem != digest:
            raise RestoreRefused(f"{file} is damaged: {path} is not what was backed up; nothing was changed")
    with storage_explained("a copy of the database", outcome="The installation was not changed"):
        named = _named_in(file, archive)
    missing = tuple(sorted(_missing(named, names)))
    ordered = (DATABASE, *sorted(set(names) - {DATABASE}))
    return CheckedBackup(ordered, sum(entry.file_size for entry in entries), missing)


def replace_installation(data_dir: Path, archive: zipfile.ZipFile, backup: CheckedBackup, *, stamp: str) -> Path | None:
    """Unpack a backup and put it in the place of what is there. Call it where nobody uses the installation.

    Args:
        data_dir: of the installation; it exists.
        archive: what `check_backup` looked at.
        backup: what it found.
        stamp: a moment, for the name of the folder that what was there is put into.

    Returns:
        That folder, inside `data_dir`; None when nothing was there.

    Raises:
        StorageFull: there is no room; the installation is as it was.
    """
    for abandoned in data_dir.glob(f"{STAGED}.*{PART}"):  # by a restore that was killed while it unpacked
        shutil.rmtree(abandoned, ignore_errors=True)
    staging = new_part(data_dir, stem=STAGED)
    outcome = "The installation is as it was"
    try:
        with storage_explained(staging, outcome=outcome):
            _unpack(archive, backup.names, staging)
            old = _old_names(data_dir)
            aside = _free_name(data_dir, f"{ASIDE}{stamp}")
            plan = {
                "staging": staging.name,
                "aside": aside,
                "old": old,
                "new": sorted(path.name for path in staging.iterdir()),
            }
            write_whole(data_dir / MARKER, json.dumps({**plan, "step": "aside"}).encode())
    except BaseException:
        (data_dir / MARKER).unlink(missing_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        raise
    finish_restore(data_dir)
    return data_dir / aside if old else None


def finish_restore(data_dir: Path) -> None:
    """Go on where putting a backup in place was interrupted; nothing happens when it was not.

    First all that is old goes aside, then all that is new comes in: an old write-ahead log never meets a new database.
    """
    marker = data_dir / MARKER
    if not marker.exists():
        return
    plan = json.loads(marker.read_bytes())
    staging, aside = data_dir / plan["staging"], data_dir / plan["aside"]
    if plan["step"] == "aside":
        if plan["old"]:
            aside.mkdir(OWNER_ONLY_FOLDER, exist_ok=True)
        _move(plan["old"], data_dir, aside)
        write_whole(marker, json.dumps({**plan, "step": "in"}).encode())
    _move(plan["new"], staging, data_dir)
    marker.unlink()
    shutil.rmtree(staging, ignore_errors=True)
    flush_folders([data_dir])


def _move(names: Sequence[str], source: Path, target: Path) -> None:
    for name in names:
        if (source / name).exists():  # else it was moved before an interruption
            (source / name).rename(target / name)
    flush_folders({path for path in (source, target) if path.is_dir()})


def _old_names(data_dir: Path) -> list[str]:
    """Names of the files and folders of an installation; whatever else lies in its folder stays where it is."""
    folders = [part.name for part in fields(Folders) if (data_dir / part.name).exists()]
    return [*(path.name for path in sqlite_files(data_dir / DATABASE)), *folders]


def _free_name(folder: Path, name: str) -> str:
    count, candidate = 1, name
    while (folder / candidate).exists():
        count += 1
        candidate = f"{name}-{count}"
    return candidate


def _unpack(archive: zipfile.ZipFile, names: Sequence[str], staging: Path) -> None:
    staging.mkdir(OWNER_ONLY_FOLDER)
    folders = {staging}
    for name in names:
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        folders.update(parent for parent in path.parents if parent.is_relative_to(staging))
        with archive.open(name) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK_BYTES)
        flush_to_disk(path)
    (staging / DATABASE).chmod(OWNER_ONLY)
    flush_folders(folders)


def _refuse_strange(file: Path, entry: zipfile.ZipInfo) -> None:
    path = PurePosixPath(entry.filename)
    is_ours = entry.filename == DATABASE or (len(path.parts) > 1 and path.parts[0] in FOLDERS_OF_BACKUP)
    is_safe_path = str(path) == entry.filename and ".." not in path.parts and not set(entry.filename) & set("\\:\0")
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    if not (is_ours and is_safe_path) or is_link or entry.flag_bits & 1:
        raise RestoreRefused(
            f"{file} holds {entry.filename!r}, which no backup of fcnlab does; nothing was changed. Take another backup"
        )


def _digest(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    """SHA-256 of an entry; reading it to its end compares its checksum."""
    digest = hashlib.sha256()
    with archive.open(entry) as source:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _named_in(file: Path, archive: zipfile.ZipFile) -> frozenset[str]:
    """What the database of a backup names, asked as this program would open it. Raises RestoreRefused."""
    with tempfile.TemporaryDirectory(prefix="fcnlab-restore-") as folder:
        copy = Path(folder) / DATABASE
        with archive.open(DATABASE) as source, copy.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK_BYTES)
        try:
            _refuse_damaged(copy)
            sessions = open_database(copy)
            try:
                with reading(sessions) as session:
                    return named_files(session)
            finally:
                close_database(sessions)
        except DatabaseUnavailable as failure:
            reason = str(failure).replace(str(copy), DATABASE)
            raise RestoreRefused(f"{file} cannot be used: {reason}. Nothing was changed") from failure


def _refuse_damaged(copy: Path) -> None:
    """Raises DatabaseUnavailable when SQLite finds a fault in its file."""
    try:
        with closing(sqlite3.connect(copy)) as connection:
            faults = [fault for (fault,) in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as failure:
        faults = [str(failure)]
    if faults != ["ok"]:
        raise DatabaseUnavailable(f"its database is damaged ({faults[0].splitlines()[-1]})")


def _missing(named: frozenset[str], names: Sequence[str]) -> Iterator[str]:
    """Names of originals have no ending in the database: it does not say which format a content has."""
    there = {*names, *(str(PurePosixPath(name).with_suffix("")) for name in names if name.startswith("images/"))}
    yield from (name for name in named if name not in there)
