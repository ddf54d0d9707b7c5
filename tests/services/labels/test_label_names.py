"""Laws of which image of a project a label file means."""

from __future__ import annotations

import pytest

from fcnlab.errors import ImportRefused
from fcnlab.services.labels.label_names import ImageNames

HW = (20, 33)


def found(name: str, *images: str) -> str:
    return ImageNames((image, number, HW) for number, image in enumerate(images)).find(name).name


def test_labels_of_one_folder_are_not_for_an_image_of_another() -> None:
    with pytest.raises(ImportRefused, match=r"another folder \(cam2/0001.png\)"):
        found("cam1/0001.png", "cam2/0001.png")


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("0001.png", "cam2/0001.png"),
        ("cam1/0001.png", "0001.png"),
        ("masks/0001", "cam2/0001.png"),
        ("train/labels/0001", "cam2/images/0001.png"),
        ("train/0001.png", "val/0001.jpg"),
        ("set/CAM2/masks/0001.png", "cam2/0001.png"),
        ("cam2/left/0001.png", "cam2/0001.png"),
    ],
)
def test_folders_that_say_nothing_of_the_image_keep_no_labels_from_it(name: str, image: str) -> None:
    assert found(name, image) == image


def test_the_whole_path_wins() -> None:
    images = ("0001.png", "cam1/0001.png", "cam2/0001.png")

    assert [found(image, *images) for image in images] == list(images)


@pytest.mark.parametrize("name", ["a_mask.png", "a_seg", "masks/a_label.tif"])
def test_a_mask_next_to_its_image_may_say_so_in_its_name(name: str) -> None:
    assert found(name, "a.jpg", "b.jpg") == "a.jpg"
    assert found(name, "a.jpg", f"{name.rpartition('/')[2].partition('.')[0]}.jpg") != "a.jpg"


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("1a2b3c4d-plate.png", "plate.png"),
        ("plate.png", "1a2b3c4d-plate.png"),
        ("plate_jpg.rf.4f8a9b.jpg", "plate.jpg"),
        ("plate.png", "plate_jpg.rf.4f8a9b.jpg"),
        ("road_mask.png", "road_sat.jpg"),
        ("ulm_000_019_gtFine_labelIds.png", "ulm_000_019_leftImg8bit.png"),
        ("plate-Labels.tif", "plate.jpg"),
        ("default/plate.png", "train/plate.png"),
        ("obj_train_data/plate.txt", "plate.png"),
    ],
)
def test_what_tools_add_to_names_is_looked_past_on_either_side(name: str, image: str) -> None:
    assert found(name, image, "other.png") == image


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("1a2b3c4d-plate.png", "99999999-plate.png"),
        ("plate_jpg.rf.aaaa.jpg", "plate_jpg.rf.bbbb.jpg"),
        ("20240103-plate.png", "20240101-plate.png"),
    ],
)
def test_two_copies_with_ids_of_their_own_are_two_images(name: str, image: str) -> None:
    with pytest.raises(ImportRefused, match="no image of this name"):
        found(name, image)
