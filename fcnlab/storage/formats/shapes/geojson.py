"""GeoJSON: a collection of shapes per image, on the map where the image is georeferenced."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import FcnlabError
from fcnlab.storage.formats.format import SHAPES, Format, Need
from fcnlab.storage.formats.writing import ExportedImage, PerImageWriter, Region, Subject, WholeFile

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
    """The georeference of the original; None when it has none, was turned, is gone, or has another size."""
    try:
        path = image.original()
    except FcnlabError:
        return None
    if image.is_turned or path.suffix.lower() not in SUFFIXES:
        return None
    return read_georeference(path, hw=image.hw)


def read_georeference(path: Path, *, hw: tuple[int, int]) -> Georeference | None:
    """The georeference of a file; None when it has none or another size."""
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


LONGITUDE_LATITUDE = 4326
"""The EPSG code that GeoJSON means when it says nothing."""


@dataclass(frozen=True, slots=True)
class GeoJson(PerImageWriter):
    """A feature per region, a polygon or several, each valid by the rules of simple features.

    Coordinates are those of the original's coordinate reference system, which the member `crs` names unless it is
    longitude and latitude; else x to the right and y down, in corners of pixels.
    """

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """The regions of the image as a GeoJSON file."""
        reference = georeference(image)
        content = {
            "type": "FeatureCollection",
            "name": image.name,
            **_named_crs(reference),
            "features": [self._feature(region, reference) for region in image.regions],
        }
        data = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        yield WholeFile(f"geojson/{image.place}.geojson", data.encode())

    def _feature(self, region: Region, reference: Georeference | None) -> dict[str, Any]:
        polygons = [
            [_positions(ring, reference) for ring in (piece.outer, *piece.holes)] for piece in region.simple_pieces
        ]
        geometry: dict[str, Any] = {"type": "MultiPolygon", "coordinates": polygons}
        if len(polygons) == 1:
            geometry = {"type": "Polygon", "coordinates": polygons[0]}
        about = {"class_id": region.class_id, "class": self.subject.name_of(region.class_id), "area_px": region.area}
        return {"type": "Feature", "properties": about, "geometry": geometry}


def _positions(ring: NDArray[np.int32], reference: Georeference | None) -> list[list[float]]:
    """x, y of the corners, the first again at the end; clockwise on the screen, so against the clock on a map."""
    xy = np.concatenate([ring, ring[:1]])[:, ::-1]
    if reference is None:
        return xy.tolist()  # type: ignore[no-any-return]
    a, b, c, d, e, f = tuple(reference.transform)[:6]
    cols, rows = xy.T.astype(np.float64)
    on_map = np.stack([a * cols + b * rows + c, d * cols + e * rows + f], axis=1)
    if a * e - b * d < 0:  # y points up there: turned over, the ring would run clockwise
        on_map = on_map[::-1]
    return on_map.tolist()  # type: ignore[no-any-return]


def _named_crs(reference: Georeference | None) -> dict[str, Any]:
    if reference is None or reference.crs is None:
        return {}
    code = reference.crs.to_epsg()
    if code == LONGITUDE_LATITUDE:
        return {}
    name = f"urn:ogc:def:crs:EPSG::{code}" if code else reference.crs.to_wkt()
    return {"crs": {"type": "name", "properties": {"name": name}}}


FORMATS = (
    Format(
        "geojson",
        "GeoJSON",
        "shapes, on the map for a GeoTIFF",
        SHAPES,
        290,
        needs=frozenset({Need.MASK, Need.REGIONS}),
        write=lambda options: GeoJson(options.subject),
    ),
)
