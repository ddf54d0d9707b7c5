"""The protocol that Label Studio speaks to machine learning backends.

Requests are as https://labelstud.io/guide/ml_create describes them. Fields that fcnlab has no use for are passed over.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from fastapi import APIRouter, BackgroundTasks, Request, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from fcnlab.api.engine import Own
from fcnlab.api.guard import BY_SECRET, WEBHOOK_REFUSED
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, InvalidPoints, NoPoints
from fcnlab.services.labels.label_studio import (
    LabelConfig,
    brush_code,
    forget_annotation,
    image_of,
    keypoints_of,
    learn_all,
    learn_tasks,
    project_of,
    read_config,
    regions_of,
    store_annotation,
    store_context,
)
from fcnlab.services.projects import projects

VERSION = "fcnlab-instant"
LEARNED_FROM = frozenset({"ANNOTATION_CREATED", "ANNOTATIONS_CREATED", "ANNOTATION_UPDATED"})
FORGOTTEN_BY = "ANNOTATIONS_DELETED"
ASKED_BY = frozenset({"START_TRAINING", "TASKS_CREATED"})
"""Events that say that there may be annotations nobody told about: those of the project are asked for."""

MOST_TASKS = 1000

log = logging.getLogger(__name__)

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
    """Something happened to an annotation, to several at once, or to the project."""

    action: str
    annotation: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    annotations: list[dict[str, Any]] = Field(default_factory=list, max_length=MOST_TASKS)
    task: dict[str, Any] | list[dict[str, Any]] = Field(default_factory=dict)
    project: dict[str, Any] = Field(default_factory=dict)


class TrainIn(BaseModel):
    """Tasks with all their annotations, as Label Studio sends them where webhooks of trainings are switched off."""

    annotations: list[dict[str, Any]]
    project: str | int
    label_config: str = Field(max_length=1_000_000)


@router.post("/setup")
def setup(engine: Own, wanted: SetupIn, request: Request) -> dict[str, str]:
    """Label Studio introduces a project: it becomes a project here, with a class per label.

    Label Studio writes the answer to its log: there as well it says when webhooks of this address will be refused.
    """
    number = _number(wanted.project)
    project_of(engine.lab, number, read_config(wanted.label_schema))
    if request.scope.get(BY_SECRET) or not request.headers.get("authorization", "").lower().startswith("basic"):
        return {"model_version": VERSION}
    warning = f"unless it is given a header, the webhook of project {number} will be refused: {WEBHOOK_REFUSED}"
    log.warning("Label Studio: %s", warning)
    return {"model_version": VERSION, "warning": warning}


@router.get("/versions")
def versions() -> dict[str, list[str]]:
    """The one version there is."""
    return {"versions": [VERSION]}


@router.post("/predict")
def predict(engine: Own, wanted: PredictIn) -> dict[str, Any]:
    """Masks of tasks. Keypoints in the context become points of the image first, so that each sharpens the mask."""
    config = read_config(wanted.label_config)
    project = project_of(engine.lab, _number(str(wanted.project)), config)
    context = wanted.params.get("context") or {}
    clicked = context.get("result") if isinstance(context, dict) else None
    results = []
    for task in wanted.tasks:
        image = image_of(engine.lab, project, task, config)
        if (
            clicked
            and len(wanted.tasks) == 1
            and store_context(engine.lab, project, image, keypoints_of(clicked, project, image))
        ):
            engine.jobs.changed(project.id)
        results.append(_prediction(engine, project, image, config))
    return {"results": results, "model_version": VERSION}


@router.post("/webhook", status_code=201)
def webhook(engine: Own, happened: WebhookIn, response: Response, later: BackgroundTasks) -> dict[str, Any]:
    """Learn from the keypoints of annotations that were made or changed; forget those of deleted ones.

    When a training is started, or tasks are imported, all annotations of the project are asked for and learned from,
    after the answer.
    """
    if happened.action not in {*LEARNED_FROM, FORGOTTEN_BY, *ASKED_BY}:
        response.status_code = 200
        return {"status": "unknown event", "result": None}
    text = happened.project.get("label_config")
    if not isinstance(text, str) or "id" not in happened.project:
        raise InvalidPoints("the event names no project with its label_config: send it as Label Studio does")
    config = read_config(text)
    project = project_of(engine.lab, _number(str(happened.project["id"])), config)
    if happened.action in ASKED_BY:
        later.add_task(_learn_all, engine, project, config)
        return {"status": "ok", "result": {"learning": True}}
    if happened.action == FORGOTTEN_BY:
        gone = [
            forget_annotation(engine.lab, project, annotation_id=annotation.get("id"))
            for annotation in happened.annotations
        ]
        has_changed = any(gone)
    else:
        has_changed = _learn_event(engine, happened, project, config)
    if has_changed:
        engine.jobs.changed(project.id)
    return {"status": "ok", "result": {"changed": has_changed}}


@router.post("/train")
def train(engine: Own, wanted: TrainIn) -> dict[str, Any]:
    """Learn from all annotations of the tasks that are sent."""
    config = read_config(wanted.label_config)
    project = project_of(engine.lab, _number(str(wanted.project)), config)
    learned = learn_tasks(engine.lab, project, config, wanted.annotations)
    engine.jobs.changed(project.id)
    return {"status": "ok", "result": {"learned": learned.n_annotations, "refused": list(learned.refused)}}


def _learn_event(engine: Own, happened: WebhookIn, project: Project, config: LabelConfig) -> bool:
    """Learn from the annotation of an event, or from several, each of the task it names; whether anything changed."""
    annotations = happened.annotation if isinstance(happened.annotation, list) else [happened.annotation]
    tasks = happened.task if isinstance(happened.task, list) else [happened.task]
    by_id = {task.get("id"): task for task in tasks}
    changes = []
    for annotation in annotations:
        task = tasks[0] if len(tasks) == 1 else by_id.get(annotation.get("task"))
        if task is None:
            raise InvalidPoints(f"annotation {annotation.get('id')!r} names none of the tasks of the event")
        image = image_of(engine.lab, project, task, config)
        changes.append(
            store_annotation(
                engine.lab,
                project,
                image,
                keypoints_of(annotation.get("result"), project, image),
                annotation_id=annotation.get("id"),
                regions=regions_of(annotation.get("result"), project),
            )
        )
    return any(changes)


def _learn_all(engine: Own, project: Project, config: LabelConfig) -> None:
    try:
        learned = learn_all(engine.lab, project, config)
    except FcnlabError as failure:
        log.warning("annotations of %s were not learned: %s", project.name, failure)
        return
    log.info("learned from %d annotations of %s", learned.n_annotations, project.name)
    for refusal in learned.refused:
        log.warning("%s: %s", project.name, refusal)
    engine.jobs.changed(project.id)


def _prediction(engine: Own, project: Project, image: ImageInfo, config: LabelConfig) -> dict[str, Any]:
    """The mask of a task as Label Studio wants it: a brush per class; nothing while nothing can be learned."""
    nothing = {"result": [], "score": 0.0, "model_version": VERSION}
    if config.brush is None:
        return nothing
    try:
        _, mask = engine.predictions.mask(image.id)
    except NoPoints:
        return nothing
    labels = {label.lower(): label for label in config.brush.labels}
    current = projects.project(engine.lab, project_id=project.id)
    brushes = [
        _brush(config, labels[label.name.lower()], mask == label.id, f"fcnlab-{image.id}-{label.id}")
        for label in current.classes
        if label.name.lower() in labels and label.id != current.background
    ]
    return {"result": [brush for brush in brushes if brush is not None], "score": 1.0, "model_version": VERSION}


def _brush(config: LabelConfig, label: str, is_class: NDArray[np.bool_], name: str) -> dict[str, Any] | None:
    """The mask of a class; `name` stays, so that an accepted mask is replaced by the next of its class."""
    if not is_class.any():
        return None
    assert config.brush is not None
    height, width = is_class.shape
    return {
        "id": name,
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
