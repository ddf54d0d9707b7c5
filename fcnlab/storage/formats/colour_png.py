"""Masks as true-colour PNG."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def colour_png(rgb: NDArray[np.uint8]) -> bytes:
    """PNG bytes of a picture (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()
