"""Bringing images in, one by one: each is stored whole, or refused with a reason."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters import filestore, repository, repository_images
from fcnlab.adapters.database import reading, writing
from fcnlab.adapters.decoding import DecodedImage
from fcnlab.adapters.filestore import Source, Staged
from fcnlab.adapters.images import decode, open_image
from fcnlab.adapters.tiff_notes import write_page
from fcnlab.core.picture import make_picture, repeat_picture
from fcnlab.domain import ImageInfo, Project, picture_name
from fcnlab.errors import FcnlabError, ImportRefused, InvalidImage
from fcnlab.imaging import Recipe
from fcnlab.lab import Lab

MAX_NAME_CHARS = 200


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
    """

    done: int
    total: int | None
    name: str
    image_id: int | None = None
    duplicate: bool = False
    refused: str | None = None


def import_files(
    lab: Lab, files: Iterable[tuple[str, Source | ImportRefused]], *, project_id: int
) -> Iterator[ImportProgress]:
    """Import files one at a time; each step of the iterator stores one image whole.

    A file that cannot be read is named and passed over. Content the project has already is not stored
    again, whatever its name. Every image of a stack is stored as an image of its own: `stack_001.tif` and so on.

    Args:
        lab: the installation.
        files: pairs of a name and a path, the bytes themselves, blocks of them, or why there are none.
        project_id: where they go.

    Raises:
        UnknownProject: at once, when there is no such project.
    """
    project = require_project(lab, project_id=project_id)
    total = len(files) if isinstance(files, Sequence) else None
    return _import_each(lab, files, project, total=total)


def require_project(lab: Lab, *, project_id: int) -> Project:
    """The project that images go to. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        return repository.project(session, project_id=project_id)


def read_picture(lab: Lab, image: ImageInfo) -> NDArray[np.uint8]:
    """The upright full-size picture, (H, W, 3) uint8, made as recorded when it was imported.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    path = filestore.find_original(lab.folders, content_hash=image.content_hash)
    allowed = max(lab.settings.max_pixels, image.height * image.width)
    return repeat_picture(decode(path, name=image.name, max_pixels=allowed).pixels, image.recipe)


def make_exhibits(lab: Lab, image: ImageInfo) -> None:
    """Write the picture and the thumbnail that browsers show, again if need be.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    original = filestore.find_original(lab.folders, content_hash=image.content_hash)
    write_exhibits(lab, read_picture(lab, image), picture_id=image.picture_id, lossless=original.suffix != ".jpg")


def write_exhibits(lab: Lab, rgb: NDArray[np.uint8], *, picture_id: str, lossless: bool) -> None:
    """Write what browsers show of a picture (H, W, 3); `lossless`: its original is no JPEG."""
    filestore.write_shown(rgb, folders=lab.folders, picture_id=picture_id, lossless=lossless)
    filestore.write_thumbnail(rgb, folders=lab.folders, picture_id=picture_id)


def name_of_page(name: str, place: int, count: int) -> str:
    """What an image of a stack is called, `place` counted from 0.

    >>> name_of_page("day/stack.ome.tif", 0, 12)
    'day/stack_001.tif'
    """
    path = PurePosixPath(name)
    stem = path.stem.removesuffix(".ome") or "stack"
    return str(path.with_name(f"{stem}_{place + 1:0{max(3, len(str(count)))}d}.tif"))


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
    for done, (raw_name, source) in enumerate(files, start=1):
        name = clean_file_name(raw_name)
        try:
            if isinstance(source, ImportRefused):
                raise source
            for image_name, found in _import_file(lab, name, source, project):
                if isinstance(found, FcnlabError):
                    yield ImportProgress(done, total, image_name, refused=str(found))
                else:
                    image, is_new = found
                    yield ImportProgress(done, total, image.name, image_id=image.id, duplicate=not is_new)
        except (ImportRefused, InvalidImage) as refusal:
            yield ImportProgress(done, total, name, refused=str(refusal))


def _import_file(
    lab: Lab, name: str, source: Source, project: Project
) -> Iterator[tuple[str, tuple[ImageInfo, bool] | FcnlabError]]:
    """The image of a file, or those of a stack one by one: new ones, known ones, and those that cannot be read."""
    with filestore.staged(source, folders=lab.folders, name=name) as copy:
        known = _known(lab, copy.content_hash, project_id=project.id)
        if known is not None:
            yield name, (known, False)
            return
        with open_image(copy.path, name=name, max_pixels=lab.settings.max_pixels) as opened:
            count = opened.header.count
            if count == 1:
                yield name, _import_one(lab, name, copy, opened.image(), project)
                return
            for place in range(count):
                page_name = name_of_page(name, place, count)
                try:
                    yield page_name, _import_page(lab, page_name, opened.image(place), project)
                except (ImportRefused, InvalidImage) as refusal:
                    yield page_name, refusal


def _import_page(lab: Lab, name: str, page: DecodedImage, project: Project) -> tuple[ImageInfo, bool]:
    """Store a page of a stack as an image of its own, in a file that depends on its pixels alone."""
    write = partial(write_page, pixels=page.pixels, size=page.pixel_size, stated=page.stated)
    with filestore.staged_by(write, folders=lab.folders) as copy:
        known = _known(lab, copy.content_hash, project_id=project.id)
        if known is not None:
            return known, False
        return _import_one(lab, name, copy, replace(page, turned=False, extension="tif"), project)


def _import_one(lab: Lab, name: str, copy: Staged, decoded: DecodedImage, project: Project) -> tuple[ImageInfo, bool]:
    while True:
        try:
            rgb, recipe = make_picture(
                decoded.pixels, wanted=project.imaging, stated=decoded.stated, is_window=decoded.is_window
            )
        except InvalidImage as refusal:
            raise InvalidImage(f"{name}: {refusal}") from refusal
        picture_id = picture_name(copy.content_hash, recipe.imaging)
        write_exhibits(lab, rgb, picture_id=picture_id, lossless=decoded.extension != "jpg")
        stored = _store(lab, name, copy, decoded, recipe, project)
        if isinstance(stored, tuple):
            return stored
        project = stored


def _store(
    lab: Lab, name: str, copy: Staged, decoded: DecodedImage, recipe: Recipe, project: Project
) -> tuple[ImageInfo, bool] | Project:
    """The stored image and whether it is new; the project, when somebody changed how its pictures are made."""
    # Inside the transaction, so that deleting another project with this content cannot come between.
    with writing(lab.sessions) as session:
        now = repository.project(session, project_id=project.id)
        if now.imaging != project.imaging:
            return now
        known = repository_images.find_image_by_hash(session, project_id=project.id, content_hash=copy.content_hash)
        if known is not None:
            return known, False
        filestore.keep(copy, folders=lab.folders, extension=decoded.extension)
        image = repository_images.add_image(
            session,
            project_id=project.id,
            name=name,
            content_hash=copy.content_hash,
            image_hw=(decoded.pixels.shape[0], decoded.pixels.shape[1]),
            dtype=str(decoded.pixels.dtype),
            channels=decoded.channels,
            turned=decoded.turned,
            recipe=recipe,
            pixel_size=decoded.pixel_size,
            now=lab.clock(),
        )
        return image, True


def _known(lab: Lab, content_hash: str, *, project_id: int) -> ImageInfo | None:
    with reading(lab.sessions) as session:
        return repository_images.find_image_by_hash(session, project_id=project_id, content_hash=content_hash)
