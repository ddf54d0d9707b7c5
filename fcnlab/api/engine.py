"""What the REST service works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from fcnlab.lab import Lab
from fcnlab.services.export.jobs import ExportJobs
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.live.predictions import Predictions
from fcnlab.services.surveys.jobs import SurveyJobs
from fcnlab.services.tags.jobs import TagJobs


@dataclass(frozen=True, slots=True)
class ApiEngine:
    """One installation behind the service."""

    lab: Lab
    jobs: Jobs
    predictions: Predictions
    exports: ExportJobs
    surveys: SurveyJobs
    tags: TagJobs


def engine_of(request: Request) -> ApiEngine:
    """The engine of the service that a request reached."""
    engine = request.app.state.engine
    assert isinstance(engine, ApiEngine)
    return engine


Own = Annotated[ApiEngine, Depends(engine_of)]
"""A parameter that is the engine."""
