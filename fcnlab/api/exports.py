"""Exports, made in the background and fetched when they are ready."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import FileResponse
from pydantic import Field

from fcnlab.api.engine import Own
from fcnlab.api.projects import Number
from fcnlab.api.shapes import ExportOut, Strict
from fcnlab.errors import ExportFailed
from fcnlab.services.exporting import DEFAULT_FORMATS, ExportFormat, ExportSpec

router = APIRouter(tags=["exports"])

JobId = Annotated[str, Path(max_length=64)]


class ExportIn(Strict):
    """What to write."""

    formats: list[ExportFormat] = Field(default=list(DEFAULT_FORMATS), min_length=1)
    done_only: bool = False


@router.post("/projects/{project_id}/exports", status_code=202)
def start_export(own: Own, project_id: Number, wanted: ExportIn) -> ExportOut:
    """Begin an export; ask for it by its id until its state is finished."""
    spec = ExportSpec(tuple(dict.fromkeys(wanted.formats)), done_only=wanted.done_only)
    return ExportOut.of(own.exports.start(project_id, spec))


@router.get("/exports/{job_id}")
def get_export(own: Own, job_id: JobId) -> ExportOut:
    """How far an export is."""
    return ExportOut.of(own.exports.job(job_id))


@router.get("/exports/{job_id}/file", response_class=Response)
def get_export_file(own: Own, job_id: JobId) -> Response:
    """The zip of a finished export; it stays for a day."""
    job = own.exports.job(job_id)
    if job.file is None or not job.file.is_file():
        raise ExportFailed(f"export {job_id} is {job.state}: its file is not there")
    return FileResponse(job.file, filename=job.file.name, media_type="application/zip")
