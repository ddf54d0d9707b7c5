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
def list_projects(own: Own) -> list[ProjectOut]:
    """All projects, archived ones too."""
    return [_described(own, one.id) for one in services.projects(own.lab, include_archived=True)]


@router.post("/projects", status_code=201)
def create_project(own: Own, wanted: ProjectIn) -> ProjectOut:
    """Make a project."""
    labels = services.labels_of(wanted.classes)
    is_said = "background" in wanted.model_fields_set
    made = services.create_project(
        own.lab,
        name=wanted.name,
        labels=labels,
        learner=LearnerSpec(object_mode=wanted.object_mode),
        background=_class_id(labels, wanted.background) if is_said else "by name",
    )
    return _described(own, made.id)


@router.get("/projects/{project_id}")
def get_project(own: Own, project_id: Number) -> ProjectOut:
    """One project."""
    return _described(own, project_id)


@router.put("/projects/{project_id}/background")
def set_background(own: Own, project_id: Number, wanted: BackgroundIn) -> ProjectOut:
    """Say which class is no object: it is not tinted, and formats of shapes leave it out."""
    class_id = _class_id(services.project(own.lab, project_id=project_id).classes, wanted.background)
    services.set_background(own.lab, project_id=project_id, class_id=class_id)
    own.jobs.changed(project_id)
    return _described(own, project_id)


@router.get("/projects/{project_id}/learner")
def get_learner(own: Own, project_id: Number) -> LearnerOut:
    """Settings of the instant learner."""
    return LearnerOut(**services.project(own.lab, project_id=project_id).learner.to_dict())


@router.put("/projects/{project_id}/learner")
def set_learner(own: Own, project_id: Number, wanted: LearnerIn) -> LearnerOut:
    """Change settings of the instant learner.

    Another encoder, weight file or scale is tried before it is stored, and makes every image be encoded again when it
    is next needed; points stay. What cannot work is refused, and the settings stay.
    """
    known = services.project(own.lab, project_id=project_id).learner
    learner = services.changed_learner(known, wanted.model_dump(exclude_unset=True))
    project = services.set_learner(own.lab, project_id=project_id, learner=learner)
    own.jobs.changed(project_id)
    return LearnerOut(**project.learner.to_dict())


@router.get("/projects/{project_id}/images")
def list_images(
    own: Own,
    project_id: Number,
    start: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    count: Annotated[int, Query(ge=1, le=PAGE)] = 100,
    state: ImageState | None = None,
) -> list[ImageOut]:
    """Images in import order, `count` of them from place `start` on."""
    services.project(own.lab, project_id=project_id)
    found = services.images(own.lab, project_id=project_id, state=state, start=start, count=count)
    return [ImageOut.of(one) for one in found]


@router.post("/projects/{project_id}/images")
def upload_images(
    own: Own, project_id: Number, files: Annotated[list[UploadFile], File()], with_masks: bool = False
) -> list[Uploaded]:
    """Import image files. Each is stored whole or refused by itself; content the project has is not stored again.

    A mask beside its picture, such as plant_mask.png and plant.jpg, is refused unless `with_masks` is true.
    """
    masks = {} if with_masks else masks_beside([one.filename or "unnamed" for one in files])
    pairs = (
        (name, mask_of(name, masks[name]) if name in masks else one.file.read())
        for one in files
        for name in [one.filename or "unnamed"]
    )
    try:
        return [
            Uploaded(name=step.name, image_id=step.image_id, duplicate=step.duplicate, refused=step.refused)
            for step in import_files(own.lab, pairs, project_id=project_id)
        ]
    finally:  # on a full disk some are stored
        own.jobs.changed(project_id)


@router.get("/images/{image_id}")
def get_image(own: Own, image_id: Number) -> ImageOut:
    """One image."""
    return ImageOut.of(services.image(own.lab, image_id=image_id))


@router.get("/images/{image_id}/picture", response_class=Response)
def get_picture(own: Own, image_id: Number) -> Response:
    """The upright 8-bit picture as a JPEG or PNG."""
    path = shown_file(own.lab, services.image(own.lab, image_id=image_id))
    return Response(path.read_bytes(), media_type="image/png" if path.suffix == ".png" else "image/jpeg")


@router.put("/images/{image_id}/state")
def set_state(own: Own, image_id: Number, wanted: StateIn) -> ImageOut:
    """Mark an image done, or reopen it."""
    applied = set_image_state(own.lab, image_id=image_id, state=wanted.state, labeller=wanted.labeller)
    image = services.image(own.lab, image_id=image_id)
    _told(own, applied, image.project_id)
    return ImageOut.of(image)


@router.get("/images/{image_id}/points")
def list_points(own: Own, image_id: Number) -> list[PointOut]:
    """Live points of an image."""
    services.image(own.lab, image_id=image_id)
    return [PointOut.of(one) for one in points_of_image(own.lab, image_id=image_id)]


@router.post("/images/{image_id}/points", status_code=201)
def add_points(own: Own, image_id: Number, wanted: PointsIn) -> list[PointOut]:
    """Store points, all or none; returns all live points of the image."""
    image = services.image(own.lab, image_id=image_id)
    additions = [
        Addition(image_id, Point(one.row, one.col, one.class_id), wanted.labeller, wanted.source, f"point {number}")
        for number, one in enumerate(wanted.points, start=1)
    ]
    add_points_at_once(own.lab, additions, project_id=image.project_id)
    own.jobs.changed(image.project_id)
    return list_points(own, image_id)


@router.delete("/images/{image_id}/points/{uid}")
def remove_point(own: Own, image_id: Number, uid: Annotated[str, Path(max_length=200)], labeller: str = "api") -> None:
    """Remove a point."""
    image = services.image(own.lab, image_id=image_id)
    applied = remove_points(own.lab, [uid], image_id=image_id, labeller=labeller)
    _told(own, applied, image.project_id)


def _class_id(labels: Sequence[ClassLabel], name: str | None) -> int | None:
    return None if name is None else services.class_named(labels, name)


def _told(own: Own, applied: AppliedBatch, project_id: int) -> None:
    """Refuse what took no effect; let browsers that look on know of the rest."""
    if applied.refusals:
        raise InvalidPoints(applied.refusals[0].reason)
    own.jobs.changed(project_id)


def _described(own: Own, project_id: int) -> ProjectOut:
    found = services.dashboard(own.lab, project_id=project_id)
    return ProjectOut.of(found.project, n_images=found.n_images, n_points=found.n_points)
