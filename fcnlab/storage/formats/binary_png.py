"""One class as a black-and-white PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def binary_png(is_class: NDArray[np.bool_]) -> bytes:
    """PNG bytes of (H, W) bool: 8-bit grey, 255 where true, 0 elsewhere."""
    buffer = io.BytesIO()
    Image.fromarray(is_class.astype(np.uint8) * np.uint8(255)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
