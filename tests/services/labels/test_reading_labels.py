"""Laws of labels read as arrays."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fcnlab
from fcnlab.errors import ImportRefused
from tests.support.label_imports import BOX, HW, labelme_file


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    masks = {f"{name}.png": np.random.default_rng(seed).integers(0, 2, HW, np.uint8) for seed, name in enumerate("ab")}
    fcnlab.write_masks(list(masks), masks.values(), classes=["background", "cell"], to=tmp_path / "out.zip")

    with fcnlab.read_labels(tmp_path / "out.zip", rest="background") as labels:
        found = dict(labels.masks)

    assert labels.classes == ("background", "cell")
    assert list(found) == list(masks)
    assert all(np.array_equal(found[name], masks[name]) for name in masks)
    assert labels.left_out == []


def test_pixels_outside_all_shapes_are_unknown_unless_the_file_has_a_background(tmp_path: Path) -> None:
    labelme_file(tmp_path / "bare" / "a.json", "a.png", [("cell", BOX)])
    labelme_file(tmp_path / "said" / "a.json", "a.png", [("cell", BOX), ("_background_", [[1, 1], [3, 1], [3, 2]])])

    found = {}
    for name in ("bare", "said"):
        with fcnlab.read_labels(tmp_path / name) as labels:
            ((_, mask),) = labels.masks
            found[name] = np.array([*labels.classes, *[""] * 256])[mask]

    assert np.unique(found["bare"]).tolist() == ["", "cell"]
    assert np.unique(found["said"]).tolist() == ["_background_", "cell"]
    assert np.array_equal(found["bare"] == "cell", found["said"] == "cell")


def test_points_are_pixels_and_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    labelme_file(tmp_path / "in" / "a.json", "a.png", [("cell", [[7.5, 3.5]])])
    text = (tmp_path / "in" / "a.json").read_text().replace('"polygon"', '"point"')
    (tmp_path / "in" / "a.json").write_text(text)
    labelme_file(tmp_path / "in" / "b.json", "b.png", [("cell", BOX[:2])])
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        for path in sorted((tmp_path / "in").iterdir()):
            packed.write(path, path.name)

    with fcnlab.read_labels(tmp_path / "in.zip") as labels:
        ((name, mask),) = labels.masks

    assert name == "a.png"
    assert np.argwhere(mask != 255).tolist() == [[3, 7]]
    assert labels.classes[mask[3, 7]] == "cell"
    assert [one[0] for one in labels.left_out] == ["b"]


def test_no_labels_are_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused), fcnlab.read_labels(tmp_path):
        pass


@pytest.mark.parametrize("packed", [False, True])
def test_images_beside_labels_say_how_large_they_are(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "set"
    for part in ("images", "labels"):
        (folder / part / "train").mkdir(parents=True)
    Image.new("RGB", HW[::-1]).save(folder / "images" / "train" / "a.jpg")
    (folder / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.5 0.5")
    (folder / "data.yaml").write_text("names: [cell]")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, path.relative_to(folder).as_posix())

    with fcnlab.read_labels(tmp_path / "set.zip" if packed else folder) as labels:
        ((name, mask),) = labels.masks

    assert (name, mask.shape) == ("images/train/a.jpg", HW)
    assert (mask == labels.classes.index("cell")).mean() == pytest.approx(0.25, abs=0.02)
