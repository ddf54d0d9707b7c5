"""Masks as PNG files, a folder per kind, and pictures under their masks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fcnlab.storage.formats.format import Assembly, ExportedImage, Subject, WholeFile
from fcnlab.storage.formats.masks.binary_masks import binary_png
from fcnlab.storage.formats.masks.colour_masks import colour_png
from fcnlab.storage.formats.masks.index_masks import index_png

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
class IndexMasks:
    """Pixel value = class id, with the class colours as palette."""

    subject: Subject
    folder: str = "masks/"

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One PNG."""
        yield WholeFile(f"{self.folder}{image.place}.png", index_png(image.mask, self.subject.palette()))

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class ColourMasks:
    """True colour: every pixel in the colour of its class."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One PNG."""
        yield WholeFile(f"colour/{image.place}.png", colour_png(self.subject.palette()[image.mask]))

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class BinaryMasks:
    """White where a class is, black elsewhere; `folders` are those of the classes by their ids."""

    folders: dict[int, str]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One PNG per class."""
        for class_id, folder in self.folders.items():
            yield WholeFile(f"binary/{folder}/{image.place}.png", binary_png(image.mask == class_id))

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())


@dataclass(frozen=True, slots=True)
class Overlays:
    """The picture under its mask, to look at; `tinted` lays a mask over a picture."""

    tinted: Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One JPEG."""
        yield WholeFile(f"overlays/{image.place}.jpg", overlay_jpeg(self.tinted(image.picture(), image.mask)))

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())
