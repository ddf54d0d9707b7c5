"""What tells the image of a file from any other, in a project or not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from fcnlab.errors import ImportRefused
from fcnlab.services.predict.predicted_files import InputFile
from fcnlab.storage.image_readers.registry import open_image
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
