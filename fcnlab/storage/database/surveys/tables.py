"""The tables of cover surveys; see `tables`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, delete, false, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from fcnlab.storage.database.tables import PERHAPS_JSON, Base


class SurveyRow(Base):
    """A survey; `predicted_by` names the model whose masks are in `survey_images`, or is NULL."""

    __tablename__ = "surveys"
    __table_args__ = (Index("ix_surveys_project_id", "project_id", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    spec: Mapped[dict[str, Any]]
    labeller: Mapped[str]
    created_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    taught_at: Mapped[datetime | None]
    predicted_by: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)


class SurveyImageRow(Base):
    """An image of the population of a survey, asked about or not; `shares` by class id, of its predicted mask."""

    __tablename__ = "survey_images"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"), primary_key=True)
    stratum: Mapped[str]
    shares: Mapped[dict[str, Any] | None] = mapped_column(PERHAPS_JSON)


class SurveyPointRow(Base):
    """A pixel that a survey asks about; an answer is a class or "don't know", never both."""

    __tablename__ = "survey_points"
    __table_args__ = (
        CheckConstraint("class_id IS NULL OR NOT is_unknown", name="one_answer"),
        Index("ix_survey_points_survey_id", "survey_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("images.id"))
    row: Mapped[int]
    col: Mapped[int]
    class_id: Mapped[int | None]
    is_unknown: Mapped[bool] = mapped_column(default=False, server_default=false())
    labeller: Mapped[str]
    answered_at: Mapped[datetime | None]
    predicted: Mapped[int | None]


class SurveyTabRow(Base):
    """How far a browser tab came that answers a survey: the highest number of its answers that is stored."""

    __tablename__ = "survey_tabs"

    survey_id: Mapped[int] = mapped_column(ForeignKey("surveys.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)


def forget_surveys(session: Session, *, project_id: int, survey_id: int | None = None) -> None:
    """Delete a survey of a project with its points and answers; None: all of them."""
    chosen = [SurveyRow.project_id == project_id, *([] if survey_id is None else [SurveyRow.id == survey_id])]
    of_project = select(SurveyRow.id).where(*chosen)
    for table in (SurveyTabRow, SurveyPointRow, SurveyImageRow):
        session.execute(
            delete(table).where(table.survey_id.in_(of_project)).execution_options(synchronize_session=False)
        )
    session.execute(delete(SurveyRow).where(*chosen).execution_options(synchronize_session=False))
