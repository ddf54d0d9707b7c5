"""Reading JPEG 2000 files."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.decoding import Header, as_numbers

BOXES = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
MAGIC = (BOXES, CODESTREAM)

LOOKED_AT = 1 << 20
"""Bytes at the start of a file among which its code stream begins."""


def jpeg2000_header(path: Path) -> Header:
    """What the code stream says (ISO 15444-1, A.5.1). Raises ValueError, struct.error: it is damaged."""
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    image_hw = codestream_size(start)
    found = start.find(CODESTREAM)
    (channels,) = struct.unpack_from(">H", start, found + 40)
    depth = start[found + 42]
    kind = "i" if depth & 0x80 else "u"
    width = 1 if (depth & 0x7F) < 8 else 2 if (depth & 0x7F) < 16 else 4
    return Header("jp2", image_hw, np.dtype(f"{kind}{width}"), channels)


def codestream_size(start: bytes) -> tuple[int, int]:
    """Height and width, by the start of a file or code stream. Raises ValueError, struct.error: it says none."""
    found = start.find(CODESTREAM)
    if found < 0:
        raise ValueError("its code stream is missing")
    right, bottom, left, top = struct.unpack_from(">4I", start, found + 8)
    return bottom - top, right - left


def jpeg2000_pixels(path: Path, header: Header) -> NDArray[Any]:
    """The pixels (H, W) or (H, W, C). Raises ValueError, RuntimeError: the file is damaged or incomplete."""
    import imagecodecs

    data = path.read_bytes()
    if b"\xff\xd9" not in data[-64:]:  # the decoder would make up what is missing
        raise ValueError("its end is missing")
    pixels = as_numbers(np.asarray(imagecodecs.jpeg2k_decode(data)))
    if pixels.shape[:2] != header.stored_hw:
        raise ValueError(f"its pixels are {pixels.shape}")
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
