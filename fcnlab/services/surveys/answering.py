"""Answers as a browser sends them: what can be stored is, and what cannot be is said point by point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcnlab.domain.survey import SurveyAnswer
from fcnlab.errors import Deleted, UnknownProject, UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import project
from fcnlab.services.surveys.surveys import answer, survey_points

GONE = "this survey was deleted: plan another one"
NOT_ASKED = "it is not asked about any more: its image was deleted"
NO_CLASS = "the class answered there was removed: answer it again"


@dataclass(frozen=True, slots=True)
class NumberedAnswer:
    """An answer with its number in the log of a browser tab."""

    seq: int
    answer: SurveyAnswer


@dataclass(frozen=True, slots=True)
class RefusedAnswer:
    """The point whose answer was not stored, why, and whether it can be answered otherwise."""

    point_id: int
    reason: str
    asks_again: bool


def store_answers(
    lab: Lab, answers: Sequence[SurveyAnswer], *, survey_id: int, project_id: int, labeller: str
) -> tuple[RefusedAnswer, ...]:
    """Store answers, and tell those that cannot be: a browser would send them for ever.

    Raises:
        Deleted: the survey is gone.
        InvalidSurvey: it is closed. Nothing was stored.
    """
    try:
        asked = {point.id for point in survey_points(lab, survey_id=survey_id)}
        classes = project(lab, project_id=project_id).class_ids()
        refused = {
            given.point_id: RefusedAnswer(
                given.point_id, NO_CLASS if given.point_id in asked else NOT_ASKED, given.point_id in asked
            )
            for given in answers
            if given.point_id not in asked or (given.class_id is not None and given.class_id not in classes)
        }
        kept = [given for given in answers if given.point_id not in refused]
        answer(lab, kept, survey_id=survey_id, project_id=project_id, labeller=labeller)
    except (UnknownSurvey, UnknownProject) as failure:
        raise Deleted(GONE) from failure
    return tuple(refused.values())
