"""Projects and label files for tests of labels from other tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fcnlab.domain.events import StoredPoint
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_project
from fcnlab.services.labels.label_import import LabelRequest, found_labels
from fcnlab.services.labels.mask_intake import LabelProgress
from tests.support.tabs import HEIGHT, WIDTH

HW = (HEIGHT, WIDTH)


def a_mask(seed: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Background 0, a rectangle of class 1, and a border about which nothing is known."""
    mask = np.zeros(HW, np.uint8)
    mask[10:30, 15 + seed : 45 + seed] = 1
    mask[:, :4] = 255
    return mask


def masks_in(folder: Path, masks: dict[str, np.ndarray[Any, Any]]) -> Path:
    for name, mask in masks.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path)
    return folder


def labelme_file(path: Path, image: str, shapes: Sequence[tuple[str, list[list[float]]]], **changes: Any) -> Path:
    content = {
        "shapes": [{"label": label, "points": points, "shape_type": "polygon"} for label, points in shapes],
        "imagePath": image,
        "imageHeight": HEIGHT,
        "imageWidth": WIDTH,
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


BOX = [[20.0, 10.0], [50.0, 10.0], [50.0, 30.0], [20.0, 30.0]]


def take_in(lab: Lab, path: Path, project_id: int, **wanted: Any) -> list[LabelProgress]:
    request = LabelRequest(**{"points_per_image": 20, **wanted})
    with found_labels(lab, path, project_id=project_id, request=request, allow_anywhere=True) as found:
        return list(found.steps)


def stored(lab: Lab, project_id: int) -> list[StoredPoint]:
    return list(points_of_project(lab, project_id=project_id))


def give_truth(lab: Lab, folder: Path, project_id: int, masks: dict[str, np.ndarray[Any, Any]]) -> None:
    """Expert masks for images by their names, and no points."""
    for number, (name, mask) in enumerate(masks.items()):
        path = masks_in(folder / f"truth-{number}", {Path(name).stem: mask.astype(np.uint8)})
        (step,) = take_in(lab, path, project_id, points_per_image=0, as_format="index")
        assert not step.reason
