"""The protocol that Label Studio speaks to machine learning backends.

Requests are as https://labelstud.io/guide/ml_create describes them. Fields that fcnlab has no use for are passed over.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
from fastapi import APIRouter, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from fcnlab.api.engine import Own
from fcnlab.domain import ImageInfo, Project
from fcnlab.errors import InvalidPoints, NoPoints
from fcnlab.services import projects
from fcnlab.services.label_studio import (
    BACKGROUND,
    LabelConfig,
    brush_code,
    forget_annotation,
    image_of,
    points_of,
    project_of,
    read_config,
    store_annotation,
    store_context,
)

VERSION = "fcnlab-instant"
TAUGHT_BY = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})
FORGOTTEN_BY = "ANNOTATIONS_DELETED"
MOST_TASKS = 1000

router = APIRouter(tags=["Label Studio"])


class SetupIn(BaseModel):
    """`project` is the number of the project, a dot, and when it was made; `label_schema` the labelling interface."""

    project: str = Field(max_length=200)
    label_schema: str = Field(alias="schema", max_length=1_000_000)


class PredictIn(BaseModel):
    """Tasks to pre-annotate; with a context, what somebody just clicked in the one task."""

    tasks: list[dict[str, Any]] = Field(max_length=MOST_TASKS)
    project: str | int
    label_config: str = Field(max_length=1_000_000)
    params: dict[str, Any] = Field(default_factory=dict)


class WebhookIn(BaseModel):
    """Something happened to an annotation."""

    action: str
    annotation: dict[str, Any] = Field(default_factory=dict)
    annotations: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_TASKS)
    task: dict[str, Any] = Field(default_factory=dict)
    project: dict[str, Any] = Field(default_factory=dict)


@router.post("/setup")
def setup(own: Own, wanted: SetupIn) -> dict[str, str]:
    """Label Studio introduces a project: it becomes a project here, with a class per label."""
    project_of(own.lab, _number(wanted.project), read_config(wanted.label_schema))
    return {"model_version": VERSION}


@router.post("/predict")
def predict(own: Own, wanted: PredictIn) -> dict[str, Any]:
    """Masks of tasks. Keypoints in the context become points of the image first, so that each sharpens the mask."""
    config = read_config(wanted.label_config)
    project = project_of(own.lab, _number(str(wanted.project)), config)
    context = wanted.params.get("context") or {}
    clicked = context.get("result") if isinstance(context, dict) else None
    results = []
    for task in wanted.tasks:
        image = image_of(own.lab, project, task, config)
        if (
            clicked
            and len(wanted.tasks) == 1
            and store_context(own.lab, project, image, points_of(clicked, project, image))
        ):
            own.jobs.changed(project.id)
        results.append(_prediction(own, project, image, config))
    return {"results": results, "model_version": VERSION}


@router.post("/webhook", status_code=201)
def webhook(own: Own, happened: WebhookIn, response: Response) -> dict[str, Any]:
    """Learn from the keypoints of an annotation that was made or changed; forget those of one that was deleted."""
    if happened.action not in TAUGHT_BY and happened.action != FORGOTTEN_BY:
        response.status_code = 200
        return {"status": "unknown event", "result": None}
    text = happened.project.get("label_config")
    if not isinstance(text, str) or "id" not in happened.project:
        raise InvalidPoints("the event names no project with its label_config: send it as Label Studio does")
    config = read_config(text)
    project = project_of(own.lab, _number(str(happened.project["id"])), config)
    if happened.action == FORGOTTEN_BY:
        gone = [forget_annotation(own.lab, project, annotation_id=one.get("id")) for one in happened.annotations]
        has_changed = any(gone)
    else:
        image = image_of(own.lab, project, happened.task, config)
        annotation = happened.annotation
        points = points_of(annotation.get("result"), project, image)
        has_changed = store_annotation(own.lab, project, image, points, annotation_id=annotation.get("id"))
    if has_changed:
        own.jobs.changed(project.id)
    return {"status": "ok", "result": {"changed": has_changed}}


def _prediction(own: Own, project: Project, image: ImageInfo, config: LabelConfig) -> dict[str, Any]:
    """The mask of a task as Label Studio wants it: a brush per class; nothing while nothing can be learned."""
    nothing = {"result": [], "score": 0.0, "model_version": VERSION}
    if config.brush is None:
        return nothing
    try:
        _, mask = own.answers.mask(image.id)
    except NoPoints:
        return nothing
    labels = {label.lower(): label for label in config.brush.labels}
    classes = projects.project(own.lab, project_id=project.id).classes
    found = [
        _brush(config, labels[one.name.lower()], mask == one.id)
        for one in classes
        if one.name.lower() in labels and one.name.lower() != BACKGROUND
    ]
    return {"result": [one for one in found if one is not None], "score": 1.0, "model_version": VERSION}


def _brush(config: LabelConfig, label: str, is_class: NDArray[np.bool_]) -> dict[str, Any] | None:
    if not is_class.any():
        return None
    assert config.brush is not None
    height, width = is_class.shape
    return {
        "id": uuid4().hex[:10],
        "from_name": config.brush.name,
        "to_name": config.brush.to_name,
        "type": "brushlabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "readonly": False,
        "value": {"format": "rle", "rle": brush_code(is_class), "brushlabels": [label]},
    }


def _number(project: str) -> str:
    return project.partition(".")[0]
