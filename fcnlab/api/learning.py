"""Models and masks."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Response, UploadFile
from numpy.typing import NDArray

from fcnlab.api.engine import Own
from fcnlab.api.projects import Number
from fcnlab.api.shapes import FitOut
from fcnlab.domain.project import ClassLabel
from fcnlab.services.predict.mask_bytes import index_mask
from fcnlab.services.projects import projects as services
from fcnlab.services.training.training_points import training_accuracy

router = APIRouter(tags=["learning"])

MaskFormat = Annotated[Literal["png", "npy"], Query(alias="format")]
"""png: 8 bits, pixel value = class id, class colours as palette; npy: uint8 (height, width) of class ids."""

MASK_RESPONSES: dict[int | str, dict[str, object]] = {
    200: {"content": {"image/png": {}, "application/octet-stream": {}}, "description": "class ids at full size"}
}


@router.post("/projects/{project_id}/fit")
def fit(engine: Own, project_id: Number) -> FitOut:
    """Learn from all points of a project and save the model. The same points make one model."""
    saved = engine.predictions.fit(project_id)
    return FitOut(
        checkpoint=saved.record.checkpoint,
        n_points=saved.record.n_points,
        training_accuracy=training_accuracy(saved.model),
        milliseconds=saved.record.milliseconds,
    )


@router.get("/images/{image_id}/mask", response_class=Response, responses=MASK_RESPONSES)
def get_mask(engine: Own, image_id: Number, as_format: MaskFormat = "png") -> Response:
    """The mask of an image: the one it kept when it was marked done, else predicted from the points of now."""
    image, mask = engine.predictions.mask(image_id)
    return _mask_response(mask, services.project(engine.lab, project_id=image.project_id).classes, as_format)


@router.post("/projects/{project_id}/predict", response_class=Response, responses=MASK_RESPONSES)
def predict(engine: Own, project_id: Number, file: UploadFile, as_format: MaskFormat = "png") -> Response:
    """The mask of an image file by what a project knows; on a file of the project its clicks and strokes are obeyed.

    Nothing is saved.
    """
    project, mask = engine.predictions.mask_of_picture(
        file.file.read(), name=file.filename or "picture", project_id=project_id
    )
    return _mask_response(mask, project.classes, as_format)


def _mask_response(mask: NDArray[np.uint8], labels: Sequence[ClassLabel], as_format: str) -> Response:
    if as_format == "png":
        return Response(index_mask(mask, labels), media_type="image/png")
    buffer = io.BytesIO()
    np.save(buffer, mask, allow_pickle=False)
    return Response(buffer.getvalue(), media_type="application/octet-stream")
