"""PNG bytes of masks, and back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

PNG_MAGIC, PNG_START, PNG_GREY = b"\x89PNG\r\n\x1a\n", 26, 0
"""How PNG files begin; their 25th byte says how many bits a value has, the 26th that they are grey."""


def mask_png(mask: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG of class ids (H, W) uint8; equal masks give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def read_mask(path: Path) -> NDArray[np.uint8] | None:
    """Class ids (H, W) uint8 of a mask file, as they are stored: places of a palette, grey of any number of bits.

    None when it is missing or damaged, or in colours.
    """
    try:
        with _opened(path) as file:
            values = as_stored(path, np.array(file))
    except (OSError, SyntaxError, ValueError):
        return None
    if values.ndim == 3 and (values[..., 0] == values[..., min(2, values.shape[2] - 1)]).all():
        values = values[..., 0]
    if values.ndim != 2 or values.max(initial=0) > 255:
        return None
    return values.astype(np.uint8)


def as_stored(path: Path, values: NDArray[Any]) -> NDArray[Any]:
    """The values of a picture as its file stores them, where Pillow gave `values`.

    Pillow brings grey PNG of 2 and 4 bits to the range of 8 bits: class 3 of a mask of 4 bits would be 51.
    """
    with path.open("rb") as file:
        start = file.read(PNG_START)
    if not start.startswith(PNG_MAGIC) or len(start) < PNG_START or start[PNG_START - 1] != PNG_GREY:
        return values
    bits = start[PNG_START - 2]
    return values // (255 // ((1 << bits) - 1)) if bits in (2, 4) else values


def mask_hw(path: Path) -> tuple[int, int] | None:
    """The size of a mask file without decoding it; None when it is missing or damaged from its first bytes on."""
    try:
        with _opened(path) as file:
            return file.height, file.width
    except (OSError, SyntaxError, ValueError):
        return None


def _opened(path: Path) -> Image.Image:
    """The file; PNG by its own reader, since Image.open refuses large images by a limit of the whole process."""
    return PngImagePlugin.PngImageFile(path) if path.suffix == ".png" else Image.open(path)
