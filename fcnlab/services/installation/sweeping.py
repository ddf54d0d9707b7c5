"""What deleted projects and interrupted work leave on the disk: found, measured, and taken away."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.export.target import KEPT_FOR_S, PREFIX
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import chunked, reading, writing
from fcnlab.storage.files import filestore
from fcnlab.storage.files.filestore import CACHE_NAME_CHARS
from fcnlab.storage.files.named_files import Numbers, numbers
from fcnlab.storage.files.presence import (
    PART,
    Others,
    alone_at_the_gate,
    delete_anything,
    new_part,
    other_processes,
)

ROWS_AT_ONCE = 1000
CONTENTS_AT_ONCE = 32

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file, or a folder with all in it, that nothing needs any more.

    Attributes:
        path: where it lies.
        content_hash: of the original it is, or is made of; empty for other files.
        size: bytes.
    """

    path: Path
    content_hash: str
    size: int


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What can be swept: files, and projects whose deletion was interrupted."""

    files: tuple[Leftover, ...]
    projects: tuple[int, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(leftover.size for leftover in self.files)


def find_leftovers(lab: Lab) -> Leftovers:
    """The files that ended processes and deleted projects left; none that a live process may be at work on."""
    listed = list(_listed(lab))  # before the database is asked: a file comes after the row it belongs to, or with it
    with alone_at_the_gate(lab.data_dir):
        others = other_processes(lab.data_dir)
    with reading(lab.sessions) as session:
        there = numbers(session)
        projects = repository_projects.projects_in_deletion(session)
    elsewhere = [Leftover(path, "", _size(path)) for path in others.elsewhere]
    rules = _LeftoverRules(lab, there, others)
    left = [Leftover(path, rules.content_of(path), _size(path)) for path in listed if rules.is_left(path)]
    return Leftovers((*left, *elsewhere), projects)


def sweep(lab: Lab) -> Leftovers:
    """Take away what `find_leftovers` finds, and finish interrupted deletions; what was taken away.

    Safe beside other processes: what they use or are writing stays, and no labeller waits for it.
    """
    with reading(lab.sessions) as session:
        projects = repository_projects.projects_in_deletion(session)
    for project_id in projects:
        finish_deletion(lab, project_id=project_id)
    leftovers = find_leftovers(lab)
    forget_contents(lab, {leftover.content_hash for leftover in leftovers.files if leftover.content_hash})
    for leftover in leftovers.files:
        if not leftover.content_hash:
            delete_anything(leftover.path)
    with alone_at_the_gate(lab.data_dir):
        for path in other_processes(lab.data_dir).ended:
            delete_anything(path)
    return Leftovers(leftovers.files, projects)


def sweep_quietly(lab: Lab) -> None:
    """As `sweep`, at the start of a server: what goes wrong is logged, and tried again at the next start."""
    try:
        swept = sweep(lab)
        if swept.files or swept.projects:
            log.info("swept %d files of %.1f MB that were left behind", len(swept.files), swept.size / 1e6)
    except (FcnlabError, OSError) as failure:
        log.warning("what was left behind could not be swept: %s", failure)


def finish_deletion(lab: Lab, *, project_id: int) -> None:
    """Delete the rows of a project that `repository.begin_deletion` began with.

    In transactions of some milliseconds, with a pause as long after each, so that others get their turn.
    """
    while True:
        started = time.monotonic()
        with writing(lab.sessions) as session:
            if not repository_projects.delete_some(session, project_id=project_id, count=ROWS_AT_ONCE):
                return
        time.sleep(time.monotonic() - started)


def forget_contents(lab: Lab, contents: Collection[str]) -> None:
    """Delete the originals of contents that no project shows, with all pictures and features made of them.

    Inside a short transaction, so that no import of the same content comes between, they lose their names; the files
    go after it.
    """
    paths = filestore.files_of_contents(lab.folders, contents)
    for some in chunked(sorted(contents), CONTENTS_AT_ONCE):
        gone = []
        with writing(lab.sessions) as session:
            used = repository_images.contents_in_use(session, content_hashes=some)
            for path in (path for content in some if content not in used for path in paths.get(content, ())):
                nameless = new_part(path.parent)
                try:
                    path.rename(nameless)
                except FileNotFoundError:  # somebody else deleted it
                    continue
                gone.append(nameless)
        for path in gone:
            delete_anything(path)


class _LeftoverRules:
    """Whether a file is left over, by what the database has and who is at work."""

    def __init__(self, lab: Lab, there: Numbers, others: Others) -> None:
        self._folders, self._there, self._others = lab.folders, there, others
        self._now = lab.clock().timestamp()
        self._cached = {content_hash[:CACHE_NAME_CHARS] for content_hash in there.contents}

    def is_left(self, path: Path) -> bool:
        """Whether nothing needs the file or folder any more."""
        if path.suffix == PART:
            return not self._others.may_still_write(path)
        rules = {
            self._folders.images: self._is_strange_content,
            self._folders.shown: self._is_strange_picture,
            self._folders.thumbs: self._is_strange_picture,
            self._folders.features: self._is_strange_feature,
            self._folders.masks: lambda path: self._is_gone(path.name, projects=r"(\d+)"),
            self._folders.checkpoints: self._is_strange_checkpoint,
            self._folders.resume: self._is_spent,
            self._folders.comparisons: lambda path: self._is_gone(path.name, comparisons=r"(\d+)"),
            self._folders.logs: lambda path: self._is_gone(
                path.stem, projects=r"worker-(\d+)", trainings=r"training-(\d+)"
            ),
            self._folders.exports: self._is_old_download,
        }
        return any(path.is_relative_to(folder) and is_left(path) for folder, is_left in rules.items())

    def content_of(self, path: Path) -> str:
        """The content that is gone, of which a file is; empty when it is of none, or of one that is there."""
        content = filestore.content_of(path)
        return "" if path.suffix == PART or content is None or content in self._there.contents else content

    def _is_gone(self, name: str, **patterns: str) -> bool:
        """Whether a file is called by the number of something that the database has no more."""
        matches = {kind: re.fullmatch(pattern, name) for kind, pattern in patterns.items()}
        return any(match and int(match[1]) not in getattr(self._there, kind) for kind, match in matches.items())

    def _is_strange_content(self, path: Path) -> bool:
        return filestore.content_of(path) not in (None, *self._there.contents)

    def _is_strange_picture(self, path: Path) -> bool:
        content = filestore.content_of(path)
        if content is None or content not in self._there.contents:
            return content is not None
        return path.name.partition(".")[0] not in self._there.pictures and not self._others.may_be_new(path)

    def _is_strange_feature(self, path: Path) -> bool:
        return path.stem.partition("-")[0] not in self._cached

    def _is_strange_checkpoint(self, path: Path) -> bool:
        if path.name in self._there.checkpoints:
            return False
        stem = path.stem
        if self._is_gone(stem, projects=r"(\d+)-.*") or self._is_gone(stem, projects=r"(?:brought|network)-(\d+)-.*"):
            return True
        trained = re.fullmatch(r"network-\d+-(\d+)", stem)
        if trained and int(trained[1]) in self._there.trainings - self._there.ended:
            return False
        is_gone = trained is not None and int(trained[1]) not in self._there.trainings
        return is_gone or not self._others.may_be_new(path)  # a fit or an import writes its file before its row

    def _is_spent(self, path: Path) -> bool:
        training = re.fullmatch(r"training-(\d+)\.resume", path.name)
        return training is not None and int(training[1]) not in self._there.trainings - self._there.ended

    def _is_old_download(self, path: Path) -> bool:
        return path.name.startswith(PREFIX) and self._now - path.stat().st_mtime > KEPT_FOR_S


def _listed(lab: Lab) -> Iterator[Path]:
    """All files, and folders that are kept or deleted as one, that may be left over."""
    folders = lab.folders
    patterns = {
        lab.data_dir: ("*.part",),
        folders.images: ("*.part", "*/*"),
        folders.shown: ("*",),
        folders.thumbs: ("*",),
        folders.features: ("*/*/*",),
        folders.masks: ("*", "*/*.part"),
        folders.checkpoints: ("*",),
        folders.resume: ("*",),
        folders.comparisons: ("*", "*/*.part"),
        folders.logs: ("*",),
        folders.exports: ("*", f"{PREFIX}*/*.part"),
    }
    for folder, names in patterns.items():
        for name in names:
            yield from folder.glob(name)


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; those that go meanwhile count nothing."""
    total = 0
    for file in (path, *path.rglob("*")) if path.is_dir() else (path,):
        with suppress(OSError):
            total += 0 if file.is_dir() else file.stat().st_size
    return total
