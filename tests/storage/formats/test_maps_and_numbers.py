"""GeoJSON, SVG, TIFF, arrays, probabilities and tables."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import Affine

from fcnlab.core.images import measures
from fcnlab.core.images.regions import instance_regions
from fcnlab.errors import ExportFailed
from fcnlab.storage.formats.masks.array_files import (
    InstanceMasks,
    NumpyMasks,
    ProbabilityArrays,
    ProbabilityPngs,
    TiffMasks,
)
from fcnlab.storage.formats.shapes.geojson import GeoJson
from fcnlab.storage.formats.shapes.svg import Svg
from fcnlab.storage.formats.tables.measurements_csv import Measurements
from fcnlab.storage.formats.tables.points import COLUMNS, PointsJson, PointsTable
from tests.storage.formats.test_round_trips import filled_by_centres
from tests.support.writing_bench import CLASSES, HW, images, masks, write

SCALES = {
    "UTM": (32632, Affine(0.5, 0, 400_000, 0, -0.5, 5_500_000)),
    "degrees": (4326, Affine(1e-4, 0, 9, 0, -1e-4, 48)),
}


@pytest.fixture(params=sorted(SCALES))
def geotiff(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A picture of the size HW on the map."""
    code, transform = SCALES[request.param]
    path = tmp_path / "photo.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=HW[0],
        width=HW[1],
        count=3,
        dtype="uint8",
        crs=f"EPSG:{code}",
        transform=transform,
    ) as file:
        file.write(np.zeros((3, *HW), np.uint8))
    return path


def stem(name: str) -> str:
    return name.rpartition(".")[0]


def test_tiff_masks_keep_the_place_on_the_map(tmp_path: Path, geotiff: Path) -> None:
    write(lambda _: TiffMasks(), tmp_path / "out", list(images(instances=False, original=lambda: geotiff)))

    with rasterio.open(geotiff) as wanted:
        for name, mask in masks().items():
            if mask.shape != HW:
                continue
            with rasterio.open(tmp_path / "out" / "tiff" / f"{stem(name)}.tif") as file:
                assert file.crs == wanted.crs
                assert file.transform == wanted.transform
                assert np.array_equal(file.read(1), mask)


def test_shapes_on_the_map_cover_the_same_pixels(tmp_path: Path, geotiff: Path) -> None:
    write(GeoJson, tmp_path / "out", list(images(instances=True, original=lambda: geotiff)))

    with rasterio.open(geotiff) as file:
        transform, code = file.transform, file.crs.to_epsg()
    for name, mask in masks().items():
        content = json.loads((tmp_path / "out" / "geojson" / f"{stem(name)}.geojson").read_text("utf-8"))
        if mask.shape != HW:
            assert "crs" not in content
            continue
        assert ("crs" in content) == (code != 4326)
        shapes = [(one["geometry"], one["properties"]["class_id"]) for one in content["features"]]
        if shapes:
            assert np.array_equal(rasterize(shapes, out_shape=HW, transform=transform), mask)


@pytest.mark.parametrize("instances", [False, True])
def test_shapes_of_other_images_are_in_pixels(tmp_path: Path, instances: bool) -> None:
    write(GeoJson, tmp_path / "out", list(images(instances=instances, original=lambda: Path("photo.jpg"))))

    for name, mask in masks().items():
        content = json.loads((tmp_path / "out" / "geojson" / f"{stem(name)}.geojson").read_text("utf-8"))
        drawn = np.zeros(mask.shape, np.uint8)
        for one in content["features"]:
            geometry = one["geometry"]
            polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
            inside = filled_by_centres([ring[:-1] for rings in polygons for ring in rings], mask.shape)
            assert inside.sum() == one["properties"]["area_px"]
            drawn[inside] = one["properties"]["class_id"]
        assert np.array_equal(drawn, mask)


def test_a_turned_picture_and_one_of_another_size_have_no_place(tmp_path: Path, geotiff: Path) -> None:
    write(
        lambda _: TiffMasks(), tmp_path / "out", list(images(instances=False, original=lambda: geotiff, is_turned=True))
    )

    with (
        pytest.warns(rasterio.errors.NotGeoreferencedWarning),
        rasterio.open(tmp_path / "out" / "tiff" / "holes.tif") as file,
    ):
        assert file.crs is None


def test_svg_paths_fill_to_the_mask(tmp_path: Path) -> None:
    write(Svg, tmp_path / "out", list(images(instances=True)))

    for name, mask in masks().items():
        root = ElementTree.parse(tmp_path / "out" / "svg" / f"{stem(name)}.svg").getroot()
        assert root.get("viewBox") == f"0 0 {mask.shape[1]} {mask.shape[0]}"
        drawn = np.zeros(mask.shape, np.uint8)
        for group in root.iter("{http://www.w3.org/2000/svg}g"):
            class_id = int(str(group.get("id")).removeprefix("class-"))
            assert group.get("data-name") == next(label.name for label in CLASSES if label.id == class_id)
            for path in group:
                rings = re.findall(r"M([^Z]+)Z", str(path.get("d")))
                corners = [[[float(one) for one in pair.split(",")] for pair in ring.split()] for ring in rings]
                drawn[filled_by_centres(corners, mask.shape)] = class_id
        assert np.array_equal(drawn, mask)


def test_arrays_are_the_masks(tmp_path: Path) -> None:
    write(lambda _: NumpyMasks(), tmp_path / "out", list(images(instances=False)))

    for name, mask in masks().items():
        found = np.load(tmp_path / "out" / "numpy" / f"{stem(name)}.npy", allow_pickle=False)
        assert found.dtype == np.uint8
        assert np.array_equal(found, mask)


def test_instance_masks_number_the_parts(tmp_path: Path) -> None:
    write(lambda _: InstanceMasks(), tmp_path / "out", list(images(instances=True)))

    for name, mask in masks().items():
        with Image.open(tmp_path / "out" / "instances" / f"{stem(name)}.png") as image:
            numbers = np.array(image)
        regions = instance_regions(mask, background=0)
        assert np.array_equal(numbers > 0, mask > 0)
        assert [int((numbers == number).sum()) for number in range(1, len(regions) + 1)] == [
            one.area for one in regions
        ]


def probabilities() -> tuple[tuple[int, ...], NDArray[np.float32]]:
    first = np.random.default_rng(0).random((12, 19)).astype(np.float32)
    return (0, 4), np.stack([first, 1 - first])


def test_probabilities_come_at_full_size_and_sum_to_one(tmp_path: Path) -> None:
    written = [image for image in images(instances=False, probabilities=probabilities()) if image.hw == HW][:1]
    write(lambda _: ProbabilityPngs({0: "0_background", 1: "1_cell", 4: "4_core"}), tmp_path / "png", written)
    write(lambda _: ProbabilityArrays(), tmp_path / "npz", written)

    found = {}
    for path in (tmp_path / "png").rglob("*.png"):
        with Image.open(path) as image:
            found[path.parent.name] = np.array(image).astype(np.float64) / 65_535
    assert set(found) == {"0_background", "4_core"}
    assert found["4_core"].shape == HW
    assert np.allclose(found["0_background"] + found["4_core"], 1, atol=2e-5)
    with np.load(tmp_path / "npz" / "probabilities" / "holes.npz", allow_pickle=False) as arrays:
        assert arrays["class_ids"].tolist() == [0, 4]
        assert np.allclose(arrays["probabilities"][1], found["4_core"], atol=1e-3)


def test_without_a_model_there_are_no_probabilities(tmp_path: Path) -> None:
    with pytest.raises(ExportFailed, match=r"holes\.png"):
        write(lambda _: ProbabilityArrays(), tmp_path / "out", list(images(instances=False)))


def test_a_measurement_per_region(tmp_path: Path) -> None:
    mask = np.zeros(HW, np.uint8)
    mask[3:7, 10:20] = 1
    mask[12, 30] = 4
    grey = np.arange(mask.size, dtype=np.float64).reshape(HW)
    regions = instance_regions(mask, background=0)
    rows = measures.measures_of(regions, grey, pixel_hw=(0.5, 0.5), unit="µm")
    written = replace(next(iter(images(instances=True, measures=lambda: rows))), regions=regions)
    write(lambda subject: Measurements(subject, measures.COLUMNS), tmp_path / "out", [written])

    table = list(csv.DictReader(io.StringIO((tmp_path / "out" / "measurements.csv").read_text("utf-8"))))

    first, second = table
    assert [first[key] for key in ("image", "region", "class_id", "area_px")] == ["holes.png", "1", "1", "40"]
    assert [float(first[key]) for key in ("centroid_row", "centroid_col")] == [4.5, 14.5]
    assert [float(first[key]) for key in ("area", "perimeter", "perimeter_px")] == [10.0, 12.0, 24.0]
    assert first["unit"] == "µm"
    assert [row["class"] for row in table] == ["cell", 'nucléus <&> "core"']
    assert float(first["mean_intensity"]) == grey[3:7, 10:20].mean()
    assert 0.9 < float(first["eccentricity"]) < 1
    assert [second[key] for key in ("top", "left", "height", "width", "area_px")] == ["12", "30", "1", "1", "1"]


def test_unknown_pixels_and_oblong_ones_leave_units_out() -> None:
    (region,) = instance_regions(np.ones((2, 5), np.uint8), background=0)

    ((*_, area, perimeter, unit),) = measures.measures_of([region], np.zeros((2, 5)))
    ((*_, oblong_area, oblong_perimeter, _),) = measures.measures_of(
        [region], np.zeros((2, 5)), pixel_hw=(2.0, 3.0), unit="mm"
    )

    assert (area, perimeter, unit) == ("", "", "")
    assert (oblong_area, oblong_perimeter) == (60.0, "")


def test_points_leave_as_table_and_document(tmp_path: Path) -> None:
    row = ("holes.png", 3, 5, 1, "cell", "ann", "click", "2026-01-01T00:00:00+00:00")
    written = [next(iter(images(instances=False, points=[row])))]
    write(lambda _: PointsTable(), tmp_path / "csv", written)
    write(PointsJson, tmp_path / "json", written)

    text = (tmp_path / "csv" / "points.csv").read_text("utf-8")
    content = json.loads((tmp_path / "json" / "points.json").read_text("utf-8"))

    assert text == f"{','.join(COLUMNS)}\nholes.png,3,5,1,cell,ann,click,2026-01-01T00:00:00+00:00\n"
    assert [one["name"] for one in content["classes"]] == [label.name for label in CLASSES]
    (image,) = content["images"]
    assert (image["image"], image["height"], image["width"]) == ("holes.png", *HW)
    assert image["points"] == [dict(zip(COLUMNS[1:], row[1:], strict=True))]
