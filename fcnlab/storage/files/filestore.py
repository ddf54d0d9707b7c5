"""The folders of an installation: originals by content, and the pictures a browser shows."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.errors import ImportRefused, storage_explained
from fcnlab.storage.files.presence import PART, new_part
from fcnlab.storage.files.pyramid import is_in_tiles, overview, write_pyramid
from fcnlab.storage.files.whole_files import written_whole

THUMBNAIL_SIDE = 160
JPEG_QUALITY = 95
PNG_MAX_PIXELS = 4_000_000
JPEG_MAX_SIDE = 65_500
BLOCK_BYTES = 1 << 20
TOKEN_FILE = "api-token"
"""In the data folder: what programs show to the REST service."""

CACHE_NAME_CHARS = 40
"""Of the hash of an original, at the beginning of the keys of all features made of it, before a '-'."""

CONTENT_NAME = re.compile(r"([0-9a-f]{64})[.-]")


@dataclass(frozen=True, slots=True)
class Folders:
    """Where an installation keeps its files.

    Attributes:
        images: originals, `<first two of the hash>/<hash>.<extension>`.
        shown: upright 8-bit pictures for the browser, `<picture id>.jpg` or `.png`; can be made again. A picture id is
            the hash of the original, and how it was imaged if it was not taken as it came.
        thumbs: small ones, `<picture id>.jpg`; can be made again.
        masks: masks of done images.
        features: cached stages of the encoder; can be made again.
        checkpoints: fitted models and trained networks.
        resume: from where interrupted trainings go on; can be made again.
        logs: what workers wrote.
        exports: files made for other tools.
        comparisons: masks of compared networks, `<comparison>/<who>-<image>.png`.
    """

    images: Path
    shown: Path
    thumbs: Path
    masks: Path
    features: Path
    checkpoints: Path
    resume: Path
    logs: Path
    exports: Path
    comparisons: Path


def open_folders(data_dir: Path) -> Folders:
    """The folders inside `data_dir`, made when missing. Raises OSError when that is impossible."""
    folders = Folders(**{part.name: data_dir / part.name for part in fields(Folders)})
    for part in fields(Folders):
        Path(getattr(folders, part.name)).mkdir(parents=True, exist_ok=True)
    return folders


@dataclass(frozen=True, slots=True)
class Staged:
    """A copy of a file on its way into the store."""

    path: Path
    content_hash: str


Blocks = Callable[[], Iterable[bytes]]
"""The content of a file, a block at a time, whenever it is asked for."""

Source = Path | bytes | bytearray | memoryview | Blocks


@contextmanager
def staged(source: Source, *, folders: Folders, name: str) -> Iterator[Staged]:
    """Copy a file beside the originals while hashing it; the copy is gone after the block unless kept.

    Raises:
        ImportRefused: the file cannot be read.
        StorageFull: there is no room for the copy.
    """
    part = new_part(folders.images)
    digest = hashlib.sha256()
    try:
        with storage_explained(f"the copy of {name}"), part.open("wb") as target:
            for block in _blocks(source, name=name):
                digest.update(block)
                target.write(block)
        yield Staged(part, digest.hexdigest())
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def staged_by(write: Callable[[Path], None], *, folders: Folders) -> Iterator[Staged]:
    """As `staged`, of a file that `write` makes under the path it is given."""
    part = new_part(folders.images)
    try:
        with storage_explained("the copy of a page"):
            write(part)
        with part.open("rb") as file:
            content_hash = hashlib.file_digest(file, "sha256").hexdigest()
        yield Staged(part, content_hash)
    finally:
        part.unlink(missing_ok=True)


def keep(copy: Staged, *, folders: Folders, extension: str) -> Path:
    """Turn a staged copy, which is on the disk, into the original of its content; one that is there already stays."""
    path = original_path(folders, content_hash=copy.content_hash, extension=extension)
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        copy.path.replace(path)
    return path


def original_path(folders: Folders, *, content_hash: str, extension: str) -> Path:
    """Where an original lies."""
    return folders.images / content_hash[:2] / f"{content_hash}.{extension}"


def find_original(folders: Folders, *, content_hash: str) -> Path:
    """The original of a content, whatever its format.

    Raises:
        ImportRefused: it is gone from the disk.
    """
    folder = folders.images / content_hash[:2]
    for path in sorted(folder.glob(f"{content_hash}.*")):
        if path.suffix != PART:
            return path
    raise ImportRefused(
        f"the original {content_hash[:12]}... is missing from {folder}; restore it from a backup, or import "
        "the image again"
    )


def write_previews(rgb: NDArray[np.uint8], *, folders: Folders, picture_id: str, lossless: bool) -> None:
    """Write what browsers show of a picture: the picture itself, and a thumbnail.

    Of a picture that is shown in tiles, the tiles and an overview.

    Args:
        rgb: (H, W, 3) uint8, upright.
        folders: of the installation.
        picture_id: of the image.
        lossless: the original was no JPEG.
    """
    for path, write in _previews(rgb, folders=folders, picture_id=picture_id, lossless=lossless):
        with written_whole(path) as file:
            write(file)


def preview_parts(
    rgb: NDArray[np.uint8], *, folders: Folders, picture_id: str, lossless: bool, keep: ExitStack
) -> tuple[tuple[Path, Path], ...]:
    """As `write_previews`, under other names: pairs of a file, which may not be on the disk yet, and its true name.

    Files that did not get their names are deleted when `keep` is closed.
    """
    parts = []
    for path, write in _previews(rgb, folders=folders, picture_id=picture_id, lossless=lossless):
        part = new_part(path.parent)
        keep.callback(part.unlink, missing_ok=True)
        with storage_explained(path), part.open("wb") as file:
            write(file)
        parts.append((part, path))
    return tuple(parts)


def find_shown(folders: Folders, *, picture_id: str) -> Path | None:
    """The picture `write_previews` made, or None."""
    candidates = (folders.shown / f"{picture_id}.{extension}" for extension in ("jpg", "png"))
    return next((path for path in candidates if path.is_file()), None)


def thumbnail_path(folders: Folders, *, picture_id: str) -> Path:
    """Where the thumbnail of a picture lies."""
    return folders.thumbs / f"{picture_id}.jpg"


def forget_picture(folders: Folders, *, picture_id: str) -> None:
    """Delete a picture and its thumbnail; they can be made again."""
    for path in (*folders.shown.glob(f"{picture_id}.*"), thumbnail_path(folders, picture_id=picture_id)):
        _forget(path)


def content_of(path: Path) -> str | None:
    """The hash of the content that a file, or a folder of tiles, is of, by its name; None: its name says none."""
    match = CONTENT_NAME.match(path.name)
    return None if match is None else match[1]


def files_of_contents(folders: Folders, contents: Collection[str]) -> dict[str, list[Path]]:
    """Originals of contents, and all pictures, tiles, thumbnails and features made of them, by content."""
    files: dict[str, list[Path]] = {}
    for content_hash in contents:
        files[content_hash] = list((folders.images / content_hash[:2]).glob(f"{content_hash}.*"))
        files[content_hash] += folders.features.glob(f"*/{content_hash[:2]}/{content_hash[:CACHE_NAME_CHARS]}-*")
    for folder in (folders.shown, folders.thumbs):  # looked through once, however many contents are wanted
        for path in folder.iterdir():
            content = content_of(path)
            if content in files:
                files[content].append(path)
    return files


def _forget(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _previews(
    rgb: NDArray[np.uint8], *, folders: Folders, picture_id: str, lossless: bool
) -> Iterator[tuple[Path, Callable[[BinaryIO], None]]]:
    """The picture, PNG when `lossless` and small, else JPEG with full colour; and a JPEG of THUMBNAIL_SIDE pixels.

    Tiles of a large picture are written at once, whole and under their own name.
    """
    if is_in_tiles((rgb.shape[0], rgb.shape[1])):
        write_pyramid(rgb, shown=folders.shown, picture_id=picture_id)
        rgb, lossless = overview(rgb), False
    height, width = rgb.shape[:2]
    image = Image.fromarray(rgb)
    if (lossless and height * width <= PNG_MAX_PIXELS) or max(height, width) > JPEG_MAX_SIDE:
        yield folders.shown / f"{picture_id}.png", partial(image.save, format="PNG", compress_level=3)
    else:
        jpeg = partial(image.save, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
        yield folders.shown / f"{picture_id}.jpg", jpeg
    image.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    yield thumbnail_path(folders, picture_id=picture_id), partial(image.save, format="JPEG", quality=85)


def _blocks(source: Source, *, name: str) -> Iterator[bytes | memoryview]:
    if callable(source):
        yield from source()
        return
    if not isinstance(source, Path):
        yield memoryview(source)
        return
    try:
        with source.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as failure:
        raise ImportRefused(
            f"{name} cannot be read ({failure.strerror}); check that it exists and who may read it"
        ) from failure
