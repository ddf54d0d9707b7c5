from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcnlab.errors import FcnlabError, ImportRefused
from fcnlab.storage.exports.manifest import manifest_json
from fcnlab.storage.formats.reading.detecting import detect, located, open_labels
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.registry import read_formats
from tests.support.label_bench import HW, save_json, save_png

MASK = np.zeros(HW, np.uint8)
MASK[3:9, 5:20] = 1
STROKES = np.zeros((*HW, 4), np.uint8)
STROKES[3], STROKES[9] = (255, 0, 0, 180), (0, 255, 0, 180)
COLOURS = np.dstack([MASK * 200, MASK * 10, MASK + np.uint8(7)])
SHAPE = {"label": "cell", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"}


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def coco(folder: Path) -> None:
    save_png(folder / "images" / "a.png", COLOURS)
    save_json(
        folder / "annotations" / "instances.json",
        {"info": {"x": "y" * 100_000}, "images": [], "annotations": [], "categories": []},
    )


def labelme(folder: Path) -> None:
    for name in ("a", "b"):
        save_png(folder / f"{name}.png", COLOURS)
        save_json(folder / f"{name}.json", {"shapes": [SHAPE], "imagePath": f"{name}.png", "imageData": "x" * 200_000})


def yolo(folder: Path) -> None:
    text(folder / "data.yaml", "names: [cell]")
    text(folder / "README.txt", "exported by somebody")
    text(folder / "labels" / "train" / "a.txt", "0 0.5 0.5 0.25 0.25\n")


def cvat(folder: Path) -> None:
    save_png(folder / "images" / "a.png", COLOURS)
    text(folder / "annotations.xml", "<annotations><image name='a.png' width='33' height='20'/></annotations>")


def voc(folder: Path) -> None:
    save_png(folder / "SegmentationClass" / "a.png", MASK)
    text(folder / "Annotations" / "a.xml", "<annotation><object><name>dog</name></object></annotation>")


def voc_boxes(folder: Path) -> None:
    for name in ("a", "b"):
        text(folder / "Annotations" / f"{name}.xml", "<annotation><filename>a.jpg</filename></annotation>")


def cityscapes(folder: Path) -> None:
    save_png(folder / "gtFine" / "train" / "ulm" / "ulm_1_gtFine_labelIds.png", MASK)
    save_png(folder / "gtFine" / "train" / "ulm" / "ulm_1_gtFine_color.png", COLOURS)


def cityscapes_polygons(folder: Path) -> None:
    for name in ("a", "b"):
        save_json(folder / f"{name}_gtFine_polygons.json", {"imgHeight": 20, "imgWidth": 33, "objects": []})


def label_studio(folder: Path) -> None:
    save_json(folder / "project-1.json", [{"id": 1, "data": {"image": "a.jpg"}, "annotations": []}])


def index(folder: Path) -> None:
    save_png(folder / "a.png", MASK, [0, 0, 0, 255, 0, 0])
    text(folder / "notes.txt", "these are masks")


def root_painter(folder: Path) -> None:
    save_png(folder / "annotations" / "train" / "a.png", STROKES)


def own_export(folder: Path) -> None:
    save_png(folder / "masks" / "a.png", MASK)
    save_png(folder / "colour" / "a.png", COLOURS)
    manifest = {"classes": [{"id": 0, "name": "no"}, {"id": 1, "name": "yes"}], "images": [{"name": "a.png"}]}
    (folder / "manifest.json").write_bytes(manifest_json(manifest))


def own_coco(folder: Path) -> None:
    save_json(folder / "coco" / "annotations.json", {"images": [], "annotations": [], "categories": []})
    (folder / "manifest.json").write_bytes(manifest_json({"images": []}))


def with_manifest(folder: Path) -> None:
    save_png(folder / "masks" / "a.png", MASK)
    save_json(folder / "manifest.json", {"images": ["a.png"], "classes": ["no", "yes"]})


def roboflow(folder: Path) -> None:
    for split in ("train", "valid", "test"):
        save_json(
            folder / split / "_annotations.coco.json",
            {"images": [{"id": 1, "file_name": f"{split}.jpg"}], "annotations": [], "categories": []},
        )


def label_img(folder: Path) -> None:
    text(folder / "a.xml", '<annotation verified="yes"><filename>a.jpg</filename></annotation>')


def yolo_of_cvat(folder: Path) -> None:
    text(folder / "obj.names", "cell\nrim\n")
    text(folder / "obj.data", "classes = 2\nnames = data/obj.names\n")
    text(folder / "train.txt", "data/obj_train_data/a.jpg\n")
    text(folder / "obj_train_data" / "a.txt", "1 .5 .5 .2 .2\n")


def yolo_of_empty_images(folder: Path) -> None:
    text(folder / "classes.txt", "cell")
    for number in range(8):
        save_png(folder / "images" / f"{number}.png", COLOURS)
        text(folder / "labels" / f"{number}.txt", "0 0.5 0.5 0.25 0.25" if number == 7 else "")


def yolo_of_nothing(folder: Path) -> None:
    text(folder / "data.yaml", "names: [cell]")
    save_png(folder / "images" / "a.png", COLOURS)
    text(folder / "labels" / "a.txt", "")


MAKERS: list[tuple[Callable[[Path], object], str, str]] = [
    (coco, "coco", "annotations/instances.json"),
    (labelme, "labelme", "."),
    (yolo, "yolo", "."),
    (cvat, "cvat", "annotations.xml"),
    (voc, "voc", "."),
    (voc_boxes, "voc", "."),
    (cityscapes, "cityscapes", "."),
    (cityscapes_polygons, "cityscapes", "."),
    (label_studio, "labelstudio", "project-1.json"),
    (index, "index", "."),
    (root_painter, "rootpainter", "."),
    (lambda folder: save_png(folder / "a.png", COLOURS), "colour", "."),
    (lambda folder: save_png(folder / "a.png", MASK * np.uint8(255)), "binary", "."),
    (lambda folder: save_png(folder / "a.png", MASK), "index", "."),
    (lambda folder: text(folder / "p.csv", "image,row,col,class\n"), "points", "p.csv"),
    (own_export, "index", "masks"),
    (own_coco, "coco", "coco/annotations.json"),
    (with_manifest, "index", "."),
    (roboflow, "coco", "."),
    (label_img, "voc", "."),
    (yolo_of_cvat, "yolo", "."),
    (yolo_of_empty_images, "yolo", "."),
    (yolo_of_nothing, "yolo", "."),
]


@pytest.mark.parametrize("number", range(len(MAKERS)))
def test_folders_are_taken_for_what_they_are_and_can_be_read(tmp_path: Path, number: int) -> None:
    make, wanted, inside = MAKERS[number]
    folder = tmp_path / "labels"
    make(folder)
    text(folder / "__MACOSX" / "x.xml", "<annotations/>")

    found = detect(folder)

    assert (found.format.name, found.path) == (wanted, folder / inside)
    source = found.open(ReadOptions(names={0: "no", 1: "yes"}, colours={"#000007": "no"}))
    assert source.total == len(list(source.images()))


@pytest.mark.parametrize("number", [0, 3, 8, 14])
def test_single_files_are_taken_for_what_they_are(tmp_path: Path, number: int) -> None:
    make, wanted, inside = MAKERS[number]
    make(tmp_path)

    assert detect(tmp_path / inside).format.name == wanted


def test_of_several_label_files_one_must_be_named(tmp_path: Path) -> None:
    label_studio(tmp_path)
    shutil.copy(tmp_path / "project-1.json", tmp_path / "project-2.json")

    with pytest.raises(ImportRefused, match=r"holds 2 label files \(project-1.json, project-2.json\)"):
        detect(tmp_path)


@pytest.mark.parametrize("name", ["a.docx", "a.json", "a.xml", "missing"])
def test_what_is_not_known_is_said_in_one_line(tmp_path: Path, name: str) -> None:
    if name != "missing":
        text(tmp_path / name, "hello")

    with pytest.raises(ImportRefused) as failure:
        detect(tmp_path / name)

    assert "\n" not in str(failure.value)


def test_an_empty_folder_holds_no_labels(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="holds no labels"):
        detect(tmp_path)


@pytest.mark.parametrize("as_format", list(read_formats()))
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe" * 50, b"[]", b"{}", b"[[[", b"<a>", b"image,row,col,class\n"])
def test_any_format_explains_what_it_cannot_read(tmp_path: Path, as_format: str, content: bytes) -> None:
    suffixes = {"cvat": ".xml", "voc": ".xml", "yolo": ".txt", "points": ".csv"}
    in_json = ("coco", "labelme", "labelstudio")
    name = "a" + suffixes.get(as_format, ".json" if as_format in in_json else ".png")
    path = tmp_path / ("a_gtFine_polygons.json" if as_format == "cityscapes" else name)
    path.write_bytes(content)

    try:
        source = open_labels(path, as_format, ReadOptions(names={0: "a"}, colours={"#000000": "a"}))
        said = [one.reason for one in source.images() if hasattr(one, "reason")]
    except FcnlabError as refusal:
        said = [str(refusal)]

    assert all(one and "\n" not in one for one in said)


def test_a_format_that_is_named_is_looked_for(tmp_path: Path) -> None:
    coco(tmp_path)
    cvat(tmp_path)

    assert located(tmp_path, "coco").path == tmp_path / "annotations" / "instances.json"
    assert located(tmp_path, "cvat").path == tmp_path / "annotations.xml"
    assert located(tmp_path, "index").path == tmp_path
    with pytest.raises(ImportRefused, match="holds no labels of this format"):
        located(tmp_path, "labelstudio")
    with pytest.raises(ImportRefused, match="there is no file or folder"):
        located(tmp_path / "nowhere", "index")


def test_files_of_coco_are_read_one_after_the_other(tmp_path: Path) -> None:
    roboflow(tmp_path)

    found = located(tmp_path, "coco")
    names = [one.name for one in found.open(ReadOptions()).images()]

    assert names == ["test.jpg", "train.jpg", "valid.jpg"]
