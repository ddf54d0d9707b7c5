"""What the REST service takes and gives, as OpenAPI describes it. Rows and columns are pixels of the upright full-size
image, 0 = top, left."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fcnlab.domain.events import PointSource, StoredPoint
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import Project
from fcnlab.services.export.jobs import ExportJob


class Strict(BaseModel):
    """What comes in: a name nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


class ClassOut(BaseModel):
    """A class of a project."""

    id: int
    name: str
    colour: str


class ProjectIn(Strict):
    """A new project.

    `background` names the class that is no object, null says there is none; left out, it is a class called background
    or in a like way, if there is one.
    """

    name: str = Field(min_length=1, max_length=200)
    classes: list[str] = Field(default=["background", "object"], min_length=1, max_length=255)
    object_mode: bool = False
    background: str | None = None


class BackgroundIn(Strict):
    """Which class is no object, by name; null: no class is background."""

    background: str | None


class LearnerIn(Strict):
    """Settings of the instant learner to change; those left out stay.

    `encoder_weights` is the whole path of a .safetensors or .pth file on the server, in a folder of
    FCNLAB_IMPORT_ROOTS; empty for the usual trained weights, as it becomes when `encoder` is changed alone.
    `resolution` is in image pixels per labelled pixel; null: by `working_side` alone. `grades` are the ids of classes
    that are grades of one thing, the lowest first; empty: no class has an order.
    """

    encoder: str = Field(default_factory=str, max_length=200)
    encoder_weights: str = Field(default_factory=str, max_length=4000)
    scales: list[float] = Field(default_factory=list, max_length=8)
    working_side: int = Field(default_factory=int)
    object_mode: bool = Field(default_factory=bool)
    refine: bool = Field(default_factory=bool)
    class_weight: Literal["balanced", "none"] = Field(default_factory=lambda: "balanced")
    regularisation: float = Field(default_factory=float)
    position: bool = Field(default_factory=bool)
    resolution: float | Literal["auto"] | None = None
    grades: list[int] = Field(default_factory=list, max_length=255)


class LearnerOut(BaseModel):
    """All settings of the instant learner of a project; see LearnerIn."""

    encoder: str
    encoder_weights: str
    scales: list[float]
    working_side: int
    object_mode: bool
    refine: bool
    class_weight: Literal["balanced", "none"]
    regularisation: float
    position: bool
    resolution: float | Literal["auto"] | None
    grades: list[int] = Field(default_factory=list)


class ProjectOut(BaseModel):
    """A project. `model_id` makes its masks; null: the instant learner. `background` is the id of the class that is no
    object; null: there is none."""

    id: int
    name: str
    classes: list[ClassOut]
    archived: bool
    model_id: int | None
    background: int | None
    n_images: int
    n_points: int

    @classmethod
    def of(cls, project: Project, *, n_images: int, n_points: int) -> ProjectOut:
        """From the values of the services."""
        return cls(
            id=project.id,
            name=project.name,
            classes=[ClassOut(id=label.id, name=label.name, colour=label.colour) for label in project.classes],
            archived=project.archived,
            model_id=project.model_id,
            background=project.background,
            n_images=n_images,
            n_points=n_points,
        )


class ImageOut(BaseModel):
    """An image of a project."""

    id: int
    project_id: int
    name: str
    height: int
    width: int
    state: ImageState
    n_points: int
    content_hash: str

    @classmethod
    def of(cls, image: ImageInfo) -> ImageOut:
        """From the value of the services."""
        return cls(**{name: getattr(image, name) for name in cls.model_fields})


class Uploaded(BaseModel):
    """What became of one uploaded file: an image, or the reason why there is none."""

    name: str
    image_id: int | None
    duplicate: bool
    refused: str | None


class StateIn(Strict):
    """How far an image has come."""

    state: ImageState
    labeller: str = Field(default="api", max_length=200)


class PointIn(Strict):
    """A labelled pixel."""

    row: int
    col: int
    class_id: int


class PointsIn(Strict):
    """Labelled pixels of one image, saved all or none."""

    points: list[PointIn] = Field(min_length=1, max_length=100_000)
    labeller: str = Field(default="api", max_length=200)
    source: PointSource = PointSource.CLICK


class PointOut(BaseModel):
    """A saved point; `uid` never changes."""

    uid: str
    row: int
    col: int
    class_id: int
    labeller: str
    source: PointSource
    created_at: str

    @classmethod
    def of(cls, stored: StoredPoint) -> PointOut:
        """From the value of the services."""
        return cls(
            uid=stored.uid,
            row=stored.point.row,
            col=stored.point.col,
            class_id=stored.point.class_id,
            labeller=stored.labeller,
            source=stored.source,
            created_at=stored.created_at.isoformat(),
        )


class FitOut(BaseModel):
    """A saved model of the instant learner."""

    checkpoint: str
    n_points: int
    training_accuracy: float
    milliseconds: float


class ExportOut(BaseModel):
    """An export: fetch `file` when its state is finished."""

    id: str
    state: Literal["running", "finished", "failed"]
    phase: str | None
    done: int
    total: int
    left_out: list[dict[str, str]]
    message: str
    file: str | None

    @classmethod
    def of(cls, job: ExportJob) -> ExportOut:
        """From the value of the services."""
        step = job.progress
        left_out: list[dict[str, Any]] = [
            {"image": name, "reason": reason} for name, reason in (step.left_out if step else ())
        ]
        return cls(
            id=job.id,
            state=job.state,
            phase=step.phase if step else None,
            done=step.done if step else 0,
            total=step.total if step else 0,
            left_out=left_out,
            message=job.message,
            file=f"/api/v1/exports/{job.id}/file" if job.state == "finished" else None,
        )
