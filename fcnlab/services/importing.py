"""Bringing images in: uploads one by one, or a folder of the server."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters import filestore, repository, repository_images
from fcnlab.adapters.database import reading, writing
from fcnlab.adapters.filestore import Staged
from fcnlab.adapters.images import SUFFIXES, DecodedImage, decode
from fcnlab.core.picture import make_picture, repeat_picture
from fcnlab.domain import ImageInfo, Project, picture_name
from fcnlab.errors import ImportRefused, InvalidImage
from fcnlab.imaging import Recipe
from fcnlab.lab import Lab

Source = Path | bytes | bytearray | memoryview

MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """One file further.

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


def import_files(lab: Lab, files: Iterable[tuple[str, Source]], *, project_id: int) -> Iterator[ImportProgress]:
    """Import files one at a time; each step of the iterator stores one image whole.

    A file that cannot be read is named and passed over. Content the project has already is not stored
    again, whatever its name.

    Args:
        lab: the installation.
        files: pairs of a name and a path or the bytes themselves.
        project_id: where they go.

    Raises:
        UnknownProject: at once, when there is no such project.
    """
    with reading(lab.sessions) as session:
        project = repository.project(session, project_id=project_id)
    total = len(files) if isinstance(files, Sequence) else None
    return _import_each(lab, files, project, total=total)


def import_folder(lab: Lab, folder: Path, *, project_id: int, allow_anywhere: bool = False) -> Iterator[ImportProgress]:
    """Import all images in a folder of this machine and the folders in it, in the order of their names.

    An image is called by its path inside the folder. Hidden files are passed over.

    Args:
        lab: the installation.
        folder: must lie in one of `settings.import_roots`, with links followed.
        project_id: where they go.
        allow_anywhere: the caller sits at this machine and may read any folder.

    Raises:
        ImportRefused: at once, when the folder does not exist, lies elsewhere, or holds no image.
        UnknownProject: at once, when there is no such project.
    """
    base = folder.expanduser().resolve()
    roots = None if allow_anywhere else [root.expanduser().resolve() for root in lab.settings.import_roots]
    _refuse_folder(folder, base=base, roots=roots)
    found = sorted(path for path in base.rglob("*") if _is_wanted(path, base=base))
    if not found:
        raise ImportRefused(f"{folder} holds no image: no file ends in {', '.join(sorted(SUFFIXES))}")
    files = [(path.relative_to(base).as_posix(), path) for path in found]
    inside = [(name, path) for name, path in files if _is_inside(path.resolve(), roots)]
    return import_files(lab, inside, project_id=project_id)


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
    lab: Lab, files: Iterable[tuple[str, Source]], project: Project, *, total: int | None
) -> Iterator[ImportProgress]:
    for done, (raw_name, source) in enumerate(files, start=1):
        name = clean_file_name(raw_name)
        try:
            image, is_new = _import_one(lab, name, source, project)
        except (ImportRefused, InvalidImage) as refusal:
            yield ImportProgress(done, total, name, refused=str(refusal))
        else:
            yield ImportProgress(done, total, image.name, image_id=image.id, duplicate=not is_new)


def _import_one(lab: Lab, name: str, source: Source, project: Project) -> tuple[ImageInfo, bool]:
    with filestore.staged(source, folders=lab.folders, name=name) as copy:
        with reading(lab.sessions) as session:
            known = repository_images.find_image_by_hash(session, project_id=project.id, content_hash=copy.content_hash)
        if known is not None:
            return known, False
        decoded = decode(copy.path, name=name, max_pixels=lab.settings.max_pixels)
        try:
            rgb, recipe = make_picture(decoded.pixels, wanted=project.imaging)
        except InvalidImage as refusal:
            raise InvalidImage(f"{name}: {refusal}") from refusal
        picture_id = picture_name(copy.content_hash, recipe.imaging)
        write_exhibits(lab, rgb, picture_id=picture_id, lossless=decoded.extension != "jpg")
        return _store(lab, name, copy, decoded, recipe, project_id=project.id)


def _store(
    lab: Lab, name: str, copy: Staged, decoded: DecodedImage, recipe: Recipe, *, project_id: int
) -> tuple[ImageInfo, bool]:
    # Inside the transaction, so that deleting another project with this content cannot come between.
    with writing(lab.sessions) as session:
        repository.require_project(session, project_id=project_id)
        known = repository_images.find_image_by_hash(session, project_id=project_id, content_hash=copy.content_hash)
        if known is not None:
            return known, False
        filestore.keep(copy, folders=lab.folders, extension=decoded.extension)
        image = repository_images.add_image(
            session,
            project_id=project_id,
            name=name,
            content_hash=copy.content_hash,
            image_hw=(decoded.pixels.shape[0], decoded.pixels.shape[1]),
            dtype=str(decoded.pixels.dtype),
            channels=decoded.channels,
            turned=decoded.turned,
            recipe=recipe,
            pixel_size=None,
            now=lab.clock(),
        )
        return image, True


def _refuse_folder(folder: Path, *, base: Path, roots: list[Path] | None) -> None:
    if not _is_inside(base, roots):
        allowed = ", ".join(str(root) for root in roots or []) or "none yet"
        raise ImportRefused(
            f"{folder} is outside the folders that may be imported ({allowed}); ask whoever runs the server to "
            "add it to FCNLAB_IMPORT_ROOTS"
        )
    if not base.is_dir():
        raise ImportRefused(f"there is no folder {folder} on the server; check its spelling")


def _is_inside(path: Path, roots: list[Path] | None) -> bool:
    return roots is None or any(path.is_relative_to(root) for root in roots)


def _is_wanted(path: Path, *, base: Path) -> bool:
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(base).parts)
    return not hidden and path.suffix.lower() in SUFFIXES and path.is_file()
