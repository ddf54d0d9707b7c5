"""Reading image files: PNG, JPEG, TIFF, BMP, WebP, JPEG 2000, DICOM and NumPy arrays, alone or in stacks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers import dicom, jpeg2000, numpy_files, tiff
from fcnlab.storage.image_readers.decoding import (
    DAMAGE,
    ORIENTATION_TAG,
    DecodedImage,
    Header,
    damaged,
    decoded,
    quieten,
    refuse_header,
    refuse_sparse,
    upright,
    valid_orientation,
)

SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".jp2", ".j2k", ".jpx", ".dcm", ".dicom", ".npy"}
)
"""Endings of the files a folder import looks at."""

FORMATS = "PNG, JPEG, TIFF, BMP, WebP, JPEG 2000, DICOM or NumPy (.npy)"

# The classes are called by name, because Image.open refuses large images by a limit of the whole process.
READERS: dict[str, type[ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpg": JpegImagePlugin.JpegImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}
START_BYTES = 132

Opened = tiff.OpenTiff | dicom.OpenDicom | None
"""A file whose images have headers of their own."""


class ImageSource:
    """An open image file: one image, or a stack of them. Used by one thread at a time.

    Attributes:
        header: of the first image.
    """

    def __init__(self, path: Path, *, name: str, header: Header, max_pixels: int, opened: Opened = None) -> None:
        self.header = header
        self._path, self._name, self._max_pixels, self._opened = path, name, max_pixels, opened

    def image(self, index: int = 0) -> DecodedImage:
        """One image of the file, counted from 0, checked by its own header.

        Raises:
            ImportRefused: it is damaged or too large.
        """
        name = f"{self._name} (page {index + 1})" if self.header.count > 1 else self._name
        try:
            header = self._header(index, name)
            return decoded(header, self._pixels(header, index))
        except DAMAGE as failure:
            raise damaged(name, failure) from failure

    def _header(self, index: int, name: str) -> Header:
        if self._opened is None or index == 0:
            return self.header
        header = _header_of(self._opened, index=index, name=name)
        refuse_header(header, name=name, max_pixels=self._max_pixels)
        return header

    def _pixels(self, header: Header, index: int) -> NDArray[Any]:
        path, name, opened = self._path, self._name, self._opened
        if isinstance(opened, tiff.OpenTiff):
            return tiff.tiff_pixels(opened, path, index=index, name=name)
        if isinstance(opened, dicom.OpenDicom):
            return dicom.dicom_pixels(opened, index=index, name=name)
        if header.extension == "npy":
            return numpy_files.numpy_pixels(path, index=index, name=name)
        if header.extension == "jp2":
            return jpeg2000.jpeg2000_pixels(path, header)
        with READERS[header.extension](path) as image:
            image.load()  # raises when the file ends early, which OpenCV would not
            is_wide = header.dtype == np.uint16
            pixels = tiff.opencv_pixels_16(path) if is_wide else np.array(tiff.simple(image))
        return upright(pixels, orientation=header.orientation)


@contextmanager
def open_image(path: Path, *, name: str, max_pixels: int) -> Iterator[ImageSource]:
    """Open a file, whose content alone says what it is; its pixels are decoded later, image by image.

    Args:
        path: the file.
        name: what the user calls it, for messages.
        max_pixels: larger images are refused before they are decoded, each page of a stack by itself.

    Raises:
        ImportRefused: not an image of a known format, an animation, damaged, or too large.
    """
    quieten()
    with ExitStack() as files:
        try:
            with path.open("rb") as file:
                extension = _extension(file.read(START_BYTES), name=name)
            opened = files.enter_context(_opened(path, extension, name=name))
            header = _header(path, extension, name=name) if opened is None else _header_of(opened, index=0, name=name)
            refuse_header(header, name=name, max_pixels=max_pixels)
            refuse_sparse(header, n_bytes=path.stat().st_size)
        except DAMAGE as failure:
            raise damaged(name, failure) from failure
        yield ImageSource(path, name=name, header=header, max_pixels=max_pixels, opened=opened)


def decode(path: Path, *, name: str, max_pixels: int) -> DecodedImage:
    """Read a file that holds one image; palette, CMYK and black-and-white become 8-bit colour or grey.

    Args:
        path: the file.
        name: what the user calls it, for messages.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        ImportRefused: as `open_image`, or a stack of images.
    """
    with open_image(path, name=name, max_pixels=max_pixels) as source:
        count = source.header.count
        if count > 1:
            raise ImportRefused(
                f"{name} is a stack of {count} pages; import it into a project, where each becomes an image, or save "
                "each page as a file of its own"
            )
        return source.image()


def is_nameless_image(path: Path) -> bool:
    """Whether a file without an ending is a DICOM file, as scanners write them."""
    if path.suffix:
        return False
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES)[dicom.MAGIC_AT :] == dicom.MAGIC
    except OSError:
        return False


@contextmanager
def _opened(path: Path, extension: str, *, name: str) -> Iterator[Opened]:
    if extension == "tif":
        with tiff.open_tiff(path, name=name) as opened:
            yield opened
    else:
        yield dicom.open_dicom(path, name=name) if extension == "dcm" else None


def _header_of(opened: tiff.OpenTiff | dicom.OpenDicom, *, index: int, name: str) -> Header:
    if isinstance(opened, tiff.OpenTiff):
        return tiff.tiff_header(opened, index=index, name=name)
    return dicom.dicom_header(opened, index=index)


def _header(path: Path, extension: str, *, name: str) -> Header:
    if extension == "npy":
        return numpy_files.numpy_header(path, name=name)
    if extension == "jp2":
        return jpeg2000.jpeg2000_header(path)
    with READERS[extension](path) as image:
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and extension != "jpg":
            raise ImportRefused(f"{name} is an animation of {frames} frames; save each frame as an image of its own")
        is_wide = extension == "png" and _is_wide_png(path)
        channels = 1 if image.mode in ("1", "L", "LA", "I;16", "I") else 4 if "A" in image.mode else 3
        dtype = np.dtype(np.uint16 if is_wide else np.uint8)
        return Header(extension, (image.height, image.width), dtype, channels, _orientation(image))


def _is_wide_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(25)[24] == 16


def _extension(start: bytes, *, name: str) -> str:
    """What the first bytes of a file say it is. Raises ImportRefused: no known kind."""
    if start.startswith(tiff.MAGIC):
        return "tif"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    if start.startswith(jpeg2000.MAGIC):
        return "jp2"
    if start[dicom.MAGIC_AT :] == dicom.MAGIC:
        return "dcm"
    magics = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"BM": "bmp", numpy_files.MAGIC: "npy"}
    for magic, extension in magics.items():
        if start.startswith(magic):
            return extension
    raise ImportRefused(f"{name} is {'not an image fcnlab can read' if start else 'empty'}; save it as {FORMATS}")


def _orientation(image: Image.Image) -> int:
    try:
        return valid_orientation(image.getexif().get(ORIENTATION_TAG))
    except DAMAGE:  # a picture is worth more than its notes
        return 1
