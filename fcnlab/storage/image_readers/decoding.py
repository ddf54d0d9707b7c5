"""What the readers of image files have in common: what they give, raise and refuse, and turning upright."""

from __future__ import annotations

import logging
import struct
import tokenize
import warnings
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import psutil
import tifffile
from numpy.typing import NDArray

from fcnlab.domain.images import PixelSize, Stretch
from fcnlab.errors import ImportRefused

BYTES_PER_PIXEL = 8
"""Many channels, or wide numbers, may take as much memory as this for each pixel allowed."""

PIXELS_PER_BYTE = {"jpg": 512, "png": 8256, "jp2": 16384}
"""The most pixels that a byte of a file can hold: JPEG takes a bit or more for 64 pixels (ISO 10918-1, F.1.2), deflate
makes 1032 bytes of one at most, each up to eight pixels of a PNG. JPEG 2000 knows no such limit; a picture with
anything to see in it stays far below this one."""

LONGEST_SIDE = 1_000_000
"""Pixels; what is longer is no picture, and decoders ask for memory by the row."""

SPARE_MEMORY = 0.9
"""The part of the free memory that one picture may take while it is decoded."""

PAGES_MOST = 100_000
"""Of a stack; more are no stack anybody looks at, but a count that was made up."""

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
    tokenize.TokenError,  # of the header of an array
)
"""What the decoders raise over damaged files."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says about itself before its pixels are decoded.

    Attributes:
        extension: png, jpg, tif, bmp, webp, jp2, dcm or npy, whatever the file is called.
        stored_hw: height and width without the turn that EXIF asks for.
        dtype: of the values.
        channels: of each pixel.
        orientation: the EXIF tag, 1 to 8.
        count: images in the file; more than one is a stack.
        pixel_size: of the upright image, where the file says it.
        stated: the range of values that the file states.
        is_window: whether that is a range to show, and values outside are meant to be cut off.
        nodata: the value of pixels about which nothing is known; None where the file says none.
    """

    extension: str
    stored_hw: tuple[int, int]
    dtype: np.dtype[Any] = np.dtype(np.uint8)  # noqa: RUF009 - an immutable value
    channels: int = 3
    orientation: int = 1
    count: int = 1
    pixel_size: PixelSize | None = None
    stated: Stretch | None = None
    is_window: bool = False
    nodata: float | None = None

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        height, width = self.stored_hw
        return (width, height) if self.orientation >= SIDEWAYS else (height, width)


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An upright image as its file holds it.

    Attributes:
        pixels: (H, W) or (H, W, C); whole or real numbers of any width.
        turned: EXIF asked for a turn or flip, which `pixels` has.
        extension: as in Header.
        pixel_size: of the upright image, where the file says it.
        stated: the range of values that the file states.
        is_window: whether that is a range to show, and values outside are meant to be cut off.
        nodata: the value of pixels about which nothing is known; None where the file says none.
    """

    pixels: NDArray[Any]
    turned: bool
    extension: str
    pixel_size: PixelSize | None = None
    stated: Stretch | None = None
    is_window: bool = False
    nodata: float | None = None

    @property
    def channels(self) -> int:
        """1 or more."""
        return 1 if self.pixels.ndim == 2 else int(self.pixels.shape[2])


def decoded(header: Header, pixels: NDArray[Any]) -> DecodedImage:
    """The upright pixels of an image with what its header says. Raises ValueError: they have another size."""
    if pixels.shape[:2] != header.hw:
        raise ValueError(f"its pixels are {pixels.shape}, and it says {header.hw}")
    return DecodedImage(
        pixels,
        header.orientation != 1,
        header.extension,
        header.pixel_size,
        header.stated,
        header.is_window,
        header.nodata,
    )


def refuse_header(header: Header, *, name: str, max_pixels: int) -> None:
    """Refuse what should not be decoded.

    Raises:
        ImportRefused: it has no pixels or too many, too many pages, or values that are no numbers one can look at.
    """
    refuse_count(header.count, name=name)
    height, width = header.stored_hw
    if height < 1 or width < 1 or header.channels < 1:
        raise ImportRefused(f"{name} has {width} x {height} pixels of {header.channels} channels: nothing to see")
    n_bytes = height * width * header.channels * header.dtype.itemsize
    if height * width > max_pixels or n_bytes > BYTES_PER_PIXEL * max_pixels:
        channels = f" of {header.channels} channels" if height * width <= max_pixels else ""
        raise ImportRefused(
            f"{name} has {width} x {height} pixels{channels}, more than the {max_pixels} allowed; make it smaller, "
            "cut it into parts, or raise FCNLAB_MAX_PIXELS"
        )
    if max(height, width) > LONGEST_SIDE:
        raise ImportRefused(
            f"{name} has {width} x {height} pixels; a side has {LONGEST_SIDE} at most: cut it into parts"
        )
    needed, free = memory_while_decoding(header), int(SPARE_MEMORY * psutil.virtual_memory().available)
    if needed > free:
        raise ImportRefused(
            f"{name} has {width} x {height} pixels and takes {needed / 1e9:.1f} GB of memory while it is decoded; "
            f"{free / 1e9:.1f} GB are free: cut it into parts, or close other programs"
        )
    if header.dtype.kind not in "buif":
        raise ImportRefused(
            f"{name} holds {header.dtype} values, which are no brightnesses; save it as whole or real numbers"
        )


def memory_while_decoding(header: Header) -> int:
    """Bytes that decoding a picture and making its 8-bit colour take at most.

    Its values twice, since readers turn and convert them, and five bytes a pixel for what is shown: measured on grey
    and colour of 8, 16 and 32 bits and on eight channels, which took 60 to 98 percent of that.
    """
    height, width = header.stored_hw
    return height * width * (2 * header.channels * header.dtype.itemsize + 5)


def refuse_sparse(header: Header, *, n_bytes: int) -> None:
    """Refuse a file too short for the pixels it speaks of, before memory is taken for them. Raises ValueError."""
    height, width = header.stored_hw
    most = PIXELS_PER_BYTE.get(header.extension)
    if most is not None and height * width > most * n_bytes:
        raise ValueError(f"it speaks of {width} x {height} pixels, which {n_bytes} bytes cannot hold")


def refuse_count(count: int, *, name: str) -> None:
    """Refuse a stack that is too long. Raises ImportRefused."""
    if count > PAGES_MOST:
        raise ImportRefused(f"{name} has {count} pages, more than the {PAGES_MOST} allowed in a stack; split it")


def damaged(name: str, failure: BaseException) -> ImportRefused:
    """The refusal of a file that a decoder gave up on."""
    if isinstance(failure, MemoryError):
        return ImportRefused(f"{name} takes more memory than there is: cut it into parts, or close other programs")
    cause = " ".join(str(failure).partition("\n")[0].split())[:200] or type(failure).__name__
    return ImportRefused(f"{name} is damaged or incomplete ({cause}); copy or save it again, as PNG for instance")


def quieten() -> None:
    """Keep the decoders from printing what the refusal of a file says anyway."""
    for library in ("tifffile", "pydicom", "PIL"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
        warnings.filterwarnings("ignore", category=UserWarning, module=library)


def as_numbers(pixels: NDArray[Any]) -> NDArray[Any]:
    """The same values in the byte order of this machine; True and False as 255 and 0."""
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    return np.asarray(pixels, pixels.dtype.newbyteorder("="))


ORIENTATION_TAG = 0x0112
SIDEWAYS = 5
"""Orientations from here on swap height and width."""


def upright(pixels: NDArray[Any], *, orientation: int) -> NDArray[Any]:
    """The upright image.

    Args:
        pixels: (H, W) or (H, W, C), as stored.
        orientation: EXIF tag 0x0112, 1 to 8; 5 to 8 swap height and width.
    """
    views = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: pixels[::-1].swapaxes(0, 1),
        7: pixels[::-1, ::-1].swapaxes(0, 1),
        8: pixels[:, ::-1].swapaxes(0, 1),
    }
    return np.ascontiguousarray(views[orientation])


def valid_orientation(value: object) -> int:
    """The orientation a tag names; 1, upright, when it names none."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
