"""What TIFF files say beside their pixels: sizes, values, and how large compressed parts become."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from fcnlab.domain.images import PixelSize, Stretch
from fcnlab.errors import ImportRefused, InvalidSetting
from fcnlab.storage.image_readers.decoding import DAMAGE, DecodedImage
from fcnlab.storage.image_readers.jpeg2000 import codestream_size

SOFTWARE, SOFTWARE_WINDOW = "fcnlab", "fcnlab window"
"""Of the files that keep one page of a stack, the second where its range is a window."""

CENTIMETRE = 3
SMALLEST, LARGEST = (340, 280), (341, 281)
"""Tags of the smallest and largest value: SMinSampleValue or MinSampleValue, and their counterparts."""

UNITS = {"micron": "µm", "um": "µm", "\\u00b5m": "µm", "μm": "µm", "inch": "in", "meter": "m", "metre": "m"}
GEO_UNITS = {9001: "m", 9002: "ft", 9003: "ft", 9036: "km", 9102: "degree"}
PER_CENTIMETRE = {"nm": 1e7, "µm": 1e4, "mm": 10.0, "cm": 1.0, "m": 0.01}


def pixel_size(file: tifffile.TiffFile, page: tifffile.TiffPage, *, ome: PixelSize | None = None) -> PixelSize | None:
    """The size of a stored pixel: from OME, ImageJ or GeoTIFF notes, or a resolution per centimetre; else None.

    A resolution per inch says how large to print, and is passed over. `ome` is what `ome_sizes` found.
    """
    if ome is not None:
        return ome
    try:
        for size in (_imagej(file, page), _geo(page), _centimetres(page)):
            if size is not None:
                return PixelSize(*size)
    except (*DAMAGE, InvalidSetting):  # a picture is worth more than its notes
        return None
    return None


def ome_sizes(file: tifffile.TiffFile) -> tuple[PixelSize | None, ...]:
    """Sizes of pixels from OME notes, in the order of its images; empty: there are no such notes."""
    if not file.is_ome or not file.ome_metadata:
        return ()
    from defusedxml.ElementTree import fromstring

    try:
        elements = [element for element in fromstring(file.ome_metadata).iter() if element.tag.endswith("}Pixels")]
        return tuple(_ome_size(element.attrib) for element in elements)
    except DAMAGE:  # as above
        return ()


def stated_range(page: tifffile.TiffPage) -> Stretch | None:
    """The range that a file of real numbers says its values have; of other numbers only where we wrote it."""
    if page.dtype is None or not (page.dtype.kind == "f" or is_ours(page)):
        return None
    try:
        low, high = (min(_numbers(page, SMALLEST)), max(_numbers(page, LARGEST)))
    except DAMAGE:
        return None
    return Stretch(low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None


def is_ours(page: tifffile.TiffPage) -> bool:
    """Whether `write_page` wrote the file."""
    return str(page.software) in (SOFTWARE, SOFTWARE_WINDOW)


def is_windowed(page: tifffile.TiffPage) -> bool:
    """Whether `write_page` wrote the file, and its range is a window."""
    return str(page.software) == SOFTWARE_WINDOW


def write_page(path: Path, page: DecodedImage) -> None:
    """Write one image of a stack as an uncompressed TIFF: same pixels, same bytes.

    A pixel size is kept where its unit is a length, and so are the stated range and the value of unknown pixels.
    """
    pixels, size, stated = page.pixels, page.pixel_size, page.stated
    is_colour = page.channels in (3, 4) and pixels.dtype in (np.uint8, np.uint16)
    options: dict[str, Any] = {}
    if page.channels > 1:
        options["planarconfig"] = "contig"
    if is_colour and page.channels == 4:
        options["extrasamples"] = ("unspecified",)
    if size is not None and size.unit in PER_CENTIMETRE:
        each = PER_CENTIMETRE[size.unit]
        options |= {"resolution": (each / size.width, each / size.height), "resolutionunit": "CENTIMETER"}
    if stated is not None:
        ends, count = ((SMALLEST[0], stated.low), (LARGEST[0], stated.high)), page.channels
        options["extratags"] = [(tag, "d", count, (float(value),) * count, True) for tag, value in ends]
    if page.nodata is not None:
        options.setdefault("extratags", []).append((42113, "s", 0, f"{page.nodata!r}", True))
    photometric, software = "rgb" if is_colour else "minisblack", SOFTWARE_WINDOW if page.is_window else SOFTWARE
    tifffile.imwrite(path, pixels, photometric=photometric, metadata=None, software=software, **options)


def _ome_size(notes: Mapping[str, str]) -> PixelSize | None:
    width, height = notes.get("PhysicalSizeX"), notes.get("PhysicalSizeY")
    if width is None:
        return None
    try:
        return PixelSize(float(width), float(height or width), _unit(notes.get("PhysicalSizeXUnit", "µm")))
    except (ValueError, InvalidSetting):  # as above
        return None


def _imagej(file: tifffile.TiffFile, page: tifffile.TiffPage) -> tuple[float, float, str] | None:
    unit = (file.imagej_metadata or {}).get("unit") if file.is_imagej else None
    if not unit or unit in ("pixel", "pixels"):
        return None
    across, down = _resolution(page)
    return 1 / across, 1 / down, _unit(str(unit))


def _geo(page: tifffile.TiffPage) -> tuple[float, float, str] | None:
    notes = page.geotiff_tags or {}
    scale = notes.get("ModelPixelScale")
    if scale is None:
        transformation = notes.get("ModelTransformation")
        if transformation is None:
            return None
        matrix = np.asarray(transformation, float).reshape(4, 4)
        scale = np.hypot(matrix[0, :2], matrix[1, :2]).tolist()
    is_geographic = int(notes.get("GTModelTypeGeoKey", 1)) == 2
    unit = notes.get("GeogAngularUnitsGeoKey", 9102) if is_geographic else notes.get("ProjLinearUnitsGeoKey", 9001)
    return float(scale[0]), float(scale[1]), GEO_UNITS.get(int(unit), "unit")


def _centimetres(page: tifffile.TiffPage) -> tuple[float, float, str] | None:
    unit = page.tags.get("ResolutionUnit")
    if unit is None or int(unit.value) != CENTIMETRE:
        return None
    across, down = _resolution(page)
    return (1e4 / across, 1e4 / down, "µm") if across > 100 else (10 / across, 10 / down, "mm")


def _resolution(page: tifffile.TiffPage) -> tuple[float, float]:
    across, down = (page.tags[name].value for name in ("XResolution", "YResolution"))
    return across[0] / across[1], down[0] / down[1]


def _numbers(page: tifffile.TiffPage, codes: tuple[int, ...]) -> list[float]:
    for code in codes:
        tag = page.tags.get(code)
        if tag is not None:
            return [float(value) for value in np.atleast_1d(tag.value)]
    return []


def _unit(name: str) -> str:
    return UNITS.get(name, name)[:20]


BOUNDED = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
"""Compressions whose decoders stop at the size of a part: none, CCITT, LZW, deflate, PackBits, LZMA, Zstandard."""

JPEG, JPEG_2000 = 7, frozenset({33003, 33004, 33005, 34712})

FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG that begin a frame, and say its size."""

ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG that no length follows."""

SCANNED_BYTES = 1 << 16
"""Bytes at the start of a part among which its size is said."""


def check_expansion(page: tifffile.TiffPage | tifffile.TiffFrame, key: tifffile.TiffPage, *, name: str) -> None:
    """Refuse a page with parts that would become larger than the page says, or that nobody can tell of.

    Args:
        page: where its parts lie.
        key: what it has in common with the other pages of its series.
        name: what the user calls the file, for messages.

    Raises:
        ImportRefused: it is compressed in a way that is not understood.
        ValueError: a part is too large.
    """
    kind = int(key.compression)
    if kind in BOUNDED:
        return
    if kind != JPEG and kind not in JPEG_2000:
        method = getattr(key.compression, "name", kind)
        raise ImportRefused(f"{name} is compressed by {method}, which is unknown here; save it with LZW or deflate")
    width, height = (key.tilewidth, key.tilelength) if key.is_tiled else (key.imagewidth, key.rowsperstrip)
    height = min(height, key.tilelength if key.is_tiled else key.imagelength)
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if not count:
            continue
        file.seek(offset)
        start = file.read(min(count, SCANNED_BYTES))
        size = _frame_size(start) if kind == JPEG else codestream_size(start)
        if size[0] * size[1] > max(1, height) * width * 2:
            raise ValueError(f"a part of it claims {size[1]} x {size[0]} pixels")


def _frame_size(data: bytes) -> tuple[int, int]:
    """Height and width that a JPEG stream says. Raises ValueError, IndexError, struct.error: it says none."""
    offset = 2
    while True:
        if data[offset] != 0xFF:
            raise ValueError("a part of it is no JPEG")
        marker = data[offset + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, offset + 5)
            return height, width
        if marker == 0xFF:
            offset += 1
        elif marker in ALONE:
            offset += 2
        else:
            offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
