"""The picture at the learner's resolution."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.coords import working_hw


def working_picture(rgb: NDArray[np.uint8], working_side: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 reduced by area averaging until its longer side is at most `working_side`."""
    height, width = working_hw((rgb.shape[0], rgb.shape[1]), working_side)
    if (height, width) == rgb.shape[:2]:
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
