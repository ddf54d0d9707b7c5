"""PNG bytes of masks, and back."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin


def mask_png(mask: NDArray[np.uint8]) -> bytes:
    """An 8-bit grey PNG of class ids (H, W) uint8; equal masks give equal bytes."""
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def read_mask(path: Path) -> NDArray[np.uint8] | None:
    """Class ids (H, W) uint8 of a mask file; None when it is missing or damaged."""
    try:
        with _opened(path) as file:
            return np.array(file.convert("L"), dtype=np.uint8)
    except (OSError, SyntaxError, ValueError):
        return None


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
