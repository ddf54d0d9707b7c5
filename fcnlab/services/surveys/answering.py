"""Answers as a browser sends them: what can be stored is, once, and what cannot be is said point by point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fcnlab.domain.survey import SurveyAnswer
from fcnlab.errors import Deleted, UnknownProject, UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.surveys.surveys import refuse_unanswerable
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.surveys import repository as repository_surveys
from fcnlab.validation import clean_name

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


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """What became of a log: answers up to number `acknowledged` of the tab are stored or refused."""

    acknowledged: int
    refused: tuple[RefusedAnswer, ...]


def store_answers(
    lab: Lab, log: Sequence[NumberedAnswer], *, client_id: str, survey_id: int, project_id: int, labeller: str
) -> StoredAnswers:
    """Store the answers of a browser tab that are new, and tell those that cannot be: it would send them for ever.

    Answers up to the last acknowledged one are passed over, so that a log may come twice, and late.

    Raises:
        Deleted: the survey is gone.
        InvalidSurvey: it is closed. Nothing was stored.
    """
    who = clean_name(labeller)
    try:
        with writing(lab.sessions) as session:
            refuse_unanswerable(session, survey_id=survey_id, project_id=project_id)
            last = repository_surveys.acknowledged(session, survey_id=survey_id, client_id=client_id)
            fresh = [numbered.answer for numbered in log if numbered.seq > last]
            ids = [given.point_id for given in fresh]
            asked = repository_surveys.asked_points(session, survey_id=survey_id, point_ids=ids)
            classes = repository_projects.project(session, project_id=project_id).class_ids()
            refused = {
                given.point_id: RefusedAnswer(given.point_id, NO_CLASS, True)
                if given.point_id in asked
                else RefusedAnswer(given.point_id, NOT_ASKED, False)
                for given in fresh
                if given.point_id not in asked or (given.class_id is not None and given.class_id not in classes)
            }
            kept = [given for given in fresh if given.point_id not in refused]
            repository_surveys.record_answers(session, survey_id=survey_id, answers=kept, labeller=who, now=lab.clock())
            last = max([last, *(numbered.seq for numbered in log)])
            repository_surveys.acknowledge(session, survey_id=survey_id, client_id=client_id, seq=last)
    except (UnknownSurvey, UnknownProject) as failure:
        raise Deleted(GONE) from failure
    return StoredAnswers(last, tuple(refused.values()))
