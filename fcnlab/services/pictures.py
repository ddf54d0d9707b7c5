"""The files a browser is sent for an image, made again when somebody deleted them."""

from __future__ import annotations

from pathlib import Path

from fcnlab.adapters.filestore import find_shown, thumbnail_path
from fcnlab.domain import ImageInfo
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.importing import make_exhibits


def shown_file(lab: Lab, image: ImageInfo) -> Path:
    """The upright 8-bit picture, a JPEG or PNG. Raises ImportRefused: the original is gone too."""
    path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None:
        make_exhibits(lab, image)
        path = find_shown(lab.folders, picture_id=image.picture_id)
    if path is None:
        raise ImportRefused(f"the picture of {image.name} cannot be written: check the free disk")
    return path


def thumbnail_file(lab: Lab, image: ImageInfo) -> Path:
    """The thumbnail, a JPEG. Raises ImportRefused: the original is gone too."""
    path = thumbnail_path(lab.folders, picture_id=image.picture_id)
    if not path.is_file():
        make_exhibits(lab, image)
    return path
