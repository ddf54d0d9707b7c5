"""Queries about cover surveys. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, bindparam, case, func, insert, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.survey import PredictedBy, Survey, SurveyAnswer, SurveyImage, SurveyPoint, SurveySpec
from fcnlab.errors import UnknownSurvey
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.repository_images import MAX_ID
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.surveys.tables import (
    SurveyImageRow,
    SurveyPointRow,
    SurveyRow,
    SurveyTabRow,
    forget_surveys,
)
from fcnlab.storage.database.tables import ImageRow

ROWS_AT_ONCE = 1000

Value = TypeVar("Value")
PlannedPoint = tuple[int, int, int]
"""Image id, row and column."""


def add_survey(
    session: Session,
    *,
    project_id: int,
    spec: SurveySpec,
    strata: Mapping[int, str],
    points: Sequence[PlannedPoint],
    labeller: str,
    now: datetime,
) -> Survey:
    """Store a survey with the images of its population, each in its stratum, and its points in the order of asking.

    Raises:
        UnknownProject: no such project.
    """
    require_project(session, project_id=project_id)
    row = SurveyRow(project_id=project_id, spec=spec.to_dict(), labeller=labeller, created_at=now)
    session.add(row)
    session.flush()
    images = [{"survey_id": row.id, "image_id": image_id, "stratum": stratum} for image_id, stratum in strata.items()]
    for some in chunked(images, ROWS_AT_ONCE):
        session.execute(insert(SurveyImageRow), list(some))
    _add_points(session, row.id, points)
    return survey(session, survey_id=row.id)


def add_points(session: Session, *, survey_id: int, spec: SurveySpec, points: Sequence[PlannedPoint]) -> None:
    """Make a survey larger: its plan of now, and further points behind those it has. Raises UnknownSurvey."""
    _row(session, survey_id).spec = spec.to_dict()
    session.flush()
    _add_points(session, survey_id, points)


def survey(session: Session, *, survey_id: int) -> Survey:
    """The survey of that number. Raises UnknownSurvey."""
    return _survey(_row(session, survey_id), _counts(session, [survey_id]).get(survey_id, (0, 0, 0)))


def surveys(session: Session, *, project_id: int) -> tuple[Survey, ...]:
    """The surveys of a project, newest first."""
    rows = list(
        session.scalars(select(SurveyRow).where(SurveyRow.project_id == project_id).order_by(SurveyRow.id.desc()))
    )
    counts = _counts(session, [row.id for row in rows])
    return tuple(_survey(row, counts.get(row.id, (0, 0, 0))) for row in rows)


def survey_images(session: Session, *, survey_id: int) -> tuple[SurveyImage, ...]:
    """The population of a survey, in import order."""
    query = (
        select(SurveyImageRow, ImageRow.name, ImageRow.height, ImageRow.width)
        .join(ImageRow, ImageRow.id == SurveyImageRow.image_id)
        .where(SurveyImageRow.survey_id == survey_id)
        .order_by(ImageRow.position, ImageRow.id)
    )
    return tuple(
        SurveyImage(
            row.image_id,
            name,
            (height, width),
            row.stratum,
            None if row.shares is None else {int(class_id): float(share) for class_id, share in row.shares.items()},
        )
        for row, name, height, width in session.execute(query)
    )


def survey_points(session: Session, *, survey_id: int) -> tuple[SurveyPoint, ...]:
    """The points of a survey in the order of asking, with their answers."""
    columns = (
        *(SurveyPointRow.id, SurveyPointRow.image_id, SurveyPointRow.row, SurveyPointRow.col, SurveyPointRow.class_id),
        *(SurveyPointRow.is_unknown, SurveyPointRow.labeller, SurveyPointRow.answered_at, SurveyPointRow.predicted),
    )
    query = select(*columns).where(SurveyPointRow.survey_id == survey_id).order_by(SurveyPointRow.id)
    return tuple(SurveyPoint(*row) for row in session.execute(query))


def record_answers(
    session: Session, *, survey_id: int, answers: Sequence[SurveyAnswer], labeller: str, now: datetime
) -> int:
    """Store answers, the last one of a point; how many of them are about points of the survey."""
    last = {answer.point_id: (answer.class_id, answer.is_unknown) for answer in answers}
    n_asked = Counter(answer.point_id for answer in answers)
    n_stored = 0
    for (class_id, is_unknown), point_ids in _by_value(last).items():
        is_answer = is_unknown or class_id is not None
        values: dict[str, Any] = {
            "class_id": class_id,
            "is_unknown": is_unknown,
            "labeller": labeller if is_answer else "",
            "answered_at": now if is_answer else None,
        }
        for some in chunked(point_ids):
            where = SurveyPointRow.survey_id == survey_id, SurveyPointRow.id.in_(some)
            n_stored += sum(n_asked[point_id] for point_id in session.scalars(select(SurveyPointRow.id).where(*where)))
            _change_points(session, where, values)
    return n_stored


def asked_points(session: Session, *, survey_id: int, point_ids: Sequence[int]) -> set[int]:
    """Those of these points that the survey asks about."""
    asked: set[int] = set()
    for some in chunked([point_id for point_id in point_ids if 0 < point_id <= MAX_ID]):
        where = SurveyPointRow.survey_id == survey_id, SurveyPointRow.id.in_(some)
        asked |= set(session.scalars(select(SurveyPointRow.id).where(*where)))
    return asked


def acknowledged(session: Session, *, survey_id: int, client_id: str) -> int:
    """The highest number of an answer that is stored of a browser tab; 0 when there is none."""
    row = session.get(SurveyTabRow, (survey_id, client_id))
    return 0 if row is None else row.seq


def acknowledge(session: Session, *, survey_id: int, client_id: str, seq: int) -> None:
    """Answers of a browser tab up to this number are stored."""
    session.merge(SurveyTabRow(survey_id=survey_id, client_id=client_id, seq=seq))


def close_survey(session: Session, *, survey_id: int, now: datetime | None) -> None:
    """A survey takes no answers any more; None: it does again. Raises UnknownSurvey."""
    _row(session, survey_id).closed_at = now
    session.flush()


def note_taught(session: Session, *, survey_id: int, now: datetime) -> None:
    """The answers of a survey are points of its project from now on. Raises UnknownSurvey."""
    _row(session, survey_id).taught_at = now
    session.flush()


def record_predictions(
    session: Session,
    *,
    survey_id: int,
    predicted_by: PredictedBy,
    shares: Mapping[int, Mapping[int, float]],
    predicted: Mapping[int, int],
) -> None:
    """Store what a model predicts: shares of class ids by image id, and class ids by point id. Raises UnknownSurvey."""
    row = _row(session, survey_id)
    row.predicted_by = {"model": predicted_by.model, "revision": predicted_by.revision, "at": predicted_by.at}
    images: list[dict[str, Any]] = [
        {"of_image": image_id, "new_shares": {str(class_id): share for class_id, share in of_image.items()}}
        for image_id, of_image in shares.items()
    ]
    image_where = SurveyImageRow.survey_id == survey_id, SurveyImageRow.image_id == bindparam("of_image")
    change = update(SurveyImageRow).where(*image_where).values(shares=bindparam("new_shares"))
    session.flush()
    for part in chunked(images, ROWS_AT_ONCE):
        session.connection().execute(change, list(part))
    for class_id, point_ids in _by_value(predicted).items():
        for some in chunked(point_ids):
            where = SurveyPointRow.survey_id == survey_id, SurveyPointRow.id.in_(some)
            _change_points(session, where, {"predicted": class_id})
    session.expire_all()


def delete_survey(session: Session, *, survey_id: int) -> None:
    """Delete a survey with its answers. Raises UnknownSurvey."""
    row = _row(session, survey_id)
    forget_surveys(session, project_id=row.project_id, survey_id=survey_id)
    session.expire_all()


def _add_points(session: Session, survey_id: int, points: Sequence[PlannedPoint]) -> None:
    rows = [
        {"survey_id": survey_id, "image_id": image_id, "row": row, "col": col, "labeller": ""}
        for image_id, row, col in points
    ]
    for some in chunked(rows, ROWS_AT_ONCE):
        session.execute(insert(SurveyPointRow), list(some))


def _row(session: Session, survey_id: int) -> SurveyRow:
    row = session.get(SurveyRow, survey_id)
    if row is None:
        raise UnknownSurvey(f"there is no survey {survey_id}; it may have been deleted")
    return row


def _counts(session: Session, survey_ids: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    """Points, answered ones, and those answered "don't know", by survey."""
    answered = case((SurveyPointRow.class_id.is_not(None) | SurveyPointRow.is_unknown, 1), else_=0)
    unknown = case((SurveyPointRow.is_unknown, 1), else_=0)
    counts = {}
    for some in chunked(survey_ids):
        query = (
            select(SurveyPointRow.survey_id, func.count(), func.sum(answered), func.sum(unknown))
            .where(SurveyPointRow.survey_id.in_(some))
            .group_by(SurveyPointRow.survey_id)
        )
        for survey_id, n_points, n_answered, n_unknown in session.execute(query):
            counts[survey_id] = int(n_points), int(n_answered), int(n_unknown)
    return counts


def _survey(row: SurveyRow, counts: tuple[int, int, int]) -> Survey:
    return Survey(
        row.id,
        row.project_id,
        SurveySpec.from_dict(row.spec),
        row.labeller,
        row.created_at,
        row.closed_at,
        row.taught_at,
        *counts,
        predicted_by=None if row.predicted_by is None else PredictedBy(**row.predicted_by),
    )


def _by_value(values: Mapping[int, Value]) -> dict[Value, list[int]]:
    """Keys by their value: what gets the same is written together."""
    keys: dict[Value, list[int]] = {}
    for key, value in values.items():
        keys.setdefault(value, []).append(key)
    return keys


def _change_points(session: Session, where: Sequence[ColumnElement[bool]], values: Mapping[str, Any]) -> None:
    change = update(SurveyPointRow).where(*where).values(**values)
    session.execute(change.execution_options(synchronize_session=False))
