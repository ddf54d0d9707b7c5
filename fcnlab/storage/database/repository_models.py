"""Queries about models. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from fcnlab.domain.models import ModelDraft, ModelKind, ModelRecord
from fcnlab.domain.scores import score_from_dict, score_to_dict
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import UnknownModel
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.tables import ModelRow, ProjectRow


def add_model(session: Session, *, project_id: int, draft: ModelDraft, now: datetime) -> ModelRecord:
    """Store that a model was made and where its file lies. Raises UnknownProject."""
    require_project(session, project_id=project_id)
    row = ModelRow(
        project_id=project_id,
        name=draft.name,
        kind=draft.kind.value,
        spec=draft.spec,
        training=None if draft.training is None else draft.training.to_dict(),
        classes=[list(id_and_name) for id_and_name in draft.classes],
        point_set_hash=draft.point_set_hash,
        n_points=draft.n_points,
        score=None if draft.score is None else score_to_dict(draft.score),
        parent_id=draft.parent_id,
        training_id=draft.training_id,
        labeller=draft.labeller,
        file=draft.file,
        size=draft.size,
        seconds=draft.seconds,
        created_at=now,
        removed_at=None,
    )
    session.add(row)
    session.flush()
    return _model(row)


def model(session: Session, *, model_id: int) -> ModelRecord:
    """The model of that number, removed ones too. Raises UnknownModel."""
    return _model(_row(session, model_id))


def models(session: Session, *, project_id: int, include_removed: bool = False) -> tuple[ModelRecord, ...]:
    """The models of a project, newest first."""
    query = select(ModelRow).where(ModelRow.project_id == project_id).order_by(ModelRow.id.desc())
    if not include_removed:
        query = query.where(ModelRow.removed_at.is_(None))
    return tuple(_model(row) for row in session.scalars(query))


def rename_model(session: Session, *, model_id: int, name: str) -> ModelRecord:
    """Give a model another name. Raises UnknownModel."""
    row = _row(session, model_id)
    row.name = name
    session.flush()
    return _model(row)


def remove_model(session: Session, *, model_id: int, now: datetime) -> ModelRecord:
    """Take a model out of the list; a project that uses it goes back to the instant learner. Raises UnknownModel."""
    row = _row(session, model_id)
    row.removed_at = now
    project = session.get(ProjectRow, row.project_id)
    if project is not None and project.model_id == model_id:
        project.model_id = None
    session.flush()
    return _model(row)


def use_model(session: Session, *, project_id: int, model_id: int | None) -> None:
    """Let a project's masks be made by one of its models; None stands for the instant learner.

    Raises:
        UnknownProject: no such project.
        UnknownModel: the project has no such model, or it was removed.
    """
    require_project(session, project_id=project_id)
    if model_id is not None:
        row = _row(session, model_id)
        if row.project_id != project_id or row.removed_at is not None:
            raise UnknownModel(f"project {project_id} has no version {model_id}; it may have been removed")
    project = session.get(ProjectRow, project_id)
    assert project is not None
    project.model_id = model_id
    session.flush()


def _row(session: Session, model_id: int) -> ModelRow:
    row = session.get(ModelRow, model_id)
    if row is None:
        raise UnknownModel(f"there is no version {model_id}; it may have been deleted with its project")
    return row


def _model(row: ModelRow) -> ModelRecord:
    return ModelRecord(
        id=row.id,
        project_id=row.project_id,
        name=row.name,
        kind=ModelKind(row.kind),
        spec=row.spec,
        training=None if row.training is None else TrainingSpec.from_dict(row.training),
        classes=tuple((class_id, name, colour) for class_id, name, colour in row.classes),
        point_set_hash=row.point_set_hash,
        n_points=row.n_points,
        score=None if row.score is None else score_from_dict(row.score),
        parent_id=row.parent_id,
        training_id=row.training_id,
        labeller=row.labeller,
        file=row.file,
        size=row.size,
        seconds=row.seconds,
        created_at=row.created_at,
        removed_at=row.removed_at,
    )
