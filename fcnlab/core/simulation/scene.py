"""A drawn picture with its ground truth, and the noises that simulators share."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture and what is in it.

    Attributes:
        rgb: (H, W, 3) uint8.
        classes: (H, W) uint8, the class of every pixel, counted in the names of its simulator.
        instances: (H, W) uint16, 0 where no object is, else the number of the object from 1.
        centres: (N, 2) int64, row and column of the middle pixel of every object, by its number.
    """

    rgb: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    instances: NDArray[np.uint16]
    centres: NDArray[np.int64]


def smooth_noise(
    rng: np.random.Generator, hw: tuple[int, int], *, size: float, octaves: int = 1
) -> NDArray[np.float32]:
    """(H, W) float32 of mean 0 and standard deviation 1: white noise blurred to spots of about `size` pixels.

    Args:
        rng: decides it.
        hw: height and width.
        size: of the largest spots, in pixels.
        octaves: how many noises of halved size and halved weight are added up (value noise, Perlin 1985).
    """
    total = np.zeros(hw, np.float32)
    for octave in range(octaves):
        cell = max(size / 2**octave, 1.0)
        grid = (max(2, round(hw[0] / cell) + 2), max(2, round(hw[1] / cell) + 2))
        coarse = rng.standard_normal(grid, np.float32)
        total += cv2.resize(coarse, hw[::-1], interpolation=cv2.INTER_CUBIC) / 2**octave
    return np.asarray((total - total.mean()) / max(float(total.std()), 1e-6), np.float32)


def blurred(values: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Values (H, W) or (H, W, C) under a Gaussian point-spread function of so many pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma), np.float32) if sigma > 0 else values


def to_uint8(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Values of 0 to 255, rounded and clipped."""
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
