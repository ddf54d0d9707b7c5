"""Class ids in colour."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain import ClassLabel

N_COLOURS = 256
UNKNOWN_RGB = (128, 128, 128)
TINT = 0.45
"""Share of the class colour in a tinted picture."""

DIMMED, MARK, MARKED = 0.55, (255, 64, 160), 0.75
"""Brightness of a picture in which places are marked, the colour of the mark, which no class starts with, its share."""


def rgb_of(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of a colour `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def palette_of(labels: Iterable[ClassLabel]) -> NDArray[np.uint8]:
    """(256, 3) uint8: the colour of every class id; grey where there is no class."""
    palette = np.full((N_COLOURS, 3), UNKNOWN_RGB, np.uint8)
    for label in labels:
        palette[label.id] = rgb_of(label.colour)
    return palette


def coloured(mask: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The (H, W, 3) uint8 picture of class ids (H, W) uint8 in the colours of a (256, 3) palette."""
    return np.asarray(palette[mask], np.uint8)


def tinted(
    rgb: NDArray[np.uint8], mask: NDArray[np.uint8], palette: NDArray[np.uint8], *, background: int | None
) -> NDArray[np.uint8]:
    """A picture (H, W, 3) uint8 under a veil in the colour of each class, with an outline; the background is bare.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) uint8 class ids.
        palette: (256, 3) uint8.
        background: class id that is left as it is; None: every class is tinted.
    """
    colours = coloured(mask, palette)
    result = cv2.addWeighted(rgb, 1 - TINT, colours, TINT, 0)
    bare = np.zeros(mask.shape, bool) if background is None else mask == background
    result[bare] = rgb[bare]
    outline = _outline(mask) & ~bare
    result[outline] = colours[outline]
    return np.asarray(result, np.uint8)


def marked(rgb: NDArray[np.uint8], places: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A dim grey picture (H, W, 3) uint8 where the pixels of `places` (H, W) stand out."""
    grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)
    result = np.repeat((grey * DIMMED)[..., None], 3, axis=2)
    result[places] = (1 - MARKED) * result[places] + MARKED * np.asarray(MARK, np.float32)
    return result.astype(np.uint8)


def _outline(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) bool: pixels with a neighbour of another class."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, cross) > 0)
