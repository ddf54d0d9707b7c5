"""Where an export is written: a zip file, or a folder that an interrupted export goes on in; lines wait in spools."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from filelock import FileLock, Timeout

from fcnlab.errors import ExportFailed
from fcnlab.storage.exports.manifest import MANIFEST_NAME
from fcnlab.storage.files.whole_files import flush_folders, flush_together, replaced_whole, write_whole, written_whole
from fcnlab.storage.formats.writing import Assembly, ExportedImage, FormatWriter, Line, WholeFile

BLOCK_LINES = 256


class Spools:
    """Files of lines in a folder, one per name.

    Args:
        folder: where they lie; made when missing.
        ends: bytes and lines each had at the moment to go on from; what was written after that is dropped.
    """

    def __init__(self, folder: Path, ends: Mapping[str, tuple[int, int]] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._lines: dict[str, int] = {}
        for path in folder.glob("*.spool"):
            if path.stem not in (ends or {}):
                path.unlink()
        for name, (n_bytes, n_lines) in (ends or {}).items():
            file = self._file(name)
            file.truncate(n_bytes)
            file.seek(0, os.SEEK_END)
            self._lines[name] = n_lines

    def add(self, line: Line) -> None:
        """Append a line."""
        file = self._file(line.spool)
        self._lines[line.spool] += 1
        data = line.data
        if line.is_numbered:
            data = b'{"id":%d,%s' % (self._lines[line.spool], data[1:])
        file.write(data + b"\n")

    def ends(self) -> dict[str, tuple[int, int]]:
        """Bytes and lines of each spool, which are on the disk when this returns."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        return {name: (file.tell(), self._lines[name]) for name, file in sorted(self._files.items())}

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a spool in order, without line breaks; none when nothing was added."""
        path = self._path(name)
        if name in self._files:
            self._files[name].flush()
        if path.exists():
            with path.open("rb") as file:
                for line in file:
                    yield line[:-1]

    def assembled(self, assembly: Assembly) -> Iterator[bytes]:
        """The bytes of a file, some lines at a time."""
        for part in assembly.parts:
            if isinstance(part, bytes):
                yield part
                continue
            waiting: list[bytes] = []
            for index, line in enumerate(self.lines(part.spool)):
                waiting.append((part.between if index else b"") + line + b"\n")
                if len(waiting) == BLOCK_LINES:
                    yield b"".join(waiting)
                    waiting.clear()
            yield b"".join(waiting)

    def close(self) -> None:
        """Close the files; they stay."""
        for file in self._files.values():
            file.close()

    def _file(self, name: str) -> BinaryIO:
        if name not in self._files:
            self._files[name] = self._path(name).open("r+b" if self._path(name).exists() else "w+b")
            self._lines[name] = 0
        return self._files[name]

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.spool"


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


WORK_NAME = ".fcnlab-export"
JOURNAL_NAME = "journal.json"
PART_NAME = "file.part"
"""What a file is called until it is complete; in the folder of the journal, so that none stays behind."""


@dataclass(frozen=True, slots=True)
class Journal:
    """How far an export has come.

    Attributes:
        fingerprint: of everything that decides what the files hold.
        n_images: so many images, from the first on, are finished.
        ends: bytes and lines of each spool at that moment.
        counts: what the last step of progress counted.
    """

    fingerprint: str
    n_images: int = 0
    ends: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


class LooseFolder:
    """A folder that files are written into, each whole, whatever else is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, name: str, data: bytes) -> str:
        """Write one file; returns the SHA-256 of its content."""
        write_whole(self.path / name, data)
        return hashlib.sha256(data).hexdigest()

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> str:
        """Write one file of any length; returns the SHA-256 of its content."""
        digest = hashlib.sha256()
        with written_whole(self.path / name) as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
        return digest.hexdigest()


class FolderTarget(LooseFolder):
    """A folder of its own for an export, new or empty, or with one that was interrupted.

    Raises:
        ExportFailed: it holds something else, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.work = path / WORK_NAME
        self._fresh: list[Path] = []
        try:
            path.mkdir(parents=True, exist_ok=True)
            names = sorted(child.name for child in path.iterdir())
        except OSError as failure:
            raise ExportFailed(
                f"{path} cannot be used as a folder ({failure.strerror}); choose another one"
            ) from failure
        if names and WORK_NAME not in names:
            held = "a finished export" if MANIFEST_NAME in names else f"other files ({names[0]})"
            raise ExportFailed(f"the folder {path} holds {held}; choose a new or an empty one")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While nobody else writes an export into the folder. Raises ExportFailed: somebody does."""
        self.work.mkdir(exist_ok=True)
        lock = FileLock(self.work / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as failure:
            raise ExportFailed(f"another export is being written into {self.path}: wait, or choose a new folder") from (
                failure
            )
        try:
            yield
        finally:
            lock.release()

    def add(self, name: str, data: bytes) -> str:
        """Write one file; returns the SHA-256 of its content."""
        return self.add_stream(name, [data])

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> str:
        """Write one file of any length; returns the SHA-256 of its content. It is on the disk with the next journal."""
        path, part = self.path / name, self.work / PART_NAME
        digest = hashlib.sha256()
        with part.open("wb") as file:
            for block in blocks:
                digest.update(block)
                file.write(block)
        path.parent.mkdir(parents=True, exist_ok=True)
        part.replace(path)
        self._fresh.append(path)
        return digest.hexdigest()

    def journal(self, fingerprint: str) -> Journal:
        """From where to go on: what an interrupted export of this fingerprint left, or the beginning.

        Raises:
            ExportFailed: an export of another fingerprint was interrupted here.
        """
        try:
            values = json.loads((self.work / JOURNAL_NAME).read_text("utf-8"))
            journal = Journal(**values)
            whole = all((self.work / f"{name}.spool").stat().st_size >= end[0] for name, end in journal.ends.items())
        except (OSError, ValueError, TypeError):
            return Journal(fingerprint)
        if journal.fingerprint != fingerprint:
            raise ExportFailed(
                f"another export into {self.path} was interrupted, with other options, points or model: "
                "choose a new folder, or delete this one"
            )
        return journal if whole else Journal(fingerprint)

    def keep(self, journal: Journal) -> None:
        """Write the journal, whole, once all files it speaks of are on the disk."""
        self._flush()
        write_whole(self.work / JOURNAL_NAME, json.dumps(asdict(journal), sort_keys=True).encode())

    def finish(self) -> None:
        """The export is complete: all of it is on the disk, and nothing is left to go on from."""
        self._flush()
        shutil.rmtree(self.work, ignore_errors=True)

    def _flush(self) -> None:
        flush_together(self._fresh)
        flush_folders({path.parent for path in self._fresh})
        self._fresh.clear()


class Target(Protocol):
    """Where files go; names are paths with "/"."""

    def add(self, name: str, data: bytes) -> str:
        """Write one file; returns the SHA-256 of its content."""
        ...

    def add_stream(self, name: str, blocks: Iterable[bytes]) -> str:
        """Write one file of any length; returns the SHA-256 of its content."""
        ...


class DatasetWriter:
    """Writes each image in all formats, then the files about all of them."""

    def __init__(self, target: Target, spools: Spools, writers: Sequence[FormatWriter]) -> None:
        self._target, self._spools, self._writers = target, spools, writers
        self._names: set[str] = set()

    def add(self, image: ExportedImage) -> dict[str, str]:
        """Write an image; the content hashes of its own files by name.

        Nothing of it reaches the spools when a format fails.

        Raises:
            ExportFailed: a format calls a file of it like one of an image before.
        """
        made = [part for writer in self._writers for part in writer.of_image(image)]
        names = {part.name.casefold(): part.name for part in made if isinstance(part, WholeFile)}
        taken = sorted(names[folded] for folded in names.keys() & self._names)
        if taken:
            raise ExportFailed(f"{taken[0]} was written for another image already: rename {image.name}")
        self._names |= names.keys()
        files = {}
        for part in made:
            if isinstance(part, Line):
                self._spools.add(part)
            else:
                files[part.name] = self._target.add(part.name, part.data)
        return files

    def finish(self) -> dict[str, str]:
        """Write the files about all images; their content hashes by name."""
        return {
            assembly.name: self._target.add_stream(assembly.name, self._spools.assembled(assembly))
            for writer in self._writers
            for assembly in writer.of_all()
        }
