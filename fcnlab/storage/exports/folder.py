"""A folder as the target of an export: files written whole, and a journal from which an interrupted export goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from fcnlab.errors import ExportFailed
from fcnlab.storage.exports.manifest import MANIFEST_NAME
from fcnlab.storage.files.whole_files import flush_folders, flush_together, write_whole, written_whole

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
            found = sorted(one.name for one in path.iterdir())
        except OSError as failure:
            raise ExportFailed(
                f"{path} cannot be used as a folder ({failure.strerror}); choose another one"
            ) from failure
        if found and WORK_NAME not in found:
            held = "a finished export" if MANIFEST_NAME in found else f"other files ({found[0]})"
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
            found = Journal(**values)
            whole = all((self.work / f"{name}.spool").stat().st_size >= end[0] for name, end in found.ends.items())
        except (OSError, ValueError, TypeError):
            return Journal(fingerprint)
        if found.fingerprint != fingerprint:
            raise ExportFailed(
                f"another export into {self.path} was interrupted, with other options, points or model: "
                "choose a new folder, or delete this one"
            )
        return found if whole else Journal(fingerprint)

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
