"""Reading image files: 8- and 16-bit PNG, JPEG, TIFF, BMP and WebP."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, ImageFile, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from fcnlab.adapters.tiff import MAGIC as TIFF_MAGIC
from fcnlab.adapters.tiff import opencv_pixels_16, tiff_header, tiff_pixels_16
from fcnlab.adapters.upright import ORIENTATION_TAG, upright, valid_orientation
from fcnlab.errors import ImportRefused

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
"""Endings of the files a folder import looks at."""

# The classes are called by name, because Image.open refuses large images by a limit of the whole process.
READERS: dict[str, type[ImageFile.ImageFile]] = {
    "png": PngImagePlugin.PngImageFile,
    "jpg": JpegImagePlugin.JpegImageFile,
    "tif": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
}

DAMAGE = (
    OSError,
    SyntaxError,  # Pillow's word for a broken file
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    cv2.error,
    tifffile.TiffFileError,
)
"""What the decoders raise over damaged files."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself before its pixels are decoded; `stored_hw` ignores the EXIF turn.

    `extension` is png, jpg, tif, bmp or webp, whatever the file is called.
    """

    extension: str
    stored_hw: tuple[int, int]
    bits: int
    orientation: int


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An upright image as its file holds it.

    Attributes:
        pixels: (H, W), (H, W, 3) or (H, W, 4); uint8 or uint16.
        turned: EXIF asked for a turn or flip, which `pixels` has.
        extension: png, jpg, tif, bmp or webp.
    """

    pixels: NDArray[Any]
    turned: bool
    extension: str

    @property
    def channels(self) -> int:
        """1, 3 or 4."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])


def decode(path: Path, *, name: str, max_pixels: int) -> DecodedImage:
    """Read an image file; palette, CMYK and black-and-white become 8-bit colour or grey.

    Args:
        path: the file.
        name: what the user calls it, for messages.
        max_pixels: larger images are refused before they are decoded.

    Raises:
        ImportRefused: not an image of a known format, a stack of pages, neither 8 nor 16 bits, damaged,
            or too large.
    """
    try:
        header = _header(path, name=name)
        height, width = header.stored_hw
        if height * width > max_pixels:
            raise ImportRefused(
                f"{name} has {width} x {height} pixels, more than the {max_pixels} allowed; make it smaller, "
                "cut it into parts, or raise FCNLAB_MAX_PIXELS"
            )
        pixels = _upright_pixels(path, header)
    except DAMAGE as failure:
        cause = str(failure).partition("\n")[0] or type(failure).__name__
        raise ImportRefused(
            f"{name} is damaged or incomplete ({cause}); copy or save it again, as PNG for instance"
        ) from failure
    return DecodedImage(pixels=pixels, turned=header.orientation != 1, extension=header.extension)


def _header(path: Path, *, name: str) -> Header:
    with path.open("rb") as file:
        start = file.read(32)
    extension = _extension(start)
    if extension is None:
        raise ImportRefused(
            f"{name} is {'not an image fcnlab can read' if start else 'empty'}; save it as PNG, JPEG, TIFF, BMP or WebP"
        )
    if extension == "tif":
        page = tiff_header(path, name=name)
        return Header(extension, page.stored_hw, page.bits, page.orientation)
    with READERS[extension](path) as image:
        bits = 16 if extension == "png" and start[24] == 16 else 8
        return Header(extension, (image.height, image.width), bits, _orientation(image))


def _extension(start: bytes) -> str | None:
    if start.startswith(TIFF_MAGIC):
        return "tif"
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return "webp"
    magics = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpg", b"BM": "bmp"}
    return next((extension for magic, extension in magics.items() if start.startswith(magic)), None)


def _orientation(image: Image.Image) -> int:
    try:
        return valid_orientation(image.getexif().get(ORIENTATION_TAG))
    except DAMAGE:  # a picture is worth more than its notes
        return 1


def _upright_pixels(path: Path, header: Header) -> NDArray[Any]:
    if header.extension == "tif" and header.bits == 16:
        return tiff_pixels_16(path, orientation=header.orientation)
    with READERS[header.extension](path) as image:
        image.load()  # raises when the file ends early, which OpenCV would not
        if header.extension == "tif":
            return np.array(_simple(image))  # Pillow turns TIFF, and only TIFF, by itself
        pixels = opencv_pixels_16(path) if header.bits == 16 else np.array(_simple(image))
    return upright(pixels, orientation=header.orientation)


def _simple(image: Image.Image) -> Image.Image:
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if image.mode in ("RGBa", "PA") or (image.mode == "P" and "transparency" in image.info):
        return image.convert("RGBA")
    if image.mode in ("P", "CMYK", "YCbCr", "LAB", "RGBX"):
        return image.convert("RGB")
    if image.mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"its pixels are of the kind {image.mode}")
    return image
