"""What the REST service works with, and who may use it."""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Request

from fcnlab.lab import Lab
from fcnlab.services.answering import Answers
from fcnlab.services.export_jobs import ExportJobs
from fcnlab.services.jobs import Jobs


@dataclass(frozen=True, slots=True)
class ApiEngine:
    """One installation behind the service. `token` is None when everybody may ask."""

    lab: Lab
    jobs: Jobs
    answers: Answers
    exports: ExportJobs
    token: str | None


def engine_of(request: Request) -> ApiEngine:
    """The engine of the service that a request reached."""
    found = request.app.state.engine
    assert isinstance(found, ApiEngine)
    return found


def require_token(request: Request) -> None:
    """Let a request pass that shows the token: as `Authorization: Bearer TOKEN`, or as the password of basic
    authentication, which is what Label Studio can send.

    Raises:
        HTTPException: 401 without the token.
    """
    token = engine_of(request).token
    if token is None:
        return
    kind, _, shown = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        shown = _password(shown)
    elif kind.lower() != "bearer":
        shown = ""
    if not secrets.compare_digest(shown.strip().encode(), token.encode()):
        raise HTTPException(
            401,
            "show the token that `fcnlab serve` names: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": "Bearer"},
        )


Own = Annotated[ApiEngine, Depends(engine_of)]
"""A parameter that is the engine."""


def _password(shown: str) -> str:
    try:
        return base64.b64decode(shown, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""
