"""Files and sizes of images: what a browser is sent, made again when it was deleted, and what tells images apart."""

from __future__ import annotations

import hashlib
import threading
from functools import cached_property, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.training.splits import picture_descriptor
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.images.importing import clean_file_name, make_previews
from fcnlab.services.labels.label_names import ImageNames
from fcnlab.services.predict.predicted_files import InputFile
from fcnlab.storage.files.filestore import find_shown, thumbnail_path
from fcnlab.storage.files.pyramid import TILE_PX, is_in_tiles, n_levels, tile_path, tiles_folder
from fcnlab.storage.formats.reading.mask_files import files_below
from fcnlab.storage.image_readers.registry import SUFFIXES, open_image
from fcnlab.storage.image_readers.tiff_notes import write_page


def hash_of(file: InputFile, *, max_pixels: int) -> str:
    """The hash that a project would know the image of a file by; a page of a stack is stored as a file of its own.

    Raises:
        ImportRefused: the file cannot be read.
    """
    try:
        if file.page is not None:
            with open_image(file.path, name=file.name, max_pixels=max_pixels) as image, TemporaryDirectory() as folder:
                alone = Path(folder) / "page.tif"
                write_page(alone, image.image(file.page))
                return hashlib.sha256(alone.read_bytes()).hexdigest()
        return hashlib.sha256(file.path.read_bytes()).hexdigest()
    except OSError as failure:
        raise ImportRefused(f"{file.path} cannot be read ({failure.strerror}): check the path") from failure


LABELS = "labels"
MOST_PIXELS = 2_000_000_000


class PictureSizes:
    """Sizes of images in a folder, looked up by the names that labels give them.

    Args:
        folder: the images; None when nobody named one.
        labels: the label file or folder, beside or in which images may lie whose labels say no size.
    """

    def __init__(self, folder: Path | None, labels: Path) -> None:
        self._is_named = folder is not None
        self._folder = folder or _data_set_of(labels)

    @cached_property
    def _files(self) -> list[Path]:
        return files_below(self._folder, tuple(SUFFIXES))

    @cached_property
    def _names(self) -> ImageNames:
        names = [file.relative_to(self._folder).as_posix() for file in self._files]
        return ImageNames((name, index, (0, 0)) for index, name in enumerate(names))

    def named_hw(self, name: str, hw: tuple[int, int] | None) -> tuple[str, tuple[int, int]]:
        """The name and size of an image, from its file where there is one. Raises ImportRefused: no size is known."""
        if (not self._is_named and hw is not None) or not self._files:
            if hw is None:
                raise ImportRefused(
                    "the labels do not say how large the image is: name the folder of images (--images)"
                )
            if hw[0] * hw[1] > MOST_PIXELS:
                raise ImportRefused(f"{hw[1]} x {hw[0]} pixels are more than any mask may have")
            return clean_file_name(name), hw
        named = self._names.find(name)
        with open_image(self._files[named.id], name=named.name, max_pixels=MOST_PIXELS) as source:
            image_hw = source.header.hw
        if hw is not None and hw != image_hw:
            raise ImportRefused(
                f"the labels are for {hw[1]} x {hw[0]} pixels, {named.name} has {image_hw[1]} x {image_hw[0]}"
            )
        return named.name, image_hw


def _data_set_of(labels: Path) -> Path:
    """The folder in which the images of labels may lie: `images` beside `labels`."""
    folder = labels if labels.is_dir() else labels.parent
    return next((ancestor.parent for ancestor in (folder, *folder.parents) if ancestor.name == LABELS), folder)


_MAKING = threading.Lock()


def shown_file(lab: Lab, image: ImageInfo) -> Path:
    """The upright 8-bit picture, a JPEG or PNG; an overview of an image that is shown in tiles.

    Raises ImportRefused: the original is gone too.
    """
    path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None or not _has_tiles(lab, image):
        make_previews(lab, image)
        path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None:
        raise ImportRefused(f"the preview of {image.name} cannot be written: check the free disk")
    return path


def tile_file(lab: Lab, image: ImageInfo, *, level: int, x: int, y: int) -> Path:
    """A tile of a large image, a JPEG; see `storage.files.pyramid`.

    Raises:
        ImportRefused: there is no such tile, or the original is gone too.
    """
    with _MAKING:  # a browser asks for many at once, and all are made together
        if not _has_tiles(lab, image):
            make_previews(lab, image)
    path = tile_path(lab.folders.shown, picture_id=image.picture_id, level=level, x=x, y=y)
    if not path.is_file():
        raise ImportRefused(f"{image.name} has no tile {x}, {y} at level {level}: reload the page")
    return path


def tiling_of(image: ImageInfo) -> tuple[int, int]:
    """Side of a tile in pixels and number of levels; no level for an image that is shown whole."""
    return TILE_PX, n_levels(image.hw)


def _has_tiles(lab: Lab, image: ImageInfo) -> bool:
    return not is_in_tiles(image.hw) or tiles_folder(lab.folders.shown, picture_id=image.picture_id).is_dir()


def thumbnail_descriptor(lab: Lab, image: ImageInfo) -> NDArray[np.float32]:
    """The descriptor of a picture by its thumbnail, see `splits.picture_descriptor`; read once in a process.

    Raises ImportRefused: the original is gone too.
    """
    return _descriptor_of(thumbnail_file(lab, image))


@lru_cache(maxsize=20_000)
def _descriptor_of(thumbnail: Path) -> NDArray[np.float32]:
    """The descriptor by the thumbnail's path, which names its content: 1 kB each, not to be written to."""
    with Image.open(thumbnail) as small:
        vector = picture_descriptor(np.asarray(small.convert("RGB"), np.uint8))
    vector.setflags(write=False)
    return vector


def thumbnail_file(lab: Lab, image: ImageInfo) -> Path:
    """The thumbnail, a JPEG. Raises ImportRefused: the original is gone too."""
    path = thumbnail_path(lab.folders, picture_id=image.picture_id)
    if not path.is_file():
        make_previews(lab, image)
    return path
