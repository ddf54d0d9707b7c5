"""The REST service as one ASGI application."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

import fcnlab
from fcnlab.access import FrontDoor, service_rules
from fcnlab.api import exports, label_studio, learning, projects, surveys, tags
from fcnlab.api.engine import ApiEngine
from fcnlab.api.guard import Guard, UploadLimit
from fcnlab.errors import (
    DatabaseUnavailable,
    FcnlabError,
    NameTaken,
    NoPoints,
    StorageFull,
    UnknownExport,
    UnknownImage,
    UnknownModel,
    UnknownProject,
    UnknownSurvey,
    storage_failure,
)
from fcnlab.lab import Lab
from fcnlab.services.export.jobs import ExportJobs
from fcnlab.services.installation.sweeping import sweep_quietly
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.predictions import Predictions
from fcnlab.services.surveys.jobs import SurveyJobs
from fcnlab.services.tags.jobs import TagJobs

PREFIX = "/api/v1"
log = logging.getLogger(__name__)
RESPONSE_POLICY = "default-src 'none'; frame-ancestors 'none'"
DOCS_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src https://cdn.jsdelivr.net; "
    "img-src data: https://fastapi.tiangolo.com; connect-src 'self'; frame-ancestors 'none'"
)
"""FastAPI's page of documentation loads its viewer from there."""
STATUS: dict[type[FcnlabError], int] = {
    UnknownProject: 404,
    UnknownImage: 404,
    UnknownModel: 404,
    UnknownExport: 404,
    UnknownSurvey: 404,
    NoPoints: 409,
    NameTaken: 409,
    DatabaseUnavailable: 503,
    StorageFull: 507,
}
"""Failures that are not the fault of what was sent, which is 400."""

ABOUT = (
    "Projects, images, points, masks, tags, surveys and exports for scripts and other tools. Show the token of the "
    'file that `fcnlab serve` names as `Authorization: Bearer TOKEN`. Every failure is `{"error": "..."}` and says '
    "what to do next."
)


def make_service(lab: Lab, *, token: str | None) -> FastAPI:
    """The service of an installation; its compute thread starts with it and ends with it.

    Args:
        token: what every request has to show; None: nothing, for a service that only this machine reaches.
    """

    @asynccontextmanager
    async def serving(service: FastAPI) -> AsyncIterator[None]:
        jobs = Jobs(lab)
        jobs.warm_up()
        threading.Thread(target=sweep_quietly, args=(lab,), name="fcnlab-sweep", daemon=True).start()
        service.state.engine = ApiEngine(
            lab, jobs, Predictions(lab, jobs), ExportJobs(lab, jobs), SurveyJobs(lab, jobs), TagJobs(lab, jobs)
        )
        yield
        jobs.close()

    service = FastAPI(title="fcnlab", version=fcnlab.__version__, description=ABOUT, lifespan=serving)
    service.add_middleware(UploadLimit, most_bytes=lab.settings.api_upload_mb * 1_000_000)
    if token is not None:
        service.add_middleware(Guard, token=token)
    service.add_middleware(  # the one added last is asked first
        FrontDoor,
        rules=service_rules(lab.settings, has_token=token is not None),
        policy=lambda path: DOCS_POLICY if path == "/docs" else RESPONSE_POLICY,
        speaks_json=True,
    )
    service.add_exception_handler(FcnlabError, _explained)
    service.add_exception_handler(OSError, _without_room)
    service.add_exception_handler(RequestValidationError, _misshapen)
    service.add_exception_handler(HTTPException, _http_failure)
    for part in (projects.router, learning.router, exports.router, surveys.router, tags.router):
        service.include_router(part, prefix=PREFIX)
    service.include_router(label_studio.router)

    @service.get("/health", tags=["service"])
    def health() -> dict[str, str]:
        """Whether the service lives; needs no token."""
        return {"status": "UP", "model_class": "fcnlab", "version": fcnlab.__version__}

    return service


def _misshapen(_request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, RequestValidationError)
    first = failure.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    return JSONResponse({"error": f"{field}: {first['msg']}; /docs shows what is wanted"}, status_code=422)


def _http_failure(_request: Request, failure: Exception) -> JSONResponse:
    assert isinstance(failure, HTTPException)
    return JSONResponse({"error": f"{failure.detail}; /docs lists all addresses"}, status_code=failure.status_code)


def _without_room(request: Request, failure: Exception) -> JSONResponse:
    explained = storage_failure(failure) if isinstance(failure, OSError) else None
    if explained is None:
        raise failure
    return _explained(request, explained)


def _explained(request: Request, failure: Exception) -> JSONResponse:
    """The failure as JSON, and a line in the log: Label Studio shows its users nothing but the status."""
    log.info("%s %s refused: %s", request.method, request.scope["path"], failure)
    status = next((code for kind, code in STATUS.items() if isinstance(failure, kind)), 400)
    return JSONResponse({"error": str(failure)}, status_code=status)
