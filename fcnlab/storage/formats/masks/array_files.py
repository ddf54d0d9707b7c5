"""Masks and probabilities as numbers: TIFF, NumPy, 16-bit PNG."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.format import MASKS, Format, Need
from fcnlab.storage.formats.masks.index_masks import grey_png
from fcnlab.storage.formats.shapes.geojson import Georeference, georeference
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, WholeFile

MOST_16 = 65_535


@dataclass(frozen=True, slots=True)
class TiffMasks(PerImageWriter):
    """Pixel value = class id; a GeoTIFF with the georeference of the original where it has one."""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The mask of the image as a TIFF file."""
        reference = georeference(image)
        data = _plain_tiff(image.mask) if reference is None else geotiff(image.mask, reference)
        yield WholeFile(f"tiff/{image.place}.tif", data)


@dataclass(frozen=True, slots=True)
class NumpyMasks(PerImageWriter):
    """(H, W) uint8 of class ids, for numpy.load."""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The mask of the image as an NPY file."""
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(image.mask), allow_pickle=False)
        yield WholeFile(f"numpy/{image.place}.npy", buffer.getvalue())


@dataclass(frozen=True, slots=True)
class InstanceMasks(PerImageWriter):
    """16-bit PNG: pixel value = number of the region in its image, from 1, 0 elsewhere."""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The region numbers of the image as a PNG file. Raises ExportFailed: more than MOST_16 regions."""
        if len(image.regions) > MOST_16:
            raise ExportFailed(
                f"{image.name} has {len(image.regions)} regions, more than {MOST_16} numbers: leave out small ones"
            )
        numbers = np.zeros(image.hw, np.uint16)
        for number, region in enumerate(image.regions, start=1):
            box = np.s_[region.top : region.top + region.height, region.left : region.left + region.width]
            numbers[box][region.inside] = number
        yield WholeFile(f"instances/{image.place}.png", grey_png(numbers))


@dataclass(frozen=True, slots=True)
class ProbabilityPngs(PerImageWriter):
    """A 16-bit PNG per class: 65535 is certain. Those of one pixel sum to that, but for rounding.

    Args:
        folders: of the classes by their ids.
    """

    folders: dict[int, str]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """A PNG file of probabilities per class that the model knows and that is exported."""
        for class_id, probability in _at_full_size(image):
            if class_id in self.folders:
                values = np.rint(probability * MOST_16).astype(np.uint16)
                yield WholeFile(f"probabilities/{self.folders[class_id]}/{image.place}.png", grey_png(values))


@dataclass(frozen=True, slots=True)
class ProbabilityArrays(PerImageWriter):
    """`probabilities` (K, H, W) float16 and `class_ids` (K,), for numpy.load."""

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The probabilities of the image as an NPZ file."""
        probabilities = [(class_id, probability.astype(np.float16)) for class_id, probability in _at_full_size(image)]
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            class_ids=np.array([class_id for class_id, _ in probabilities], np.int64),
            probabilities=np.stack([probability for _, probability in probabilities]),
        )
        yield WholeFile(f"probabilities/{image.place}.npz", buffer.getvalue())


def _at_full_size(image: ExportedImage) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Class ids with their probabilities (H, W) float32, grown from the working picture by bilinear interpolation."""
    if image.probabilities is None:
        raise ExportFailed(f"nothing gives probabilities for {image.name}: click pixels of two classes, on any image")
    for class_id, small in zip(*image.probabilities, strict=True):
        grown = cv2.resize(small, image.hw[::-1], interpolation=cv2.INTER_LINEAR)
        yield class_id, np.clip(np.asarray(grown, np.float32), 0, 1)


def _plain_tiff(mask: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, mask, photometric="minisblack", compression="zlib", metadata=None)
    return buffer.getvalue()


def geotiff(values: NDArray[np.uint8], reference: Georeference) -> bytes:
    """A GeoTIFF of class ids (H, W), or of colours (H, W, 3)."""
    from rasterio.io import MemoryFile

    bands = values[None] if values.ndim == 2 else values.transpose(2, 0, 1)
    count, height, width = bands.shape
    with MemoryFile() as file:
        with file.open(
            driver="GTiff",
            height=height,
            width=width,
            count=count,
            dtype="uint8",
            crs=reference.crs,
            transform=reference.transform,
            compress="deflate",
            **({"photometric": "RGB"} if count == 3 else {}),
        ) as target:
            target.write(bands)
        data: bytes = file.read()
        return data


FORMATS = (
    Format(
        "instances",
        "Instance PNG",
        "16 bits, pixel value = number of the connected part",
        MASKS,
        140,
        needs=frozenset({Need.MASK, Need.PARTS}),
        write=lambda _: InstanceMasks(),
    ),
    Format(
        "tiff",
        "TIFF",
        "pixel value = class id; keeps the place of a GeoTIFF on the map",
        MASKS,
        150,
        write=lambda _: TiffMasks(),
        has_class_ids=True,
    ),
    Format(
        "numpy",
        "NumPy",
        "an array of class ids per image",
        MASKS,
        160,
        write=lambda _: NumpyMasks(),
        has_class_ids=True,
    ),
    Format(
        "probabilities",
        "Probability PNG",
        "16 bits, a file per class",
        MASKS,
        170,
        needs=frozenset({Need.PROBABILITIES}),
        write=lambda options: ProbabilityPngs(options.folders),
    ),
    Format(
        "probabilities-npz",
        "Probability NPZ",
        "NumPy arrays, all classes in one file",
        MASKS,
        180,
        needs=frozenset({Need.PROBABILITIES}),
        write=lambda _: ProbabilityArrays(),
    ),
)
