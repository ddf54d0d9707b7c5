"""The images of the demo projects as files, and their truth as label files: to follow a tutorial with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from fcnlab.core.simulation.scene import Scene
from fcnlab.domain.counting import Task
from fcnlab.errors import ExportFailed
from fcnlab.services.projects.demos import DEMOS, Demo
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.masks.array_files import geotiff
from fcnlab.storage.formats.masks.index_masks import grey_png
from fcnlab.storage.formats.shapes.geojson import Georeference
from fcnlab.storage.formats.tables.table import csv_lines

MAP_CRS = "EPSG:32632"
"""UTM zone 32 north: drawn land lies on the map of central Europe, at a place that was made up."""

MAP_ORIGIN, METRES_PER_PIXEL, TILES_ABREAST = (503_000.0, 5_541_000.0), 0.5, 4
"""Easting and northing of the upper left corner; images are tiles of a map, side by side in rows."""


def write_demo_files(folder: Path) -> Iterator[tuple[Path, int]]:
    """Write images and labels of every demo; each folder that was written, with the number of its files.

    `cells` holds PNG files and `cells_labels` index masks of them, `counting` and `counting_labels` images and tables
    of centres, `land` and `land_labels` GeoTIFF files. A table of classes lies beside masks. The same command writes
    the same pixels.

    Raises:
        ExportFailed: the folder has files already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ExportFailed(f"{folder} has files already: name a folder that is new or empty")
    for demo in DEMOS:
        scenes = {f"{demo.key}_{number + 1:02d}": demo.draw(number) for number in range(demo.n_images)}
        places = [
            _place_on_map(number, scene.classes.shape) if demo.is_on_map else None
            for number, scene in enumerate(scenes.values())
        ]
        pairs = list(zip(scenes.items(), places, strict=True))
        images = dict(_image_file(name, scene, place) for (name, scene), place in pairs)
        labels = dict(_label_file(demo, name, scene, place) for (name, scene), place in pairs)
        if demo.task is Task.MASKS:
            labels["classes.csv"] = csv_lines([("id", "name"), *enumerate(demo.classes)])
        for where, files in ((folder / demo.key, images), (folder / f"{demo.key}_labels", labels)):
            for name, data in files.items():
                write_whole(where / name, data)
            yield where, len(files)


def _image_file(name: str, scene: Scene, place: Georeference | None) -> tuple[str, bytes]:
    """Name and content: a GeoTIFF of land, a PNG of what lies under a microscope."""
    if place is not None:
        return f"{name}.tif", geotiff(scene.rgb, place)
    buffer = io.BytesIO()
    Image.fromarray(scene.rgb).save(buffer, "PNG")
    return f"{name}.png", buffer.getvalue()


def _label_file(demo: Demo, name: str, scene: Scene, place: Georeference | None) -> tuple[str, bytes]:
    """Name and content of the truth: centres of objects, or class ids in the kind of file that the image is."""
    if demo.task is Task.COUNTS:
        centres = [(int(row), int(col), demo.classes[1]) for row, col in scene.centres]
        return f"{name}.csv", csv_lines([("row", "col", "class"), *centres])
    if place is not None:
        return f"{name}.tif", geotiff(scene.classes, place)
    return f"{name}.png", grey_png(scene.classes)


def _place_on_map(number: int, hw: tuple[int, ...]) -> Georeference:
    """Of the image of that number, a tile of the map."""
    from affine import Affine
    from rasterio.crs import CRS

    row, col = divmod(number, TILES_ABREAST)
    east = MAP_ORIGIN[0] + col * hw[1] * METRES_PER_PIXEL
    north = MAP_ORIGIN[1] - row * hw[0] * METRES_PER_PIXEL
    return Georeference(CRS.from_string(MAP_CRS), Affine(METRES_PER_PIXEL, 0, east, 0, -METRES_PER_PIXEL, north))
