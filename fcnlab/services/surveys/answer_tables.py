"""The points of a survey as a table that can be answered anywhere, and its answers back: all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fcnlab.domain.project import ClassLabel
from fcnlab.domain.survey import Survey, SurveyAnswer, SurveyPoint
from fcnlab.errors import ExportFailed, InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.surveys.surveys import answer
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.surveys import repository as repository_surveys
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.tables.answers_csv import UNKNOWN, AnswerRow, answers_csv, read_answers_csv
from fcnlab.storage.formats.tables.table import TableLine

Pixel = tuple[str, int, int]
"""Name of an image, row and column."""


@dataclass(frozen=True, slots=True)
class AnswersImported:
    """How many answers of a table were new or other than before, and how many lines said what was stored already or
    nothing."""

    survey: Survey
    changed: int
    passed_over: int


def points_table(lab: Lab, *, survey_id: int) -> bytes:
    """The points of a survey as CSV, in the order of asking, with the answers there are; nothing of what is predicted.

    Raises:
        UnknownSurvey: no such survey.
    """
    with reading(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        points = repository_surveys.survey_points(session, survey_id=survey_id)
        images = {each.image_id: each for each in repository_surveys.survey_images(session, survey_id=survey_id)}
        classes = repository_projects.project(session, project_id=survey.project_id).classes
        removed = repository_images.removed_classes(session, project_id=survey.project_id)
    names = {label.id: label.name for label in (*removed, *classes)}
    rows: list[AnswerRow] = []
    for point in points:
        image = images[point.image_id]
        at = "" if point.answered_at is None else point.answered_at.isoformat()
        rows.append((image.name, point.row, point.col, _word(point, names), image.stratum, point.labeller, at))
    return answers_csv(rows)


def import_answers(lab: Lab, file: Path, *, survey_id: int, labeller: str) -> AnswersImported:
    """Store the answers of a table, all or none. An empty class leaves a point as it is, "?" is "don't know".

    Args:
        lab: the installation.
        file: columns image, row, col and class, as `points_table` writes them.
        survey_id: whose points they are about.
        labeller: whose answers they are; those that are stored already keep theirs.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: a line is wrong, and the message names it, or the survey is closed. Nothing was stored.
    """
    lines = read_answers_csv(file)
    with reading(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        points = repository_surveys.survey_points(session, survey_id=survey_id)
        images = {each.image_id: each for each in repository_surveys.survey_images(session, survey_id=survey_id)}
        classes = repository_projects.project(session, project_id=survey.project_id).classes
        removed = repository_images.removed_classes(session, project_id=survey.project_id)
    names = {label.id: label.name for label in (*removed, *classes)}
    point_at = {(images[point.image_id].name, point.row, point.col): point for point in points}
    stored_words = {point.id: _word(point, names) for point in points}
    answers = []
    for line in lines:
        try:
            point = _point_of(line, point_at)
            word = line.values["class"].strip()
            if word and word != stored_words[point.id]:
                answers.append(_answer(point, word, classes))
                stored_words[point.id] = word
        except InvalidSurvey as refusal:
            raise InvalidSurvey(f"{file}, line {line.line}: {refusal}") from refusal
    stored = answer(lab, answers, survey_id=survey_id, project_id=survey.project_id, labeller=labeller)
    return AnswersImported(stored, len(answers), len(lines) - len(answers))


def write_file(path: Path, data: bytes) -> None:
    """Write a file, whole. Raises ExportFailed."""
    try:
        write_whole(path, data)
    except OSError as failure:
        raise ExportFailed(
            f"{path} cannot be written ({failure.strerror or failure}); choose another folder"
        ) from failure


def _word(point: SurveyPoint, names: Mapping[int, str]) -> str:
    """An answer as the table has it."""
    if point.class_id is not None:
        return names[point.class_id]
    return UNKNOWN if point.is_unknown else ""


def _point_of(line: TableLine, point_at: Mapping[Pixel, SurveyPoint]) -> SurveyPoint:
    name, row, col = line.values["image"], line.values["row"].strip(), line.values["col"].strip()
    if not (row.isascii() and row.isdigit() and col.isascii() and col.isdigit()) or max(len(row), len(col)) > 10:
        raise InvalidSurvey(f"row {row!r} and col {col!r} are not both whole numbers from 0 on")
    point = point_at.get((name, int(row), int(col)))
    if point is None:
        raise InvalidSurvey(f"the survey does not ask about row {row}, column {col} of image {name!r}")
    return point


def _answer(point: SurveyPoint, word: str, classes: Sequence[ClassLabel]) -> SurveyAnswer:
    if word == UNKNOWN:
        return SurveyAnswer(point.id, is_unknown=True)
    for label in classes:
        if label.name == word:
            return SurveyAnswer(point.id, label.id)
    for label in classes:
        if label.name.casefold() == word.casefold():
            return SurveyAnswer(point.id, label.id)
    choices = ", ".join(label.name for label in classes)
    raise InvalidSurvey(f"no class is called {word!r}: write {choices}, or {UNKNOWN} for don't know")
