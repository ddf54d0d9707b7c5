"""Masks as palette PNG: the pixel value is the class id, the palette holds the class colours."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def index_png(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> bytes:
    """PNG bytes of class ids (H, W) uint8 with a (256, 3) uint8 palette; 8 bits a pixel, no alpha."""
    image = Image.fromarray(mask).convert("L")
    image.putpalette(palette.tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=6, bits=8)
    return buffer.getvalue()


def grey_png(values: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """PNG bytes of numbers (H, W), uint8 or uint16, without a palette."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
