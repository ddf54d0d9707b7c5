"""What `other_programs.py` runs inside the environment of another program: reading our files, and writing its own.

    python benchmarks/other_programs_inside.py PROGRAM FOLDER

Knows nothing of fcnlab. FOLDER holds `names.json` (classes by id), `truth/*.npy` (class ids), `images/` and `out/`, an
export in all formats. Prints one JSON list of [what was done, differing pixels, pixels]; what the program writes goes
to `written/`, for fcnlab to read.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Row = tuple[str, int, int]
FOLDER = Path(sys.argv[2]).resolve() if len(sys.argv) > 2 else Path()
NAMES: list[str] = json.loads((FOLDER / "names.json").read_text("utf-8")) if FOLDER.name else []
OUT, WRITTEN = FOLDER / "out", FOLDER / "written"


def truths() -> dict[str, Any]:
    """Class ids (H, W) of every image, by its name without ending."""
    return {path.stem: np.load(path) for path in sorted((FOLDER / "truth").glob("*.npy"))}


def row(what: str, read: Callable[[str, Any], Any]) -> Row:
    """How many pixels of all images differ; `read` is given the name and the truth of an image."""
    pairs = [(read(stem, truth), truth) for stem, truth in truths().items()]
    return what, int(sum((mask != truth).sum() for mask, truth in pairs)), int(sum(truth.size for _, truth in pairs))


def laid(truth: Any, parts: Iterator[tuple[int, Any]]) -> Any:
    """Parts (class id, (H, W) bool) over background."""
    mask = np.zeros(truth.shape, np.uint8)
    for class_id, inside in parts:
        mask[np.asarray(inside, bool)] = class_id
    return mask


def in_labelme() -> list[Row]:
    from labelme import _label_file, utils

    def read(stem: str, truth: Any) -> Any:
        data = json.loads((OUT / "labelme" / f"{stem}.json").read_text("utf-8"))
        shapes = [_label_file._load_shape_json_obj(shape) for shape in data["shapes"]]
        ids = {name: index for index, name in enumerate(NAMES)}
        return utils.shapes_to_label(truth.shape, shapes, ids)[0]

    for stem, truth in truths().items():
        shapes = []
        for class_id in range(1, len(NAMES)):
            where = np.argwhere(truth == class_id)
            if len(where):
                (top, left), (bottom, right) = where.min(0).tolist(), where.max(0).tolist()
                inside = truth[top : bottom + 1, left : right + 1] == class_id
                shapes.append(
                    {
                        "label": NAMES[class_id],
                        "points": [[left, top], [right, bottom]],
                        "shape_type": "mask",
                        "mask": utils.img_arr_to_b64(inside.astype(np.uint8) * 255),
                        "flags": {},
                        "group_id": None,
                        "description": "",
                    }
                )
        file = WRITTEN / "labelme" / f"{stem}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        size = {"imageHeight": truth.shape[0], "imageWidth": truth.shape[1]}
        saved = {"version": "6", "flags": {}, "shapes": shapes, "imagePath": f"{stem}.png", "imageData": None, **size}
        file.write_text(json.dumps(saved), "utf-8")
    return [row("reads labelme (shapes_to_label)", read)]


def in_datumaro() -> list[Row]:
    from datumaro.components.annotation import AnnotationType, LabelCategories, Mask
    from datumaro.components.dataset import Dataset
    from datumaro.components.dataset_base import DatasetItem
    from datumaro.components.media import Image
    from pycocotools import mask as coco_masks

    rows = []
    for name in ("coco", "coco-rle"):
        source = next((OUT / "coco").glob("*rle*" if name == "coco-rle" else "annotations.json"))
        target = FOLDER / "datumaro" / name
        (target / "annotations").mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / "annotations" / "instances_default.json")
        shutil.copytree(FOLDER / "images", target / "images" / "default", dirs_exist_ok=True)
    cvat = FOLDER / "datumaro" / "cvat"
    shutil.copytree(FOLDER / "images", cvat / "images", dirs_exist_ok=True)
    shutil.copy(OUT / "cvat" / "annotations.xml", cvat / "annotations.xml")
    for name, folder, kind in (
        ("coco", FOLDER / "datumaro/coco", "coco_instances"),
        ("coco-rle", FOLDER / "datumaro/coco-rle", "coco_instances"),
        ("cvat", cvat, "cvat"),
        ("voc", OUT / "voc", "voc_segmentation"),
        ("cityscapes", OUT / "cityscapes", "cityscapes"),
    ):
        dataset = Dataset.import_from(str(folder), kind)
        labels = [category.name for category in dataset.categories()[AnnotationType.label].items]
        items = {item.id.split("/")[-1].removesuffix("_leftImg8bit"): item for item in dataset}

        def read(stem: str, truth: Any, items: Any = items, labels: Any = labels) -> Any:
            def parts() -> Iterator[tuple[int, Any]]:
                for annotation in sorted(items[stem].annotations, key=lambda each: getattr(each, "z_order", 0)):
                    label = labels[annotation.label].lower()
                    if annotation.type is AnnotationType.mask and label in NAMES:
                        yield NAMES.index(label), annotation.image
                    elif annotation.type is AnnotationType.polygon and label in NAMES:
                        height, width = truth.shape
                        rle = coco_masks.frPyObjects([annotation.points], height, width)
                        yield NAMES.index(label), coco_masks.decode(rle)[..., 0]

            return laid(truth, parts())

        rows.append(row(f"reads {name}", read))

    def items_written() -> Iterator[Any]:
        for stem, truth in truths().items():
            masks = [
                Mask(truth == class_id, label=class_id)
                for class_id in range(1, len(NAMES))
                if (truth == class_id).any()
            ]
            picture = Image.from_numpy(np.zeros((*truth.shape, 3), np.uint8))
            yield DatasetItem(id=stem, media=picture, annotations=masks)

    categories = {AnnotationType.label: LabelCategories.from_iterable(NAMES)}
    for kind in ("coco_instances", "voc_segmentation", "cvat"):
        dataset = Dataset.from_iterable(list(items_written()), categories=categories)
        more = {"label_map": "source", "apply_colormap": False} if kind == "voc_segmentation" else {}
        dataset.export(str(WRITTEN / f"datumaro-{kind.partition('_')[0]}"), kind, save_media=False, **more)
    return rows


def in_supervision() -> list[Row]:
    import supervision as sv

    def reader(dataset: Any) -> Callable[[str, Any], Any]:
        by_stem = {Path(path).stem: detections for path, _, detections in dataset}

        def read(stem: str, truth: Any) -> Any:
            image_detections = by_stem[stem]
            masks = [] if image_detections.mask is None else image_detections.mask
            ids = [NAMES.index(dataset.classes[index]) for index in image_detections.class_id]
            return laid(truth, zip(ids, masks, strict=False))

        return read

    pictures, coco = str(FOLDER / "images"), OUT / "coco"
    rle = str(next(coco.glob("*rle*")))
    from_rle = sv.DetectionDataset.from_coco(pictures, rle, force_masks=True)
    polygons = sv.DetectionDataset.from_coco(pictures, str(coco / "annotations.json"), force_masks=True)
    yolo = sv.DetectionDataset.from_yolo(
        pictures, str(next((OUT / "yolo" / "labels").rglob("*.txt")).parent), str(OUT / "yolo/data.yaml"), True
    )
    rows = [
        row("reads coco-rle", reader(from_rle)),
        row("reads coco (polygons)", reader(polygons)),
        row("reads yolo", reader(yolo)),
    ]
    detections = {}
    for stem, truth in truths().items():
        ids = [class_id for class_id in range(1, len(NAMES)) if (truth == class_id).any()]
        masks = np.array([truth == class_id for class_id in ids])
        boxes = sv.mask_to_xyxy(masks)
        path = str(FOLDER / "images" / f"{stem}.png")
        detections[path] = sv.Detections(xyxy=boxes, mask=masks, class_id=np.array(ids))
    whole = sv.DetectionDataset(classes=NAMES, images=list(detections), annotations=detections)
    (WRITTEN / "supervision-coco").mkdir(parents=True, exist_ok=True)
    whole.as_coco(None, str(WRITTEN / "supervision-coco" / "annotations.json"))
    whole.as_yolo(None, str(WRITTEN / "supervision-yolo" / "labels"), str(WRITTEN / "supervision-yolo" / "data.yaml"))
    return rows


def in_cityscapes() -> list[Row]:
    import contextlib
    import io

    from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling as evaluation
    from cityscapesscripts.helpers.labels import id2label, name2label
    from PIL import Image

    files = sorted(str(path) for path in OUT.glob("cityscapes/gtFine/*/*/*_gtFine_labelIds.png"))

    def read(stem: str, truth: Any, kind: str = "labelIds") -> Any:
        (file,) = OUT.glob(f"cityscapes/gtFine/*/*/{stem}_gtFine_{kind}.png")
        ids = np.array(Image.open(file)).astype(np.int32)
        ids[ids >= 1000] //= 1000
        parts = ((NAMES.index(name), ids == label.id) for name, label in name2label.items() if name in NAMES)
        assert all(int(label_id) in id2label for label_id in np.unique(ids))
        return laid(truth, parts)

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        scores = evaluation.evaluateImgLists(files, files, evaluation.args)
    wrong = sum(scores["classScores"][name] != 1.0 for name in NAMES if name != "background")
    return [
        row("reads cityscapes labelIds", read),
        row("reads cityscapes instanceIds", lambda stem, truth: read(stem, truth, "instanceIds")),
        ("evalPixelLevelSemanticLabeling, classes below 1.0", int(wrong), len(NAMES) - 1),
    ]


def in_shapely() -> list[Row]:
    from shapely.geometry import shape

    polygons, invalid, area, wanted = 0, 0, 0.0, 0
    for path in sorted((OUT / "geojson").rglob("*.geojson")):
        for feature in json.loads(path.read_text("utf-8"))["features"]:
            geometry = shape(feature["geometry"])
            polygons += 1
            invalid += not geometry.is_valid
            area += geometry.area
            wanted += feature["properties"]["area_px"]
    return [
        ("geometries of geojson that are invalid", invalid, polygons),
        ("area of geojson", int(area - wanted), wanted),
    ]


def in_pycocotools() -> list[Row]:
    from pycocotools.coco import COCO

    rows = []
    for file in sorted((OUT / "coco").glob("*.json")):
        coco = COCO(str(file))
        names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
        image_ids = {Path(image["file_name"]).stem: image["id"] for image in coco.dataset["images"]}

        def read(stem: str, truth: Any, coco: Any = coco, names: Any = names, image_ids: Any = image_ids) -> Any:
            parts = coco.loadAnns(coco.getAnnIds(imgIds=[image_ids[stem]]))
            return laid(truth, ((NAMES.index(names[part["category_id"]]), coco.annToMask(part)) for part in parts))

        rows.append(row(f"reads {file.stem}", read))
    return rows


def in_ultralytics() -> list[Row]:
    from ultralytics.data.utils import polygon2mask

    lines = (OUT / "yolo" / "data.yaml").read_text("utf-8").splitlines()
    names = [line.split('"')[1] for line in lines if line.startswith("  ") and '"' in line]

    def read(stem: str, truth: Any) -> Any:
        height, width = truth.shape
        (file,) = (OUT / "yolo" / "labels").rglob(f"{stem}.txt")

        def parts() -> Iterator[tuple[int, Any]]:
            for line in file.read_text("utf-8").splitlines():
                class_index, *shares = line.split()
                corners = np.array(shares, np.float32).reshape(-1, 2) * (width, height)
                yield NAMES.index(names[int(class_index)]), polygon2mask((height, width), [corners.ravel()])

        return laid(truth, parts())

    return [row("reads yolo (polygon2mask)", read)]


PROGRAMS = {
    "labelme": in_labelme,
    "datumaro": in_datumaro,
    "supervision": in_supervision,
    "cityscapesscripts": in_cityscapes,
    "shapely": in_shapely,
    "pycocotools": in_pycocotools,
    "ultralytics": in_ultralytics,
}

if __name__ == "__main__":
    print("\n" + json.dumps(PROGRAMS[sys.argv[1]]()))
