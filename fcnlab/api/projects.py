"""Projects, their images and points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, File, Path, Query, Response, UploadFile

from fcnlab.api.engine import Own
from fcnlab.api.shapes import (
    BackgroundIn,
    ImageOut,
    LearnerIn,
    LearnerOut,
    PointOut,
    PointsIn,
    ProjectIn,
    ProjectOut,
    StateIn,
    Uploaded,
)
from fcnlab.domain.events import Point
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import ClassLabel, LearnerSpec
from fcnlab.errors import InvalidPoints
from fcnlab.services.images.import_sources import mask_of, masks_beside
from fcnlab.services.images.importing import import_files
from fcnlab.services.images.pictures import shown_file
from fcnlab.services.labelling.events import AppliedBatch, points_of_image, remove_points, set_image_state
from fcnlab.services.labelling.point_import import Addition, add_points_at_once
from fcnlab.services.projects import projects as services

PAGE = 1000
"""Images told at once, at most."""

router = APIRouter(tags=["projects"])

Number = Annotated[int, Path(ge=1, le=2**31 - 1)]


@router.get("/projects")
def list_projects(engine: Own) -> list[ProjectOut]:
    """All projects, archived ones too."""
    return [_described(engine, project.id) for project in services.projects(engine.lab, include_archived=True)]


@router.post("/projects", status_code=201)
def create_project(engine: Own, wanted: ProjectIn) -> ProjectOut:
    """Make a project."""
    labels = services.labels_of(wanted.classes)
    is_said = "background" in wanted.model_fields_set
    made = services.create_project(
        engine.lab,
        name=wanted.name,
        labels=labels,
        learner=LearnerSpec(object_mode=wanted.object_mode),
        background=_class_id(labels, wanted.background) if is_said else "by name",
    )
    return _described(engine, made.id)


@router.get("/projects/{project_id}")
def get_project(engine: Own, project_id: Number) -> ProjectOut:
    """One project."""
    return _described(engine, project_id)


@router.put("/projects/{project_id}/background")
def set_background(engine: Own, project_id: Number, wanted: BackgroundIn) -> ProjectOut:
    """Say which class is no object: it is not tinted, and formats of shapes leave it out."""
    class_id = _class_id(services.project(engine.lab, project_id=project_id).classes, wanted.background)
    services.set_background(engine.lab, project_id=project_id, class_id=class_id)
    engine.jobs.changed(project_id)
    return _described(engine, project_id)


@router.get("/projects/{project_id}/learner")
def get_learner(engine: Own, project_id: Number) -> LearnerOut:
    """Settings of the instant learner."""
    return LearnerOut(**services.project(engine.lab, project_id=project_id).learner.to_dict())


@router.put("/projects/{project_id}/learner")
def set_learner(engine: Own, project_id: Number, wanted: LearnerIn) -> LearnerOut:
    """Change settings of the instant learner.

    Another encoder, weight file or scale is tried before it is saved, and makes every image be encoded again when it
    is next needed; points stay. What cannot work is refused, and the settings stay.
    """
    current = services.project(engine.lab, project_id=project_id).learner
    learner = services.changed_learner(current, wanted.model_dump(exclude_unset=True))
    project = services.set_learner(engine.lab, project_id=project_id, learner=learner)
    engine.jobs.changed(project_id)
    return LearnerOut(**project.learner.to_dict())


@router.get("/projects/{project_id}/images")
def list_images(
    engine: Own,
    project_id: Number,
    start: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    count: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    state: ImageState | None = None,
) -> list[ImageOut]:
    """Images in import order, `count` of them from place `start` on."""
    services.project(engine.lab, project_id=project_id)
    images = services.images(engine.lab, project_id=project_id, state=state, start=start, count=count)
    return [ImageOut.of(image) for image in images]


@router.post("/projects/{project_id}/images")
def upload_images(
    engine: Own, project_id: Number, files: Annotated[list[UploadFile], File()], with_masks: bool = False
) -> list[Uploaded]:
    """Import image files. Each is saved whole or refused by itself; content the project has is not saved again.

    A mask beside its image, such as plant_mask.png and plant.jpg, is refused unless `with_masks` is true.
    """
    masks = {} if with_masks else masks_beside([file.filename or "unnamed" for file in files])
    pairs = (
        (name, mask_of(name, masks[name]) if name in masks else file.file.read())
        for file in files
        for name in [file.filename or "unnamed"]
    )
    try:
        return [
            Uploaded(name=step.name, image_id=step.image_id, duplicate=step.duplicate, refused=step.refused)
            for step in import_files(engine.lab, pairs, project_id=project_id)
        ]
    finally:  # on a full disk some are stored
        engine.jobs.changed(project_id)


@router.get("/images/{image_id}")
def get_image(engine: Own, image_id: Number) -> ImageOut:
    """One image."""
    return ImageOut.of(services.image(engine.lab, image_id=image_id))


@router.get("/images/{image_id}/picture", response_class=Response)
def get_picture(engine: Own, image_id: Number) -> Response:
    """The upright 8-bit image as a JPEG or PNG."""
    path = shown_file(engine.lab, services.image(engine.lab, image_id=image_id))
    return Response(path.read_bytes(), media_type="image/png" if path.suffix == ".png" else "image/jpeg")


@router.put("/images/{image_id}/state")
def set_state(engine: Own, image_id: Number, wanted: StateIn) -> ImageOut:
    """Mark an image done, or reopen it."""
    applied = set_image_state(engine.lab, image_id=image_id, state=wanted.state, labeller=wanted.labeller)
    image = services.image(engine.lab, image_id=image_id)
    _told(engine, applied, image.project_id)
    return ImageOut.of(image)


@router.get("/images/{image_id}/points")
def list_points(engine: Own, image_id: Number) -> list[PointOut]:
    """Live points of an image."""
    services.image(engine.lab, image_id=image_id)
    return [PointOut.of(point) for point in points_of_image(engine.lab, image_id=image_id)]


@router.post("/images/{image_id}/points", status_code=201)
def add_points(engine: Own, image_id: Number, wanted: PointsIn) -> list[PointOut]:
    """Store points, all or none; returns all live points of the image."""
    image = services.image(engine.lab, image_id=image_id)
    additions = [
        Addition(
            image_id, Point(point.row, point.col, point.class_id), wanted.labeller, wanted.source, f"point {number}"
        )
        for number, point in enumerate(wanted.points, start=1)
    ]
    add_points_at_once(engine.lab, additions, project_id=image.project_id)
    engine.jobs.changed(image.project_id)
    return list_points(engine, image_id)


@router.delete("/images/{image_id}/points/{uid}")
def remove_point(
    engine: Own, image_id: Number, uid: Annotated[str, Path(max_length=200)], labeller: str = "api"
) -> None:
    """Remove a point."""
    image = services.image(engine.lab, image_id=image_id)
    applied = remove_points(engine.lab, [uid], image_id=image_id, labeller=labeller)
    _told(engine, applied, image.project_id)


def _class_id(labels: Sequence[ClassLabel], name: str | None) -> int | None:
    return None if name is None else services.class_named(labels, name)


def _told(engine: Own, applied: AppliedBatch, project_id: int) -> None:
    """Refuse what took no effect; let browsers that look on know of the rest."""
    if applied.refusals:
        raise InvalidPoints(applied.refusals[0].reason)
    engine.jobs.changed(project_id)


def _described(engine: Own, project_id: int) -> ProjectOut:
    dashboard = services.dashboard(engine.lab, project_id=project_id)
    return ProjectOut.of(dashboard.project, n_images=dashboard.n_images, n_points=dashboard.n_points)
