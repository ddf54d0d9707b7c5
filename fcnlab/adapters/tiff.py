"""Reading TIFF files, which hold more kinds of images than any single library decodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from fcnlab.adapters.upright import ORIENTATION_TAG, upright, valid_orientation
from fcnlab.errors import ImportRefused

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class TiffHeader:
    """The one page of a TIFF; `stored_hw` ignores the orientation."""

    stored_hw: tuple[int, int]
    bits: int
    orientation: int


def tiff_header(path: Path, *, name: str) -> TiffHeader:
    """What the file says about its page, without decoding it.

    Raises:
        ImportRefused: several pages, values that are neither 8- nor 16-bit, or more than four channels.
    """
    with tifffile.TiffFile(path) as file:
        page, series = file.pages.first, file.series[0]
        n_pages = series.size // max(1, page.size)
        if n_pages > 1:
            raise ImportRefused(f"{name} is a stack of {n_pages} pages; save each page as a file of its own")
        if page.dtype is None or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
            raise ImportRefused(
                f"{name} holds {page.dtype} values; scale them to 0..65535 and save it as a 16-bit image"
            )
        if page.samplesperpixel not in (1, 2, 3, 4):
            raise ImportRefused(
                f"{name} has {page.samplesperpixel} channels; save the three to look at as an RGB image"
            )
        tag = page.tags.get(ORIENTATION_TAG)
        return TiffHeader(
            stored_hw=(page.imagelength, page.imagewidth),
            bits=8 * page.dtype.itemsize,
            orientation=valid_orientation(None if tag is None else int(tag.value)),
        )


def tiff_pixels_16(path: Path, *, orientation: int) -> NDArray[np.uint16]:
    """The upright pixels of a 16-bit TIFF: (H, W), (H, W, 3) or (H, W, 4).

    Raises:
        ValueError, OSError or another of the decoders' errors: the file is damaged.
    """
    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            pixels, axes = page.asarray(), page.axes
            is_white_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
    except ValueError as failure:
        if "imagecodecs" not in str(failure):  # the package tifffile misses for LZW and JPEG
            raise
        return opencv_pixels_16(path)  # OpenCV has turned it already
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[2] <= 2:
        pixels = pixels[..., 0]  # grey, or grey with alpha
    if is_white_zero:
        pixels = np.iinfo(pixels.dtype).max - pixels
    return upright(pixels, orientation=orientation)


def opencv_pixels_16(path: Path) -> NDArray[np.uint16]:
    """The pixels of a 16-bit PNG or TIFF by OpenCV: (H, W), (H, W, 3) or (H, W, 4), RGB order.

    Raises:
        ValueError: they cannot be decoded.
    """
    pixels: NDArray[Any] | None = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # OpenCV says blue, green, red
