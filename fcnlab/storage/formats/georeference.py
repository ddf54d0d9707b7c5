"""Where on the earth an image lies, as its file says."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnlab.errors import FcnlabError
from fcnlab.storage.formats.format import ExportedImage

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

SUFFIXES = (".tif", ".tiff", ".jp2")
"""Endings of files that may say it."""


@dataclass(frozen=True, slots=True, eq=False)
class Georeference:
    """The coordinate reference system, None when only the transform is known; pixel corner (col, row) -> (x, y)."""

    crs: CRS | None
    transform: Affine


def georeference(image: ExportedImage) -> Georeference | None:
    """Of the original; None when it has none, was turned, is gone, or has another size."""
    try:
        path = image.original()
    except FcnlabError:
        return None
    if image.is_turned or path.suffix.lower() not in SUFFIXES:
        return None
    return read_georeference(path, hw=image.hw)


def read_georeference(path: Path, *, hw: tuple[int, int]) -> Georeference | None:
    """Of a file; None when it has none or another size."""
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as file:
                if file.shape != hw or (file.crs is None and file.transform.is_identity):
                    return None
                return Georeference(file.crs, file.transform)
        except rasterio.errors.RasterioError:
            return None
