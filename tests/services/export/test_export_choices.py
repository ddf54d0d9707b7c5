"""Laws of exports that leave things out, and of splits."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image
from rasterio.features import rasterize
from rasterio.transform import Affine

from fcnlab.domain.export import ExportSpec, SplitSpec
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.export.formats import checked_spec
from fcnlab.services.images.importing import import_files
from tests.support.stored_bench import HW, StoredBench, blobs, files_in

NAMES = ["film/a.png", "film/b.png", "x/c.png", "y/d.png"]


@pytest.fixture
def bench(lab: Lab, tmp_path: Path) -> StoredBench:
    return StoredBench(lab, tmp_path / "out", NAMES)


def masks_in(folder: Path) -> dict[str, NDArray[np.uint8]]:
    found = {}
    for name, data in files_in(folder / "masks").items():
        with Image.open(io.BytesIO(data)) as image:
            found[name] = np.array(image)
    return found


def coco_of(folder: Path, name: str = "annotations") -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "coco" / f"{name}.json").read_text("utf-8"))
    return content


def test_only_done_images_and_only_those_with_points(bench: StoredBench) -> None:
    bench.reopen("y/d.png")
    bench.reopen("x/c.png")
    bench.click("x/c.png", (3, 4, 1))
    bench.keep("x/c.png", bench.masks["x/c.png"])

    done, _ = bench.export("done")
    clicked, _ = bench.export("clicked", with_points=True)

    assert set(masks_in(done)) == {"film/a.png", "film/b.png", "x/c.png"}
    assert set(masks_in(clicked)) == {"x/c.png"}


def test_nobody_clicked_is_explained(bench: StoredBench) -> None:
    with pytest.raises(ExportFailed, match="has points"):
        bench.export("clicked", with_points=True)

    assert not (bench.folder / "clicked").exists()


def test_other_classes_become_background_in_every_format(bench: StoredBench) -> None:
    folder, _ = bench.export("out", class_ids=(2,), formats=("index", "coco", "binary"))

    for name, mask in masks_in(folder).items():
        assert np.array_equal(mask, np.where(bench.masks[name] == 2, 2, 0))
    content = coco_of(folder)
    assert [one["name"] for one in content["categories"]] == ["rim"]
    assert {one["category_id"] for one in content["annotations"]} == {2}
    assert not list((folder / "binary").glob("object*"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["options"]["class_ids"] == [2]
    assert all(set(one["pixels_per_class"]) <= {"0", "2"} for one in manifest["images"])


def test_a_class_of_another_project_is_explained(bench: StoredBench) -> None:
    with pytest.raises(ExportFailed, match=r"no class 9; it has background \(0\), object \(1\), rim \(2\)"):
        bench.export("out", class_ids=(9,))


def test_small_parts_and_holes_are_gone_from_masks_and_shapes(bench: StoredBench) -> None:
    mask = np.zeros(HW, np.uint8)
    mask[2:12, 2:12] = 1
    mask[5:7, 5:7] = 0
    mask[20, 30] = 2
    bench.keep("x/c.png", mask)

    folder, _ = bench.export("out", instances=True, min_area=2, fill_holes=True)

    expected = np.zeros(HW, np.uint8)
    expected[2:12, 2:12] = 1
    assert np.array_equal(masks_in(folder)["x/c.png"], expected)
    content = coco_of(folder)
    image_id = next(one["id"] for one in content["images"] if one["file_name"] == "x/c.png")
    assert [one["area"] for one in content["annotations"] if one["image_id"] == image_id] == [100]


def test_instances_are_more_regions_of_the_same_pixels(bench: StoredBench) -> None:
    parts, _ = bench.export("parts", instances=True)
    classes, _ = bench.export("classes")

    areas = [sum(one["area"] for one in coco_of(folder)["annotations"]) for folder in (parts, classes)]
    assert areas[0] == areas[1]
    assert len(coco_of(parts)["annotations"]) > len(coco_of(classes)["annotations"])


def test_a_split_keeps_folders_together_and_is_the_same_again(bench: StoredBench) -> None:
    split = SplitSpec((0.5, 0.25, 0.25), seed=1, by="folder")

    first, _ = bench.export("first", split=split)
    again, _ = bench.export("again", split=split)

    assert files_in(first) == files_in(again)
    parts = {name.partition("/")[2]: name.partition("/")[0] for name in masks_in(first)}
    assert set(parts) == set(NAMES)
    assert parts["film/a.png"] == parts["film/b.png"]
    assert set(parts.values()) == {"train", "val", "test"}
    manifest = json.loads((first / "manifest.json").read_text("utf-8"))
    assert {one["image"]: one["split"] for one in manifest["images"]} == parts
    for part in ("train", "val", "test"):
        listed = {one["file_name"] for one in coco_of(first, f"annotations_{part}")["images"]}
        assert listed == {name for name, own in parts.items() if own == part}


def test_images_that_look_alike_are_on_one_side(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support import stored_bench

    def ramp(seed: int) -> bytes:
        """Two of each look, with a little noise between them."""
        rows, cols = np.mgrid[: HW[0], : HW[1]]
        looks = (rows * 5, cols * 3, (rows + cols) * 2)
        pixels = looks[seed // 2][..., None] + np.random.default_rng(seed).integers(0, 9, (*HW, 3))
        buffer = io.BytesIO()
        Image.fromarray(pixels.astype(np.uint8)).save(buffer, format="PNG")
        return buffer.getvalue()

    monkeypatch.setattr(stored_bench, "picture", ramp)
    bench = StoredBench(lab, tmp_path / "out", ["a1.png", "a2.png", "b1.png", "b2.png", "c1.png", "c2.png"])

    folder, last = bench.export("out", split=SplitSpec((0.4, 0.3, 0.3)))

    parts = {name.partition("/")[2]: name.partition("/")[0] for name in masks_in(folder)}
    assert all(parts[f"{look}1.png"] == parts[f"{look}2.png"] for look in "abc")
    assert set(parts.values()) == {"train", "val", "test"}
    assert last.phase == "finished"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"formats": ()}, "a format"),
        ({"class_ids": ()}, "a class"),
        ({"min_area": -1}, "-1 pixels"),
        ({"border": 99}, "99 pixels"),
    ],
)
def test_impossible_wishes_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportFailed, match=words):
        ExportSpec(**options)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.2, 0.0), (1.0, 0.0)])
def test_impossible_shares_are_refused(shares: Any) -> None:
    with pytest.raises(ExportFailed, match="share"):
        SplitSpec(shares)


def test_images_go_along_beside_the_labels_of_yolo(bench: StoredBench) -> None:
    plain, _ = bench.export("plain", formats=("images",))
    yolo, _ = bench.export("yolo", formats=("images", "yolo"), split=SplitSpec(by="image"))

    for name in NAMES:
        with Image.open(plain / "images" / name) as image:
            assert image.size == HW[::-1]
    found = set(files_in(yolo / "yolo"))
    images = {name.removeprefix("images/").removesuffix(".png") for name in found if name.startswith("images/")}
    labels = {name.removeprefix("labels/").removesuffix(".txt") for name in found if name.startswith("labels/")}
    assert images == labels
    assert {name.partition("/")[0] for name in images} == {"train", "val", "test"}


def test_a_geotiff_keeps_its_place_and_its_scale(lab: Lab, tmp_path: Path) -> None:
    transform = Affine(0.5, 0, 400_000, 0, -0.5, 5_500_000)
    source = tmp_path / "field.tif"
    shape = {"height": HW[0], "width": HW[1], "count": 3, "dtype": "uint8"}
    with rasterio.open(source, "w", driver="GTiff", crs="EPSG:32632", transform=transform, **shape) as file:
        file.write(np.random.default_rng(0).integers(0, 255, (3, *HW)).astype(np.uint8))
    bench = StoredBench(lab, tmp_path / "out", [])
    (step,) = import_files(lab, [("field.tif", source)], project_id=bench.project.id)
    assert step.image_id is not None
    bench.images["field.tif"] = step.image_id
    bench.keep("field.tif", blobs(3))

    formats = ("tiff", "geojson", "measurements")
    folder, _ = bench.export("out", formats=formats, instances=True)

    with rasterio.open(folder / "tiff" / "field.tif") as file:
        assert file.crs.to_epsg() == 32632
        assert file.transform == transform
        assert np.array_equal(file.read(1), bench.masks["field.tif"])
    content = json.loads((folder / "geojson" / "field.geojson").read_text("utf-8"))
    shapes = [(one["geometry"], one["properties"]["class_id"]) for one in content["features"]]
    assert np.array_equal(rasterize(shapes, out_shape=HW, transform=transform), bench.masks["field.tif"])
    table = list(csv.DictReader(io.StringIO((folder / "measurements.csv").read_text("utf-8"))))
    assert sum(int(row["area_px"]) for row in table) == np.count_nonzero(bench.masks["field.tif"])
    assert all((row["unit"], float(row["area"])) == ("m", int(row["area_px"]) * 0.25) for row in table)


def test_instance_masks_ask_for_instances_by_themselves() -> None:
    assert checked_spec(ExportSpec(("coco", "instances"))).instances
    assert not checked_spec(ExportSpec(("coco",))).instances


def test_a_seed_is_never_negative() -> None:
    with pytest.raises(ExportFailed, match="-1"):
        SplitSpec(seed=-1)
