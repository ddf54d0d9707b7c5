"""Reading TIFF files, which hold more kinds of images than any single library decodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from fcnlab.domain.images import PixelSize
from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import (
    ORIENTATION_TAG,
    SIDEWAYS,
    Header,
    as_numbers,
    refuse_count,
    upright,
    valid_orientation,
)
from fcnlab.storage.image_readers.tiff_notes import check_expansion, is_windowed, ome_sizes, pixel_size, stated_range

TILE_BYTES_MOST = 1 << 28
"""Of one tile, which is unpacked whole: as much as 4096 x 4096 pixels of 16 bytes, or the image if that has more."""

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

NESTED_KINDS = frozenset({"svs", "ndpi", "scn", "philips", "bif", "qpi", "avs"})
"""Whole slides: their first series is the slide, the others are labels and thumbnails."""

REDUCED, MASK = 1, 4
"""Of NewSubfileType: a smaller version of another page, a mask of transparency."""

SUBFILE_TAG, OLD_REDUCED = 255, 2
"""SubfileType, the older tag, and its value for a smaller version."""

NODATA_TAG = 42113
"""GDAL_NODATA: the value of pixels about which nothing is known, as text."""

PAGES_READ_MOST = 10_000
"""Pages of a stack whose notes are read one by one."""

PHOTO = tifffile.PHOTOMETRIC
OTHER_COLOURS = frozenset({PHOTO.SEPARATED, PHOTO.CIELAB, PHOTO.ICCLAB, PHOTO.ITULAB})
"""Inks and the like, which Pillow alone turns into red, green and blue."""

RAW = frozenset({1, 5, 8, 32946, 32773, 34925, 50000})
"""Compressions that know nothing of colours: decoders of the others turn YCbCr into red, green and blue."""


@dataclass(frozen=True, slots=True)
class Plane:
    """Where one image of a file lies: pages of a series, one after the other its channels if there are several."""

    series: tifffile.TiffPageSeries
    pages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OpenTiff:
    """An open file with the images in it, in order, and the sizes of pixels that OME says for its series."""

    file: tifffile.TiffFile
    planes: tuple[Plane, ...]
    ome_sizes: tuple[PixelSize | None, ...]


@contextmanager
def open_tiff(path: Path, *, name: str) -> Iterator[OpenTiff]:
    """The images of a file. Raises ImportRefused, or one of the decoders' errors: it holds none, or is damaged."""
    with tifffile.TiffFile(path, _multifile=False) as file:  # which would open files that this one names
        planes = list(_planes(file, name=name))
        if not planes:
            raise ValueError("it has no page")
        if all(plane.series.kind == "generic" for plane in planes):  # which puts pages of one kind together
            planes.sort(key=lambda plane: _own_page(plane).treeindex)
        yield OpenTiff(file, tuple(planes), ome_sizes(file))


def tiff_header(opened: OpenTiff, *, index: int, name: str) -> Header:
    """What the file says about one of its images, without decoding it; smaller versions of them do not count.

    Raises:
        ImportRefused: its values or colours are of no kind that is known.
        ValueError or another of the decoders' errors: the file is damaged.
    """
    plane = opened.planes[index]
    page = _own_page(plane)
    if page.dtype is None:
        raise ImportRefused(f"{name} holds values of {page.bitspersample} bits; save it with 8, 16 or 32 bits a value")
    _refuse_tiles(page)
    if _has_other_colours(page) and not _is_for_pillow(opened, plane):
        raise ImportRefused(
            f"{name} holds {page.dtype} values of {PHOTO(page.photometric).name} colours; save it as RGB"
        )
    orientation = _orientation(page)
    size = pixel_size(opened.file, page, ome=_ome_size(opened, plane))
    return Header(
        "tif",
        (page.imagelength, page.imagewidth),
        page.dtype,
        page.samplesperpixel * len(plane.pages),
        orientation=orientation,
        count=len(opened.planes),
        pixel_size=size.turned() if size is not None and orientation >= SIDEWAYS else size,
        stated=stated_range(page),
        is_window=is_windowed(page),
        nodata=_nodata(page),
    )


def tiff_pixels(opened: OpenTiff, path: Path, *, index: int, name: str) -> NDArray[Any]:
    """The upright pixels of one image of a file: (H, W) or (H, W, C).

    Raises:
        ImportRefused: it is compressed in a way that is not understood.
        ValueError, OSError or another of the decoders' errors: the file is damaged.
    """
    plane = opened.planes[index]
    page = _own_page(plane)
    _refuse_empty(page)
    if _is_for_pillow(opened, plane):
        return _pillow_pixels(path, index=page.index)
    layers = [_page_pixels(plane.series, page_index, name=name) for page_index in plane.pages]
    pixels = layers[0] if len(layers) == 1 else np.stack(layers, axis=-1)
    if page.photometric == PHOTO.PALETTE and page.colormap is not None:
        pixels = (page.colormap[:, pixels] >> 8).astype(np.uint8).transpose(1, 2, 0)
    if page.photometric == PHOTO.MINISWHITE:
        pixels = _turned_to_light(pixels, bits=int(page.bitspersample))
    return upright(as_numbers(pixels), orientation=_orientation(page))


def _nodata(page: tifffile.TiffPage) -> float | None:
    """The value of pixels about which nothing is known; None where the file says none, or one it cannot hold."""
    tag = page.tags.get(NODATA_TAG)
    if tag is None or page.dtype is None or page.photometric == PHOTO.PALETTE:
        return None
    try:
        value = float(str(tag.value).strip().strip("\0"))
    except ValueError:
        return None
    if page.dtype.kind == "f":
        value = float(page.dtype.type(value))
    elif page.dtype.kind not in "iu" or not math.isfinite(value) or value != round(value):
        return None
    if page.photometric == PHOTO.MINISWHITE:
        return float(_turned_to_light(np.array([value], page.dtype), bits=int(page.bitspersample))[0])
    return value


def opencv_pixels_16(path: Path) -> NDArray[np.uint16]:
    """The pixels of a 16-bit PNG by OpenCV: (H, W), (H, W, 3) or (H, W, 4), RGB order.

    Raises:
        ValueError: they cannot be decoded.
    """
    pixels: NDArray[Any] | None = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError("its pixels cannot be decoded")
    if pixels.ndim == 2:
        return pixels
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]  # OpenCV says blue, green, red


def simple(image: Image.Image) -> Image.Image:
    """The image as 8-bit grey or colour, with or without alpha. Raises ValueError: it is of no such kind."""
    if image.mode in ("1", "LA", "La"):
        return image.convert("L")
    if image.mode in ("RGBa", "PA") or (image.mode == "P" and "transparency" in image.info):
        return image.convert("RGBA")
    if image.mode in ("P", "CMYK", "YCbCr", "LAB", "RGBX"):
        return image.convert("RGB")
    if image.mode not in ("L", "RGB", "RGBA"):
        raise ValueError(f"its pixels are of the kind {image.mode}")
    return image


def _planes(file: tifffile.TiffFile, *, name: str) -> Iterator[Plane]:
    for series in file.series:
        page = series.keyframe
        if _is_beside(page) and len(file.series) > 1:
            continue
        if "Z" in page.axes:
            raise ImportRefused(f"{name} holds a volume in one page; save its slices as pages or files of their own")
        n_pages = series.size // max(1, page.size)
        refuse_count(n_pages, name=name)
        _check_declared_pages(series, n_pages)
        beside = _pages_beside(series, n_pages)
        yield from (Plane(series, pages) for pages in _images_of(series, n_pages) if beside.isdisjoint(pages))
        if series.kind in NESTED_KINDS:
            return


def _is_beside(page: tifffile.TiffPage) -> bool:
    """Whether a page is no image of its own: an overview of another page, or a mask of transparency."""
    old = page.tags.get(SUBFILE_TAG)
    return bool(page.subfiletype & (REDUCED | MASK)) or (old is not None and old.value == OLD_REDUCED)


def _pages_beside(series: tifffile.TiffPageSeries, n_pages: int) -> frozenset[int]:
    """Numbers of the pages of a series that are no images of their own.

    A mask of the same kind as its image lies in one series with it. Of a series of them alone, and of a very long one,
    all pages are images.
    """
    if not 1 < n_pages == len(series.pages) <= PAGES_READ_MOST or _is_beside(series.keyframe):
        return frozenset()
    pages = [None if page is None or page.is_virtual else page.aspage() for page in series.pages]
    return frozenset(index for index, page in enumerate(pages) if page is not None and _is_beside(page))


def _check_declared_pages(series: tifffile.TiffPageSeries, n_pages: int) -> None:
    """Refuse notes that speak of more pages than there are: they have directories, or follow each other in the file."""
    file, start = series.parent, series.dataoffset
    if n_pages <= len(series.pages):
        return
    if file is None or start is None or start + n_pages * series.keyframe.nbytes > file.filehandle.size:
        raise ValueError(f"it speaks of {n_pages} pages and has {len(series.pages)}")


def _images_of(series: tifffile.TiffPageSeries, n_pages: int) -> Iterator[tuple[int, ...]]:
    """Page numbers of every image of a series; pages along the axis C are the channels of one image."""
    n_outer = len(series.shape) - series.keyframe.ndim
    shape, axes = series.shape[: max(0, n_outer)], series.axes[: max(0, n_outer)]
    if "C" not in axes or int(np.prod(shape)) != n_pages or series.keyframe.samplesperpixel != 1:
        yield from ((index,) for index in range(n_pages))
        return
    numbers = np.moveaxis(np.arange(n_pages).reshape(shape), axes.index("C"), -1)
    for channels in numbers.reshape(-1, numbers.shape[-1]).tolist():
        yield tuple(channels)


def _page_pixels(series: tifffile.TiffPageSeries, index: int, *, name: str) -> NDArray[Any]:
    """One page, (H, W) or (H, W, C)."""
    key = series.keyframe
    if index >= len(series.pages):  # ImageJ writes one directory for pages that follow each other
        file, start = series.parent, series.dataoffset
        if file is None or start is None or key.dtype is None:
            raise ValueError(f"page {index + 1} is missing")
        file.filehandle.seek(start + index * key.nbytes)
        raw = file.filehandle.read(key.nbytes)
        if len(raw) < key.nbytes:
            raise ValueError("its last pages are missing")
        pixels = np.frombuffer(raw, key.dtype.newbyteorder(file.byteorder)).reshape(key.shape)
    else:
        page = series.pages[index]
        if page is None:
            raise ValueError(f"page {index + 1} is missing")
        _refuse_empty(page)
        check_expansion(page, key, name=name)
        pixels = page.asarray()
    return np.moveaxis(pixels, 0, -1) if key.axes.startswith("S") else pixels


def _refuse_empty(page: tifffile.TiffPage | tifffile.TiffFrame) -> None:
    if not any(page.dataoffsets) or not any(page.databytecounts):
        raise ValueError("it has no pixels")


def _own_page(plane: Plane) -> tifffile.TiffPage:
    """The first page of an image with its own notes; of pages that follow each other without notes, the first of all.

    Raises:
        ValueError: it is of another kind than the file says of all its pages.
    """
    series, index = plane.series, plane.pages[0]
    key = series.keyframe
    page = series.pages[index] if index < len(series.pages) else key
    if page is None:
        raise ValueError(f"page {index + 1} is missing")
    tiff_page = key if page.is_virtual else page.aspage()
    if (tiff_page.shape, tiff_page.dtype) != (key.shape, key.dtype):
        raise ValueError(f"it is {tiff_page.shape}, and its file says {key.shape} of all its pages")
    return tiff_page


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(ORIENTATION_TAG)
    return valid_orientation(None if tag is None else int(tag.value))


def _ome_size(opened: OpenTiff, plane: Plane) -> PixelSize | None:
    sizes = opened.ome_sizes
    if len(sizes) == len(opened.file.series):
        return sizes[opened.file.series.index(plane.series)]
    return sizes[0] if sizes else None


def _has_other_colours(page: tifffile.TiffPage) -> bool:
    return page.photometric in OTHER_COLOURS or (page.photometric == PHOTO.YCBCR and page.compression in RAW)


def _refuse_tiles(page: tifffile.TiffPage) -> None:
    """Refuse tiles that are far larger than the image they hold."""
    if not page.is_tiled or page.dtype is None:
        return
    n_bytes = page.tilewidth * page.tilelength * page.tiledepth * page.samplesperpixel * page.dtype.itemsize
    if n_bytes > max(TILE_BYTES_MOST, page.nbytes):
        raise ValueError(f"its tiles have {page.tilewidth} x {page.tilelength} pixels")


def _is_for_pillow(opened: OpenTiff, plane: Plane) -> bool:
    """Whether Pillow reads an image: colours it alone converts; and what it always read, alone in its file."""
    page = plane.series.keyframe
    if page.dtype not in (np.uint8, np.bool_) or page.samplesperpixel > 4 or (page.sampleformat or 1) != 1:
        return False
    if page.is_subifd or len(plane.pages) > 1 or _is_too_large_for_pillow(page):
        return False
    if _has_other_colours(page):
        return True
    if len(opened.planes) > 1:  # it would look for each page from the first one on
        return False
    if page.photometric in (PHOTO.YCBCR, PHOTO.PALETTE) or page.samplesperpixel in (1, 3):
        return True
    return len(page.extrasamples) == 1 and page.extrasamples[0] in (1, 2)  # alpha, not a channel of its own


def _is_too_large_for_pillow(page: tifffile.TiffPage) -> bool:
    """Whether Pillow would raise, for a limit of the whole process that no other of its readers asks for."""
    limit = Image.MAX_IMAGE_PIXELS
    return limit is not None and page.imagewidth * page.imagelength > 2 * limit


def _pillow_pixels(path: Path, *, index: int) -> NDArray[Any]:
    with TiffImagePlugin.TiffImageFile(path) as image:  # which turns TIFF, and only TIFF, by itself
        image.seek(index)
        image.load()
        return np.array(simple(image))


def _turned_to_light(pixels: NDArray[Any], *, bits: int) -> NDArray[Any]:
    if pixels.dtype == bool:
        return ~pixels
    if pixels.dtype.kind == "u":
        return np.asarray(pixels.dtype.type((1 << min(bits, 8 * pixels.dtype.itemsize)) - 1) - pixels)
    return -pixels
