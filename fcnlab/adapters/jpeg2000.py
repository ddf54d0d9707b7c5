"""Reading JPEG 2000 files."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fcnlab.adapters.decoding import Header, as_numbers

BOXES = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
MAGIC = (BOXES, CODESTREAM)

TO_THE_END, LONG = 0, 1
"""Lengths of boxes: one that ends with the file, one whose length follows in eight bytes (ISO 15444-1, I.4)."""

BOXES_MOST = 1000

HEAD_BYTES = 43
"""Of a code stream: what it says of its size and of its first channel."""


def jpeg2000_header(path: Path) -> Header:
    """What the code stream says (ISO 15444-1, A.5.1). Raises ValueError, struct.error: it is damaged."""
    with path.open("rb") as file:
        start = _codestream(file)
    (channels,) = struct.unpack_from(">H", start, 40)
    depth = start[42]
    kind = "i" if depth & 0x80 else "u"
    width = 1 if (depth & 0x7F) < 8 else 2 if (depth & 0x7F) < 16 else 4
    return Header("jp2", _size(start), np.dtype(f"{kind}{width}"), channels)


def codestream_size(data: bytes) -> tuple[int, int]:
    """Height and width, by the start of a file or code stream. Raises ValueError, struct.error: it says none."""
    return _size(_codestream(io.BytesIO(data)))


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


def _codestream(file: BinaryIO) -> bytes:
    """The start of the code stream that decoders take, the first one; other boxes may hold anything."""
    start = file.read(HEAD_BYTES)
    if not start.startswith(CODESTREAM):
        file.seek(_place_in_boxes(file))
        start = file.read(HEAD_BYTES)
    if not start.startswith(CODESTREAM):
        raise ValueError("its code stream is missing")
    return start


def _size(start: bytes) -> tuple[int, int]:
    right, bottom, left, top = struct.unpack_from(">4I", start, 8)
    return bottom - top, right - left


def _place_in_boxes(file: BinaryIO) -> int:
    place = 0
    for _ in range(BOXES_MOST):
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        n_head = 8
        if length == LONG:
            (length,) = struct.unpack(">Q", file.read(8))
            n_head = 16
        if kind == b"jp2c":
            return place + n_head
        if length == TO_THE_END or length < n_head:
            break
        place += length
    raise ValueError("its code stream is missing")
