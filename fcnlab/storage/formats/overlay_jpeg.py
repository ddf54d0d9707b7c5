"""Pictures under a tinted mask, to look at."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

QUALITY = 92
MAX_SIDE = 65_500
"""JPEG ends here; larger pictures are made smaller."""


def overlay_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """JPEG bytes of a picture (H, W, 3) uint8, with full colour resolution."""
    longest = max(rgb.shape[:2])
    if longest > MAX_SIDE:
        height, width = (max(1, side * MAX_SIDE // longest) for side in rgb.shape[:2])
        rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()
