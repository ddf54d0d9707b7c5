"""What the commands of surveys share: the survey that is meant, and how it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fcnlab.commands.common import found_project, say
from fcnlab.domain.survey import Survey

if TYPE_CHECKING:
    from fcnlab.lab import Lab

Command = TypeVar("Command", bound=Callable[..., Any])


def survey_argument(command: Command) -> Command:
    """The argument that names a survey."""
    return click.argument("name", metavar="SURVEY")(command)


def found_survey(lab: Lab, wanted: str, name: str) -> Survey:
    """The survey of that name or number in the project `wanted`. Raises UnknownProject, UnknownSurvey."""
    from fcnlab.services.surveys.surveys import find_survey

    return find_survey(lab, name, project_id=found_project(lab, wanted).id)


def survey_values(survey: Survey) -> dict[str, Any]:
    """A survey as plain values."""
    by = survey.predicted_by
    return {
        "id": survey.id,
        "project": survey.project_id,
        **survey.spec.to_dict(),
        "points": survey.n_points,
        "answered": survey.n_answered,
        "unknown": survey.n_unknown,
        "created_at": survey.created_at.isoformat(),
        "closed_at": None if survey.closed_at is None else survey.closed_at.isoformat(),
        "taught_at": None if survey.taught_at is None else survey.taught_at.isoformat(),
        "predicted_by": None if by is None else by.model,
    }


def survey_line(survey: Survey) -> str:
    """A survey in a line."""
    notes = [] if survey.is_open else ["closed"]
    if survey.predicted_by is not None:
        notes.append(f"predicted by {survey.predicted_by.model}")
    if survey.taught_at is not None:
        notes.append("its answers teach")
    unknown = f', {survey.n_unknown} "don\'t know"' if survey.n_unknown else ""
    more = "".join(f"; {note}" for note in notes)
    return (
        f"{survey.id:>4}  {survey.spec.name}: {survey.n_answered} of {survey.n_points} points answered{unknown}{more}"
    )


def write_to(path: Path, data: bytes) -> None:
    """Write a file and say so. Raises ExportFailed."""
    from fcnlab.services.surveys.answer_tables import write_file

    write_file(path, data)
    say(f"Wrote {path}")
