"""Judging the compressed parts of a TIFF page before they are decoded: some say themselves how large they become."""

from __future__ import annotations

import struct

import tifffile

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.jpeg2000 import codestream_size

BOUNDED = frozenset({1, 2, 3, 4, 5, 8, 32773, 32946, 34925, 50000})
"""Compressions whose decoders stop at the size of a part: none, CCITT, LZW, deflate, PackBits, LZMA, Zstandard."""

JPEG, JPEG_2000 = 7, frozenset({33003, 33004, 33005, 34712})

FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG that begin a frame, and say its size."""

ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of JPEG that no length follows."""

LOOKED_AT = 1 << 16
"""Bytes at the start of a part among which its size is said."""


def refuse_swollen(page: tifffile.TiffPage | tifffile.TiffFrame, key: tifffile.TiffPage, *, name: str) -> None:
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
        start = file.read(min(count, LOOKED_AT))
        size = _frame_size(start) if kind == JPEG else codestream_size(start)
        if size[0] * size[1] > max(1, height) * width * 2:
            raise ValueError(f"a part of it claims {size[1]} x {size[0]} pixels")


def _frame_size(data: bytes) -> tuple[int, int]:
    """Height and width that a JPEG stream says. Raises ValueError, IndexError, struct.error: it says none."""
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("a part of it is no JPEG")
        marker = data[place + 1]
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            return height, width
        if marker == 0xFF:
            place += 1
        elif marker in ALONE:
            place += 2
        else:
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
