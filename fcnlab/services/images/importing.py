"""Bringing images in, one by one: each is stored whole, or refused with a reason."""

from __future__ import annotations

import unicodedata
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.picture import repeat_picture
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.errors import (
    DatabaseUnavailable,
    ImportRefused,
    InvalidImage,
    NotAnImage,
    ShuttingDown,
    UnknownImage,
    storage_explained,
)
from fcnlab.lab import Lab
from fcnlab.services.images.import_batches import Candidate, KnownContents, stored
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files import filestore
from fcnlab.storage.files.filestore import Source
from fcnlab.storage.image_readers.registry import ImageSource, decode, open_image
from fcnlab.storage.image_readers.tiff_notes import write_page

MAX_NAME_CHARS = 200

NOT_IMPORTED = "The images that were imported before stay, the others were not imported"

FAILURES_MOST = 5
"""Pages one after the other that may be damaged before the rest of their stack is left out."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """One image further: a file, or an image of a file that is a stack.

    Attributes:
        done: files looked at so far, this one included.
        total: files in all, None when nobody knows yet.
        name: what the image is called, or the file when it was refused.
        image_id: the image that holds the file's content; None when it was refused.
        duplicate: the project had this content already.
        refused: why the file was left out; None when it was not.
        is_set_aside: it was left out because it is no image at all, or the mask of a picture beside it.
    """

    done: int
    total: int | None
    name: str
    image_id: int | None = None
    duplicate: bool = False
    refused: str | None = None
    is_set_aside: bool = False


def import_files(
    lab: Lab, files: Iterable[tuple[str, Source | ImportRefused]], *, project_id: int
) -> Iterator[ImportProgress]:
    """Import files as a stream: every step names an image that is stored whole, or says why it is not.

    Images are stored a few at a time; an import that is stopped keeps those that were. A file that cannot be read is
    named and passed over. Content the project has already is not stored again, whatever its name. Every image of a
    stack is stored as an image of its own: `stack_001.tif` and so on.

    Args:
        lab: the installation.
        files: pairs of a name and a path, the bytes themselves, blocks of them, or why there are none.
        project_id: where they go.

    Raises:
        UnknownProject: at once, when there is no such project.
        StorageFull: while importing; what was yielded is stored, what was not is not.
    """
    project = require_project(lab, project_id=project_id)
    total = len(files) if isinstance(files, Sequence) else None
    return _import_each(lab, files, project, total=total)


def require_project(lab: Lab, *, project_id: int) -> Project:
    """The project that images go to. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository_projects.project(session, project_id=project_id)


def read_picture(lab: Lab, image: ImageInfo) -> NDArray[np.uint8]:
    """The upright full-size picture, (H, W, 3) uint8, made as recorded when it was imported.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    path = filestore.find_original(lab.folders, content_hash=image.content_hash)
    allowed = max(lab.settings.max_pixels, image.height * image.width)
    decoded = decode(path, name=image.name, max_pixels=allowed)
    return repeat_picture(decoded.pixels, image.recipe, nodata=decoded.nodata)


def is_unreadable(failure: BaseException) -> bool:
    """Whether a picture can never be read, since its original is gone or damaged; anything else may pass."""
    if isinstance(failure, UnknownImage):
        return True
    cause = failure.__cause__
    # What the system says carries a number; what a decoder says of damage does not.
    is_passing = isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)
    return isinstance(failure, ImportRefused | InvalidImage) and not is_passing


def may_pass(failure: BaseException) -> bool:
    """Whether a failure comes from what was busy, full or ending for a moment, so that it is worth another try."""
    if isinstance(failure, ImportRefused):
        return not is_unreadable(failure)
    return isinstance(failure, DatabaseUnavailable | ShuttingDown)


def make_previews(lab: Lab, image: ImageInfo) -> None:
    """Write the picture and the thumbnail that browsers show, again if need be.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    original = filestore.find_original(lab.folders, content_hash=image.content_hash)
    filestore.write_previews(
        read_picture(lab, image),
        folders=lab.folders,
        picture_id=image.picture_id,
        lossless=original.suffix != ".jpg",
    )


def name_of_page(name: str, index: int, count: int) -> str:
    """What an image of a stack is called, `index` counted from 0.

    >>> name_of_page("day/stack.ome.tif", 0, 12)
    'day/stack_001.tif'
    """
    path = PurePosixPath(name)
    stem = path.stem.removesuffix(".ome") or "stack"
    return str(path.with_name(f"{stem}_{index + 1:0{max(3, len(str(count)))}d}.tif"))


def clean_file_name(name: str) -> str:
    """A relative path that is safe to show and to write: no way up, no drive, nothing invisible.

    >>> clean_file_name("../../etc/pass wd.png")
    'etc/pass wd.png'
    """
    text = unicodedata.normalize("NFC", name).replace("\\", "/")
    text = "".join(letter for letter in text if unicodedata.category(letter) not in ("Cc", "Cs"))
    parts = [part.strip().rstrip(":") for part in PurePosixPath(text).parts]
    kept = "/".join(part for part in parts if part not in ("", ".", "..", "/"))
    return kept[-MAX_NAME_CHARS:].lstrip("/") or "unnamed"


def _import_each(
    lab: Lab, files: Iterable[tuple[str, Source | ImportRefused]], project: Project, *, total: int | None
) -> Iterator[ImportProgress]:
    with storage_explained(outcome=NOT_IMPORTED):
        for arrival in stored(lab, _candidates(lab, files, project), project):
            if arrival.image is None:
                is_set_aside = isinstance(arrival.refused, NotAnImage)
                yield ImportProgress(
                    arrival.done, total, arrival.name, refused=str(arrival.refused), is_set_aside=is_set_aside
                )
            else:
                yield ImportProgress(
                    arrival.done, total, arrival.name, image_id=arrival.image.id, duplicate=not arrival.is_new
                )


def _candidates(
    lab: Lab, files: Iterable[tuple[str, Source | ImportRefused]], project: Project
) -> Generator[Candidate]:
    """Every image of every file, its file copied; a candidate that is given away is closed by whoever takes it."""
    contents = KnownContents(lab, project_id=project.id)
    for done, (raw_name, source) in enumerate(files, start=1):
        name = clean_file_name(raw_name)
        try:
            if isinstance(source, ImportRefused):
                raise source
            yield from _candidates_of_file(lab, name, source, contents, done=done)
        except (ImportRefused, InvalidImage) as refusal:
            yield Candidate(done, name, refused=refusal)


def _candidates_of_file(
    lab: Lab, name: str, source: Source, contents: KnownContents, *, done: int
) -> Iterator[Candidate]:
    """The image of a file, or those of a stack one by one: new ones, known ones, and those that cannot be read."""
    with ExitStack() as files:
        copy = files.enter_context(filestore.staged(source, folders=lab.folders, name=name))
        image = contents.image(copy.content_hash)
        if image is not None:
            yield Candidate(done, name, existing=image)
            return
        with open_image(copy.path, name=name, max_pixels=lab.settings.max_pixels) as opened:
            header = opened.header
            if header.count > 1:
                failures = 0
                for index in range(header.count):
                    page = _page(lab, name_of_page(name, index, header.count), opened, index, contents, done=done)
                    yield page
                    failures = 0 if page.refused is None else failures + 1
                    if failures == FAILURES_MOST and index + 1 < header.count:
                        yield Candidate(done, name, refused=_rest_left_out(name, index + 1, header.count))
                        return
                return
            n_values = header.stored_hw[0] * header.stored_hw[1] * header.channels
        yield Candidate(done, name, copy=copy, n_values=n_values, files=files.pop_all())


def _rest_left_out(name: str, seen: int, count: int) -> ImportRefused:
    return ImportRefused(
        f"{name}: its last {count - seen} pages are left out, for {FAILURES_MOST} in a row could not be read"
    )


def _page(lab: Lab, name: str, opened: ImageSource, index: int, contents: KnownContents, *, done: int) -> Candidate:
    """An image of a stack in a file of its own, which depends on its pixels alone."""
    try:
        page = opened.image(index)
    except ImportRefused as refusal:
        return Candidate(done, name, refused=refusal)
    with ExitStack() as files:
        copy = files.enter_context(filestore.staged_by(partial(write_page, page=page), folders=lab.folders))
        image = contents.image(copy.content_hash)
        if image is not None:
            return Candidate(done, name, existing=image)
        n_values = page.pixels.size
        return Candidate(done, name, copy=copy, n_values=n_values, pixel_size=page.pixel_size, files=files.pop_all())
