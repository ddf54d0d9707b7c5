"""The picture at the learner's resolution."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw, working_hw
from fcnlab.domain.project import LearnerSpec


def working_picture(rgb: NDArray[np.uint8], working_side: int) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 reduced by area averaging until its longer side is at most `working_side`."""
    return reduced_to(rgb, working_hw((rgb.shape[0], rgb.shape[1]), working_side))


def learner_picture(rgb: NDArray[np.uint8], spec: LearnerSpec) -> NDArray[np.uint8]:
    """The working picture of the instant learner, of a picture (H, W, 3) uint8 at full size."""
    return reduced_to(rgb, learner_hw((rgb.shape[0], rgb.shape[1]), spec))


def reduced_to(rgb: NDArray[np.uint8], hw: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 reduced to a size by area averaging."""
    height, width = hw
    if (height, width) == rgb.shape[:2]:
        return rgb
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8)
