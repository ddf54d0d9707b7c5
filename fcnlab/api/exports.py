"""Exports, made in the background and fetched when they are ready."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse
from pydantic import Field

from fcnlab.api.engine import Own
from fcnlab.api.projects import Number
from fcnlab.api.shapes import ExportOut, Strict
from fcnlab.domain.export import DEFAULT_FORMATS, LOCAL_FILES, ExportSpec, SplitBy, SplitSpec
from fcnlab.errors import UnknownExport
from fcnlab.services.export.formats import formats_from

if TYPE_CHECKING:
    ExportFormat = str
else:
    ExportFormat = StrEnum("ExportFormat", {each.name: each.name for each in formats_from()}, module=__name__)
    ExportFormat.__doc__ = "What an export can hold."

router = APIRouter(tags=["exports"])

JobId = Annotated[str, Path(max_length=64)]


class SplitIn(Strict):
    """Shares of train, val and test, the seed of the draw, and what stays together."""

    shares: tuple[float, float, float] = (0.7, 0.2, 0.1)
    seed: int = 0
    by: SplitBy = "look"


class ExportIn(Strict):
    """What to write; see `fcnlab export --help` for what each option does."""

    formats: list[ExportFormat] = Field(default=list(DEFAULT_FORMATS), min_length=1)
    done_only: bool = False
    with_points: bool = False
    image_ids: list[int] | None = None
    class_ids: list[int] | None = None
    instances: bool = False
    min_area: int = 0
    fill_holes: bool = False
    border: int = 0
    image_prefix: str = LOCAL_FILES
    split: SplitIn | None = None

    def spec(self) -> ExportSpec:
        """As the services take it. Raises ExportFailed: a number is out of range."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return ExportSpec(
            **{
                **values,
                "formats": tuple(dict.fromkeys(map(str, self.formats))),
                "image_ids": None if self.image_ids is None else tuple(self.image_ids),
                "class_ids": None if self.class_ids is None else tuple(self.class_ids),
                "split": None if self.split is None else SplitSpec(**self.split.model_dump()),
            }
        )


@router.post("/projects/{project_id}/exports", status_code=202)
def start_export(engine: Own, project_id: Number, wanted: ExportIn) -> ExportOut:
    """Begin an export; ask for it by its id until its state is finished."""
    return ExportOut.of(engine.exports.start(project_id, wanted.spec()))


@router.get("/exports/{job_id}")
def get_export(engine: Own, job_id: JobId) -> ExportOut:
    """How far an export is."""
    return ExportOut.of(engine.exports.job(job_id))


@router.get("/exports/{job_id}/file", response_class=Response)
def get_export_file(engine: Own, job_id: JobId) -> Response:
    """The zip of a finished export; it stays for a day."""
    job = engine.exports.job(job_id)
    if job.file is None or not job.file.is_file():
        raise UnknownExport(f"export {job_id} is {job.state}: its file is not there")
    return FileResponse(job.file, filename=job.file.name, media_type="application/zip")
