"""Masks as PNG files, a folder per kind, and pictures under their masks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.storage.formats.format import MASKS, Format, Need
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, WholeFile

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


@dataclass(frozen=True, slots=True)
class Overlays(PerImageWriter):
    """The picture under its mask, to look at; `tinted` lays a mask over a picture."""

    tinted: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The picture of the image, tinted by its mask, as a JPEG file."""
        yield WholeFile(f"overlays/{image.place}.jpg", overlay_jpeg(self.tinted(image.picture(), image.mask)))


FORMATS = (
    Format(
        "overlay",
        "Overlay JPEG",
        "the image under its tinted mask",
        MASKS,
        190,
        needs=frozenset({Need.MASK, Need.PICTURE}),
        write=lambda options: Overlays(options.tint),
    ),
)
