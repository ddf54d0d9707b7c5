"""Laws of converting: out of one format and into another, the mask stays."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from fcnlab.domain.export import ExportSpec
from fcnlab.errors import ExportFailed, ImportRefused
from fcnlab.services.export.formats import LABELS_ALONE, formats_from
from fcnlab.services.labels.converting import ConvertProgress, conversion
from fcnlab.services.labels.label_import import LabelRequest
from fcnlab.storage.formats.reading.detecting import detect
from fcnlab.storage.formats.reading.labelled import LabelledImage
from fcnlab.storage.formats.reading.values import ReadOptions
from tests.support.label_imports import BOX, labelme_file, masks_in

HW = (40, 70)
NAMES = ("background", "cell", "wall")


def mask_of(seed: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Blobs with holes and islands of one pixel."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[: HW[0], : HW[1]]
    mask = np.zeros(HW, np.uint8)
    mask[(rows - 15) ** 2 + (cols - 20) ** 2 < 130] = 1
    mask[(rows - 15) ** 2 + (cols - 20) ** 2 < 20] = 0
    mask[25:38, 30:66] = 2
    mask[rng.random(HW) < 0.02] = 1
    mask[0, 0], mask[-1, -1] = 2, 1
    return mask


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """Index masks with a table of classes, one of them in a folder."""
    folder = masks_in(tmp_path / "in", {"a": mask_of(0), "sub/b": mask_of(1)})
    colours = ("#0072b2", "#e69f00", "#009e73")
    rows = [f"{place},{name},{colour}" for place, (name, colour) in enumerate(zip(NAMES, colours, strict=True))]
    (folder / "classes.csv").write_text("\n".join(["id,name,colour", *rows]))
    return folder


def converted(path: Path, to: Path, *formats: str, **more: Any) -> list[ConvertProgress]:
    spec = ExportSpec(formats, instances=more.pop("instances", False))
    pictures = more.pop("pictures", None)
    with conversion(path, request=LabelRequest(**more), spec=spec, to=to, pictures=pictures) as found:
        return list(found.steps)


def read_back(folder: Path, **options: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Masks of class names by the stems of their images."""
    found = detect(folder)
    source = found.open(ReadOptions(**options))
    names = np.array([*(one.name.split("_")[-1] for one in source.classes), *[""] * (256 - len(source.classes))])
    masks = {}
    for one in source.images():
        assert isinstance(one, LabelledImage), one
        assert one.hw in (None, HW)
        assert one.mask is not None
        masks[Path(one.name).stem] = names[one.mask(HW)]
    return masks


READABLE = {
    "index": {},
    "colour": {"colours": dict(zip(("#0072b2", "#e69f00", "#009e73"), NAMES, strict=True))},
    "binary": {},
    "coco": {},
    "coco-rle": {},
    "yolo": {},
    "voc": {},
    "cityscapes": {},
    "labelme": {},
    "cvat": {},
    "labelstudio": {},
    "rootpainter": {},
}


@pytest.mark.parametrize("instances", [False, True])
@pytest.mark.parametrize("to", list(READABLE))
def test_what_is_written_is_read_as_the_same_mask(labels: Path, tmp_path: Path, to: str, instances: bool) -> None:
    steps = converted(labels, tmp_path / "out", to, instances=instances)

    assert [one.reason for one in steps] == ["", "", ""]
    found = read_back(tmp_path / "out", **READABLE[to])
    assert sorted(found) == ["a", "b"]
    for seed, name in enumerate(("a", "b")):
        assert np.array_equal(found[name], np.array(NAMES)[mask_of(seed)]), name


def test_masks_become_tiff_instances_and_shapes_in_pixels(labels: Path, tmp_path: Path) -> None:
    converted(labels, tmp_path / "out", "tiff", "geojson", "instances")

    for seed, name in enumerate(("a", "sub/b")):
        with Image.open(tmp_path / "out" / "tiff" / f"{name}.tif") as file:
            assert np.array_equal(np.asarray(file), mask_of(seed))
        shapes = json.loads((tmp_path / "out" / "geojson" / f"{name}.geojson").read_text("utf-8"))
        assert "crs" not in shapes
        assert sum(one["properties"]["area_px"] for one in shapes["features"]) == np.count_nonzero(mask_of(seed))
        with Image.open(tmp_path / "out" / "instances" / f"{name}.png") as file:
            assert np.array_equal(np.asarray(file) > 0, mask_of(seed) > 0)


def test_coco_files_are_those_that_pycocotools_reads(labels: Path, tmp_path: Path) -> None:
    converted(labels, tmp_path / "out", "coco")
    (file,) = (tmp_path / "out").rglob("*.json")
    peer = COCO(str(file))

    found = {one["file_name"]: one["id"] for one in peer.loadImgs(peer.getImgIds())}
    for seed, name in enumerate(("a", "sub/b")):
        for label in (1, 2):
            ids = peer.getAnnIds(imgIds=found[name], catIds=peer.getCatIds(catNms=[NAMES[label]]))
            mask = np.any([peer.annToMask(one) for one in peer.loadAnns(ids)], axis=0)
            assert np.array_equal(mask, mask_of(seed) == label)


def test_equal_labels_give_equal_bytes_and_an_archive_appears_whole(labels: Path, tmp_path: Path) -> None:
    formats = ("coco", "yolo", "voc")

    converted(labels, tmp_path / "one.zip", *formats)
    converted(labels, tmp_path / "two.zip", *formats)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").testzip() is None
    with (
        pytest.raises(ExportFailed, match="stopped"),
        conversion(labels, request=LabelRequest(), spec=ExportSpec(("coco",)), to=tmp_path / "three.zip") as found,
    ):
        next(found.steps)
    assert not (tmp_path / "three.zip").exists()


def test_sizes_come_from_the_images_where_labels_do_not_say_them(labels: Path, tmp_path: Path) -> None:
    converted(labels, tmp_path / "yolo", "yolo")
    for name in ("a", "sub/b"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", HW[::-1]).save(tmp_path / "photos" / f"{name}.jpg")

    with pytest.raises(ExportFailed, match="how large the image is"):
        converted(tmp_path / "yolo", tmp_path / "out.zip", "coco")
    steps = converted(tmp_path / "yolo", tmp_path / "coco", "coco", pictures=tmp_path / "photos")

    assert [one.name for one in steps] == ["a.jpg", "sub/b.jpg", ""]
    assert np.array_equal(read_back(tmp_path / "coco")["b"], np.array(NAMES)[mask_of(1)])
    assert not (tmp_path / "out.zip").exists()


def test_what_cannot_be_read_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    labelme_file(tmp_path / "in" / "a.json", "a.jpg", [("cell", BOX)])
    labelme_file(tmp_path / "in" / "b.json", "a.jpg", [("cell", BOX)])
    (tmp_path / "in" / "c.json").write_text('{"shapes": ')

    steps = converted(tmp_path / "in", tmp_path / "out", "cvat")

    assert [bool(one.reason) for one in steps] == [False, True, True, False]
    assert "\n" not in "".join(one.reason for one in steps)
    assert list(read_back(tmp_path / "out")) == ["a"]


def test_points_become_a_table(tmp_path: Path) -> None:
    labelme_file(tmp_path / "in" / "a.json", "a.jpg", [("cell", [[7.5, 3.5]])])
    text = (tmp_path / "in" / "a.json").read_text().replace('"polygon"', '"point"')
    (tmp_path / "in" / "a.json").write_text(text)

    converted(tmp_path / "in", tmp_path / "out", "points")

    found = detect(tmp_path / "out")
    assert found.format.name == "points"
    (image,) = found.open(ReadOptions()).images()
    assert isinstance(image, LabelledImage)
    assert [(one.row, one.col) for one in image.points] == [(3, 7)]
    with pytest.raises(ExportFailed, match=r"no labels could be converted; .*: it has points alone"):
        converted(tmp_path / "in", tmp_path / "masks", "index")


def test_images_whose_file_names_nobody_knows_are_pointed_out(labels: Path, tmp_path: Path) -> None:
    for name in ("a", "sub/b"):
        path = tmp_path / "photos" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", HW[::-1]).save(path)

    nameless = converted(labels, tmp_path / "coco", "coco")
    named = converted(labels, tmp_path / "named", "coco", pictures=tmp_path / "photos")
    no_names = converted(labels, tmp_path / "index", "index")

    assert [step.lacks_ending for step in nameless if step.name] == [True, True]
    assert not any(step.lacks_ending for step in [*named, *no_names])


def test_formats_that_need_pictures_are_refused(labels: Path, tmp_path: Path) -> None:
    for strange in sorted({each.name for each in formats_from()} - {each.name for each in formats_from(LABELS_ALONE)}):
        with pytest.raises(ExportFailed, match="labels alone"):
            converted(labels, tmp_path / "out", strange)
    with pytest.raises(ImportRefused):
        converted(tmp_path / "nowhere", tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()
