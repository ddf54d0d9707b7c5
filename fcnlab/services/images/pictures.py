"""The files a browser is sent for an image, made again when somebody deleted them."""

from __future__ import annotations

import threading
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.training.splits import look
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.images.importing import make_exhibits
from fcnlab.storage.files.filestore import find_shown, thumbnail_path
from fcnlab.storage.files.pyramid import TILE_PX, is_in_tiles, n_levels, tile_path, tiles_folder

_MAKING = threading.Lock()


def shown_file(lab: Lab, image: ImageInfo) -> Path:
    """The upright 8-bit picture, a JPEG or PNG; an overview of an image that is shown in tiles.

    Raises ImportRefused: the original is gone too.
    """
    path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None or not _has_tiles(lab, image):
        make_exhibits(lab, image)
        path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None:
        raise ImportRefused(f"the picture of {image.name} cannot be written: check the free disk")
    return path


def tile_file(lab: Lab, image: ImageInfo, *, level: int, x: int, y: int) -> Path:
    """A tile of a large image, a JPEG; see `storage.files.pyramid`.

    Raises:
        ImportRefused: there is no such tile, or the original is gone too.
    """
    with _MAKING:  # a browser asks for many at once, and all are made together
        if not _has_tiles(lab, image):
            make_exhibits(lab, image)
    path = tile_path(lab.folders.shown, picture_id=image.picture_id, level=level, x=x, y=y)
    if not path.is_file():
        raise ImportRefused(f"{image.name} has no tile {x}, {y} at level {level}: reload the page")
    return path


def tiling_of(image: ImageInfo) -> tuple[int, int]:
    """Side of a tile in pixels and number of levels; no level for an image that is shown whole."""
    return TILE_PX, n_levels(image.hw)


def _has_tiles(lab: Lab, image: ImageInfo) -> bool:
    return not is_in_tiles(image.hw) or tiles_folder(lab.folders.shown, picture_id=image.picture_id).is_dir()


def thumbnail_look(lab: Lab, image: ImageInfo) -> NDArray[np.float32]:
    """A picture as `core.splitting.look` has it, by its thumbnail; read once in a process.

    Raises ImportRefused: the original is gone too.
    """
    return _look_of(thumbnail_file(lab, image))


@lru_cache(maxsize=20_000)
def _look_of(thumbnail: Path) -> NDArray[np.float32]:
    """By its path, which names its content: 1 kB each, not to be written to."""
    with Image.open(thumbnail) as small:
        vector = look(np.asarray(small.convert("RGB"), np.uint8))
    vector.setflags(write=False)
    return vector


def thumbnail_file(lab: Lab, image: ImageInfo) -> Path:
    """The thumbnail, a JPEG. Raises ImportRefused: the original is gone too."""
    path = thumbnail_path(lab.folders, picture_id=image.picture_id)
    if not path.is_file():
        make_exhibits(lab, image)
    return path
