"""Storing images a few at a time: decoded side by side, on the disk together, and known to the database at once."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from fcnlab.core.images.picture import make_picture
from fcnlab.domain.images import ImageInfo, PixelSize, Recipe, picture_name
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, InvalidImage, StorageFull
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.files import filestore
from fcnlab.storage.files.filestore import Staged
from fcnlab.storage.files.whole_files import flush_folders, flush_together
from fcnlab.storage.image_readers.registry import decode

BATCH_MOST = 32
"""Images in one transaction; the first ones come in smaller batches, so that people see something at once."""

DECODERS = 2
LARGE_VALUES = 48_000_000
"""Images of more, 16 megapixels of colour, are decoded one at a time; a batch ends once it holds as much."""


@dataclass(slots=True, eq=False)
class Candidate:
    """An image on its way in.

    Attributes:
        done: how many files were looked at, this one included.
        name: what it shall be called.
        refused: why it does not come in.
        existing: the image of the project that has its content already.
        copy: its file, beside the originals; gone when `files` is closed, unless it was kept.
        n_values: how many its pixels are, channels counted one by one.
        pixel_size: of a page of a stack, whose own file cannot say it in every unit.
        files: closes what belongs to it.
    """

    done: int
    name: str
    refused: FcnlabError | None = None
    existing: ImageInfo | None = None
    copy: Staged | None = None
    n_values: int = 0
    pixel_size: PixelSize | None = None
    files: ExitStack = field(default_factory=ExitStack)


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """An image that only has to be stored: files that wait to get their names, and what the database shall know."""

    copy: Staged
    parts: tuple[tuple[Path, Path], ...]
    extension: str
    image_hw: tuple[int, int]
    dtype: str
    channels: int
    turned: bool
    recipe: Recipe
    pixel_size: PixelSize | None


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """What became of a candidate: the image, new or known already; or why there is none."""

    done: int
    name: str
    image: ImageInfo | None = None
    is_new: bool = False
    refused: FcnlabError | None = None


def stored(lab: Lab, candidates: Generator[Candidate], project: Project) -> Iterator[Arrival]:
    """Store candidates in their order, each whole.

    What a crash leaves: batches that are stored, with all their files; of the batch under way at most files without a
    row, which nobody asks for, and which the next import of the same content takes over.
    """
    large = threading.Lock()
    size = 1
    with closing(candidates), ThreadPoolExecutor(DECODERS, "fcnlab-decode") as decoders:
        while True:
            batch: list[Candidate] = []
            is_full = False
            waiting: list[Future[Ready | FcnlabError] | None] = []
            try:
                for candidate in candidates:
                    batch.append(candidate)
                    waiting.append(
                        None if candidate.copy is None else decoders.submit(_ready, lab, candidate, project, large)
                    )
                    is_full = len(batch) == size or sum(queued.n_values for queued in batch) > LARGE_VALUES
                    if is_full:
                        break
                results = [None if future is None else future.result() for future in waiting]
                arrivals, project = _store(lab, batch, results, project, large)
            finally:
                for future in waiting:
                    if future is not None and not future.cancel():
                        future.exception()  # wait until nobody writes any more
                for candidate in batch:
                    candidate.files.close()
            yield from arrivals
            if not is_full:
                return
            size = min(2 * size, BATCH_MOST)


class KnownContents:
    """What a project has already: looked up once, and again for what is there."""

    def __init__(self, lab: Lab, *, project_id: int) -> None:
        self._lab, self._project_id = lab, project_id
        with reading(lab.sessions) as session:
            self._contents = frozenset(repository_images.content_hashes(session, project_id=project_id))

    def image(self, content_hash: str) -> ImageInfo | None:
        """The image of a content; None when the project had none of it at the start."""
        if content_hash not in self._contents:
            return None
        with reading(self._lab.sessions) as session:
            return repository_images.find_image_by_hash(session, project_id=self._project_id, content_hash=content_hash)


def _ready(lab: Lab, candidate: Candidate, project: Project, large: threading.Lock) -> Ready | FcnlabError:
    """Decode an image and write what browsers show of it, under names that are not their own yet."""
    try:
        if candidate.n_values <= LARGE_VALUES:
            return _made(lab, candidate, project)
        with large:
            return _made(lab, candidate, project)
    except StorageFull:  # says nothing of the image
        raise
    except FcnlabError as refusal:
        return refusal


def _made(lab: Lab, candidate: Candidate, project: Project) -> Ready:
    copy, name = candidate.copy, candidate.name
    assert copy is not None
    decoded = decode(copy.path, name=name, max_pixels=lab.settings.max_pixels)
    try:
        rgb, recipe = make_picture(
            decoded.pixels,
            wanted=project.imaging,
            stated=decoded.stated,
            is_window=decoded.is_window,
            nodata=decoded.nodata,
        )
    except InvalidImage as refusal:
        raise InvalidImage(f"{name}: {refusal}") from refusal
    parts = filestore.preview_parts(
        rgb,
        folders=lab.folders,
        picture_id=picture_name(copy.content_hash, recipe.imaging),
        lossless=decoded.extension != "jpg",
        keep=candidate.files,
    )
    height, width = decoded.pixels.shape[:2]
    return Ready(
        copy=copy,
        parts=parts,
        extension=decoded.extension,
        image_hw=(height, width),
        dtype=str(decoded.pixels.dtype),
        channels=decoded.channels,
        turned=decoded.turned,
        recipe=recipe,
        pixel_size=candidate.pixel_size or decoded.pixel_size,
    )


def _store(
    lab: Lab,
    batch: Sequence[Candidate],
    results: Sequence[Ready | FcnlabError | None],
    project: Project,
    large: threading.Lock,
) -> tuple[list[Arrival], Project]:
    """What became of a batch; and the project, whose imaging may have changed, so that pictures were made again."""
    while True:
        ready = [result for result in results if isinstance(result, Ready)]
        if not ready:
            return [_arrival(*pair) for pair in zip(batch, results, strict=True)], project
        flush_together([path for image in ready for path in (image.copy.path, *(part for part, _ in image.parts))])
        # Inside the transaction, so that deleting another project with the same content cannot come between.
        with writing(lab.sessions) as session:
            now = repository_projects.project(session, project_id=project.id)
            if now.imaging == project.imaging:
                outcomes = _added(lab, session, list(zip(batch, results, strict=True)), project_id=project.id)
                flush_folders({path.parent for image in ready for path in _places(lab, image)})
                return [_arrival(*pair) for pair in zip(batch, outcomes, strict=True)], now
        project = now
        results = [
            _ready(lab, candidate, project, large) if isinstance(result, Ready) else result
            for candidate, result in zip(batch, results, strict=True)
        ]


def _places(lab: Lab, ready: Ready) -> list[Path]:
    """Where the files of an image lie in the end."""
    original = filestore.original_path(lab.folders, content_hash=ready.copy.content_hash, extension=ready.extension)
    return [original, *(path for _, path in ready.parts)]


def _arrival(candidate: Candidate, outcome: tuple[ImageInfo, bool] | Ready | FcnlabError | None) -> Arrival:
    if isinstance(outcome, tuple):
        image, is_new = outcome
        return Arrival(candidate.done, image.name, image, is_new=is_new)
    if isinstance(outcome, FcnlabError):
        return Arrival(candidate.done, candidate.name, refused=outcome)
    name = candidate.name if candidate.existing is None else candidate.existing.name
    return Arrival(candidate.done, name, candidate.existing, refused=candidate.refused)


def _added(
    lab: Lab, session: Session, batch: Sequence[tuple[Candidate, Ready | FcnlabError | None]], *, project_id: int
) -> list[tuple[ImageInfo, bool] | FcnlabError | None]:
    """For what is ready, its image, and whether it is new: the same content may have come in meanwhile."""
    contents = [ready.copy.content_hash for _, ready in batch if isinstance(ready, Ready)]
    existing = repository_images.images_by_hashes(session, project_id=project_id, content_hashes=contents)
    position = repository_images.next_position(session, project_id=project_id)
    outcomes: list[tuple[ImageInfo, bool] | FcnlabError | None] = []
    for candidate, ready in batch:
        if not isinstance(ready, Ready):
            outcomes.append(ready)
            continue
        content_hash = ready.copy.content_hash
        is_new = content_hash not in existing
        if is_new:
            for part, path in ready.parts:
                part.replace(path)
            filestore.keep(ready.copy, folders=lab.folders, extension=ready.extension)
            existing[content_hash] = repository_images.add_image(
                session,
                project_id=project_id,
                name=candidate.name,
                content_hash=content_hash,
                image_hw=ready.image_hw,
                dtype=ready.dtype,
                channels=ready.channels,
                turned=ready.turned,
                recipe=ready.recipe,
                pixel_size=ready.pixel_size,
                position=position,
                now=lab.clock(),
            )
            position += 1
        outcomes.append((existing[content_hash], is_new))
    return outcomes
