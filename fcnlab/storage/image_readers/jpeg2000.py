"""Reading JPEG 2000 files."""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fcnlab.storage.image_readers.decoding import Header, as_numbers

BOXES = b"\0\0\0\x0cjP  \r\n\x87\n"
CODESTREAM = b"\xff\x4f\xff\x51"
MAGIC = (BOXES, CODESTREAM)

LONG = 1
"""The length of a box whose length follows in eight bytes."""

BOXES_MOST = 1000

HEAD_BYTES = 43
"""Of a code stream: what it says of its size and of its first channel."""


def jpeg2000_header(path: Path) -> Header:
    """What the code stream says (ISO 15444-1, A.5.1). Raises ValueError, struct.error: it is damaged."""
    with path.open("rb") as file:
        start, columns = _codestream(file)
    (channels,) = struct.unpack_from(">H", start, 40)
    depth = start[42]
    kind = "i" if depth & 0x80 else "u"
    width = 1 if (depth & 0x7F) < 8 else 2 if (depth & 0x7F) < 16 else 4
    return Header("jp2", _size(start), np.dtype(f"{kind}{width}"), max(channels, columns))


def codestream_size(data: bytes) -> tuple[int, int]:
    """Height and width, by the start of a file or code stream. Raises ValueError, struct.error: it says none."""
    start, _ = _codestream(io.BytesIO(data))
    return _size(start)


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


def _codestream(file: BinaryIO) -> tuple[bytes, int]:
    """The start of the code stream that decoders take, and the columns of a palette they make channels of, or 0."""
    start, columns = file.read(HEAD_BYTES), 0
    if not start.startswith(CODESTREAM):
        for kind, offset, end in _boxes(file, 0):
            if kind == b"jp2h":
                columns = max(columns, _palette_columns(file, offset, end))
            if kind == b"jp2c":  # the first one; other boxes may hold anything
                file.seek(offset)
                start = file.read(HEAD_BYTES)
                break
    if not start.startswith(CODESTREAM):
        raise ValueError("its code stream is missing")
    return start, columns


def _size(start: bytes) -> tuple[int, int]:
    right, bottom, left, top = struct.unpack_from(">4I", start, 8)
    return bottom - top, right - left


def _palette_columns(file: BinaryIO, start: int, end: int) -> int:
    """Number of columns of the palette in a header box (ISO 15444-1, I.5.3.4); 0 without one."""
    for kind, offset, _ in _boxes(file, start, end):
        if kind == b"pclr":
            file.seek(offset + 2)
            return file.read(1)[0]
    return 0


def _boxes(file: BinaryIO, start: int, end: float = math.inf) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of boxes that follow each other (ISO 15444-1, I.4)."""
    for _ in range(BOXES_MOST):
        if start >= end:
            return
        file.seek(start)
        length, kind = struct.unpack(">I4s", file.read(8))
        n_head = 8
        if length == LONG:
            (length,) = struct.unpack(">Q", file.read(8))
            n_head = 16
        yield kind, start + n_head, start + length
        if length < n_head:  # to the end of the file, or nowhere
            return
        start += length
