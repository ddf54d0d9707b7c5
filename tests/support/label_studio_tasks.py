"""Tasks of Label Studio as it sends them, and what is stored of them."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_image
from fcnlab.services.projects import projects
from tests.support.bars import HEIGHT, WIDTH, scene

TOKEN = "a-token-that-nobody-guesses"
CONFIG = """
<View>
  <Image name="image" value="$image" zoom="true"/>
  <BrushLabels name="tag" toName="image">
    <Label value="Bar" background="#FF0000"/>
  </BrushLabels>
  <KeyPointLabels name="tag2" toName="image" smart="true">
    <Label value="Bar" smart="true" background="#000000"/>
  </KeyPointLabels>
</View>
"""
PIXELS = np.asarray(Image.open(io.BytesIO(scene(1))))
LIGHT = PIXELS[..., 0] > 100
TWO_LABELS = CONFIG.replace(
    '<Label value="Bar" background="#FF0000"/>', '<Label value="Bar"/><Label value="Dark"/>'
).replace('background="#000000"/>', 'background="#000000"/><Label value="Dark" smart="true"/>')
EMBEDDED = "data:image/png;base64," + base64.b64encode(scene(1)).decode()


def keypoint(row: int, col: int, *, is_positive: bool = True, label: str = "Bar") -> dict[str, Any]:
    value = {"x": 100 * (col + 0.5) / WIDTH, "y": 100 * (row + 0.5) / HEIGHT, "width": 0.4, "keypointlabels": [label]}
    return {
        "id": f"{row}-{col}",
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        "value": value,
        "is_positive": is_positive,
        "from_name": "tag2",
        "to_name": "image",
        "type": "keypointlabels",
        "origin": "manual",
    }


def asked(task: dict[str, Any], result: list[dict[str, Any]] | None = None, *, config: str = CONFIG) -> dict[str, Any]:
    params: dict[str, Any] = {"login": None, "password": None}
    if result is not None:
        params["context"] = {"result": result}
    return {
        "tasks": [task],
        "model_version": None,
        "project": "7.1710000000",
        "label_config": config,
        "params": params,
    }


def clicks() -> list[dict[str, Any]]:
    light, dark = np.argwhere(LIGHT)[::70], np.argwhere(~LIGHT)[::500]
    return [
        keypoint(int(row), int(col), is_positive=positive)
        for positive, places in ((True, light), (False, dark))
        for row, col in places
    ]


def stored(lab: Lab) -> list[tuple[int, int, str]]:
    """Row, column and class of every point of the one project, in order."""
    (project,) = projects.projects(lab)
    names = {label.id: label.name for label in project.classes}
    (image,) = projects.images(lab, project_id=project.id)
    points = [one.point for one in points_of_image(lab, image_id=image.id)]
    return sorted((point.row, point.col, names[point.class_id]) for point in points)
