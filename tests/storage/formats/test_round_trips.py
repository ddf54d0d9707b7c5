"""What every format writes is read back as the same mask, by this project's own readers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from fcnlab.core.images.naming import class_folders, safe_part
from fcnlab.storage.formats.masks.array_files import TiffMasks
from fcnlab.storage.formats.masks.binary_masks import BinaryMasks, read_binary_masks
from fcnlab.storage.formats.masks.colour_masks import ColourMasks, read_colour_masks
from fcnlab.storage.formats.masks.index_masks import IndexMasks, read_index_masks
from fcnlab.storage.formats.masks.root_painter import RootPainter, read_root_painter
from fcnlab.storage.formats.reading.labelled import LabelSource
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.cityscapes import Cityscapes, read_cityscapes
from fcnlab.storage.formats.shapes.cvat import Cvat, read_cvat
from fcnlab.storage.formats.shapes.label_studio import LabelStudio, read_label_studio
from fcnlab.storage.formats.shapes.labelme import LabelMe, read_labelme
from fcnlab.storage.formats.shapes.voc import Voc, read_voc
from fcnlab.storage.formats.shapes.yolo import Yolo, read_yolo
from fcnlab.storage.formats.writing import FormatWriter, Subject
from tests.support.label_bench import named_mask, readable
from tests.support.writing_bench import CLASSES, NAMES, images, masks, no_original, write

ROUTES: dict[str, tuple[Callable[[Subject], FormatWriter], Callable[[Path, ReadOptions], LabelSource], str]] = {
    "index": (IndexMasks, read_index_masks, "masks"),
    "tiff": (lambda _: TiffMasks(), read_index_masks, "tiff"),
    "yolo": (Yolo, read_yolo, "yolo"),
    "labelme": (LabelMe, read_labelme, "labelme"),
    "cvat": (Cvat, read_cvat, "cvat/annotations.xml"),
    "voc": (Voc, read_voc, "voc"),
    "cityscapes": (Cityscapes, read_cityscapes, "cityscapes"),
    "label studio": (LabelStudio, read_label_studio, "label_studio/tasks.json"),
    "binary": (
        lambda subject: BinaryMasks(class_folders({label.id: label.name for label in subject.classes})),
        read_binary_masks,
        "binary",
    ),
    "colour": (ColourMasks, read_colour_masks, "colour"),
}
SAY_NOTHING_OF_EMPTY_IMAGES = {"cvat", "labelme"}
"""An image without shapes may be one that nobody looked at: it is left out when it is read."""

kinds = pytest.mark.parametrize("instances", [False, True], ids=["semantic", "instances"])


@kinds
@pytest.mark.parametrize("name", sorted(ROUTES))
def test_what_is_written_is_read_back(tmp_path: Path, name: str, instances: bool) -> None:
    make, read, place = ROUTES[name]
    written = list(images(instances=instances, is_turned=True, original=lambda: Path("photo.jpg")))
    write(make, tmp_path / "out", written)
    options = ReadOptions(
        names={label.id: label.name for label in CLASSES},
        colours={label.colour.lower(): label.name for label in CLASSES},
    )

    source = read(tmp_path / "out" / place, options)

    called = np.array([safe_part(one) for one in NAMES]) if name == "binary" else NAMES  # folders cannot say it all
    found = {one.rpartition("/")[2].partition(".")[0]: image for one, image in readable(source).items()}
    said = {file: mask for file, mask in masks().items() if mask.any() or name not in SAY_NOTHING_OF_EMPTY_IMAGES}
    assert set(found) == {Path(one).stem for one in said}
    for file, mask in said.items():
        assert np.array_equal(named_mask(source, found[Path(file).stem], mask.shape), called[mask]), file


@pytest.mark.parametrize("name", sorted(ROUTES))
def test_equal_images_give_equal_bytes(tmp_path: Path, name: str) -> None:
    folders = [
        write(
            ROUTES[name][0],
            tmp_path / one,
            list(images(instances=True, is_turned=True, original=lambda: Path("photo.jpg"))),
        )
        for one in "ab"
    ]

    first, second = (sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file()) for one in folders)
    assert first == second
    assert all((folders[0] / one).read_bytes() == (folders[1] / one).read_bytes() for one in first)


def test_each_class_has_its_annotations_in_root_painter(tmp_path: Path) -> None:
    write(
        lambda subject: RootPainter(subject, {1: "1_cell", 4: "4_core"}),
        tmp_path / "out",
        list(images(instances=False)),
    )

    for class_id, folder in ((1, "1_cell"), (4, "4_core")):
        source = read_root_painter(tmp_path / "out" / "root_painter" / folder / "annotations", ReadOptions())
        found = readable(source)
        assert set(found) == {one.rpartition(".")[0] for one in masks()}
        for name, mask in masks().items():
            expected = np.where(mask == class_id, "foreground", "background")
            assert np.array_equal(named_mask(source, found[name.rpartition(".")[0]], mask.shape), expected)


def test_a_single_class_needs_no_folder_of_its_own_in_root_painter(tmp_path: Path) -> None:
    write(lambda subject: RootPainter(subject, {1: "1_cell"}), tmp_path / "out", list(images(instances=False)))

    assert (tmp_path / "out" / "root_painter" / "annotations" / "train" / "holes.png").is_file()


def test_yolo_splits_as_its_data_file_says(tmp_path: Path) -> None:
    folder = write(Yolo, tmp_path / "out", list(images(instances=True, splits=("test", "train", "val")))) / "yolo"

    lines = (folder / "data.yaml").read_text("utf-8").splitlines()

    assert lines[:3] == ["test: images/test", "train: images/train", "val: images/val"]
    labels = {path.relative_to(folder / "labels").parts[0] for path in folder.rglob("*.txt")}
    assert labels == {"test", "train", "val"}
    assert lines[4] == '  0: "cell"'


def filled_by_centres(rings: list[list[list[float]]], hw: tuple[int, int]) -> NDArray[np.bool_]:
    """An independent filler: counts the edges left of each centre."""
    rows, cols = np.mgrid[: hw[0], : hw[1]] + 0.5
    inside = np.zeros(hw, np.bool_)
    for ring in rings:
        for (x0, y0), (x1, y1) in zip(ring, ring[1:] + ring[:1], strict=True):
            if y0 != y1:
                crosses = (np.minimum(y0, y1) <= rows) & (rows < np.maximum(y0, y1))
                inside ^= crosses & (x0 + (rows - y0) * (x1 - x0) / (y1 - y0) <= cols)
    return inside


def test_labelme_masks_are_laid_over_the_same_pixels_elsewhere(tmp_path: Path) -> None:
    folder = write(LabelMe, tmp_path / "out", list(images(instances=True))) / "labelme"

    for name, mask in masks().items():
        content = json.loads((folder / f"{name.rpartition('.')[0]}.json").read_text("utf-8"))
        laid = np.full(mask.shape, "background", "U40")
        for shape in content["shapes"]:
            assert shape["shape_type"] == "mask"
            (left, top), (right, bottom) = shape["points"]
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as picture:
                inside = np.array(picture) > 0
            assert inside.shape == (bottom - top + 1, right - left + 1)
            laid[top : bottom + 1, left : right + 1][inside] = shape["label"]
        assert np.array_equal(laid, NAMES[mask])
        assert content["imageData"] is None


def test_no_format_of_shapes_opens_the_picture_or_the_original(tmp_path: Path) -> None:
    for number, make in enumerate((Yolo, LabelMe, Cvat)):
        folder = write(make, tmp_path / str(number), list(images(instances=True, original=no_original)))

        assert any(one.is_file() for one in folder.rglob("*"))
