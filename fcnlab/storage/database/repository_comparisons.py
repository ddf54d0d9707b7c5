"""Queries about comparisons. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.comparison import Comparison
from fcnlab.domain.training import OPEN_STATES, TrainingState
from fcnlab.errors import UnknownComparison
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.tables import ComparisonRow, EpochRow, ModelRow, TrainingRow


def add_comparison(
    session: Session, *, project_id: int, spec: dict[str, Any], labeller: str, now: datetime
) -> Comparison:
    """Store a comparison that is about to start. Raises UnknownProject."""
    require_project(session, project_id=project_id)
    row = ComparisonRow(
        project_id=project_id,
        spec=spec,
        state=TrainingState.QUEUED.value,
        results={},
        labeller=labeller,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _comparison(row)


def comparison(session: Session, *, comparison_id: int) -> Comparison:
    """The comparison of that number. Raises UnknownComparison."""
    return _comparison(_row(session, comparison_id))


def comparisons(session: Session, *, project_id: int) -> tuple[Comparison, ...]:
    """The comparisons of a project, newest first."""
    query = select(ComparisonRow).where(ComparisonRow.project_id == project_id).order_by(ComparisonRow.id.desc())
    return tuple(_comparison(row) for row in session.scalars(query))


def record_results(session: Session, *, comparison_id: int, results: dict[str, Any]) -> None:
    """Add results to those a comparison has; one of the same key is replaced. Raises UnknownComparison."""
    row = _row(session, comparison_id)
    row.results = {**row.results, **results}
    session.flush()


def settle_comparison(session: Session, *, comparison_id: int) -> None:
    """Give a comparison the state that follows from its trainings: it goes on while one of them may.

    It failed only when all of them did.
    """
    query = select(TrainingRow.state).where(TrainingRow.comparison_id == comparison_id)
    states = {TrainingState(state) for state in session.scalars(query)}
    if not states:
        return
    if states == {TrainingState.QUEUED}:
        state = TrainingState.QUEUED
    elif states & OPEN_STATES:
        state = TrainingState.RUNNING
    else:
        over = (TrainingState.CANCELLED, TrainingState.FINISHED, TrainingState.FAILED)
        state = next(final for final in over if final in states)
    row = _row(session, comparison_id)
    row.state = state.value
    session.flush()


def delete_comparison(session: Session, *, comparison_id: int) -> tuple[int, ...]:
    """Delete a comparison and its trainings; those that were kept as a version stay, and are trainings like others.

    Returns the ids of the trainings deleted. Raises UnknownComparison.
    """
    row = _row(session, comparison_id)
    kept = set(session.scalars(select(ModelRow.training_id).where(ModelRow.training_id.is_not(None))))
    training_ids = session.scalars(select(TrainingRow.id).where(TrainingRow.comparison_id == comparison_id))
    gone = tuple(sorted(set(training_ids) - kept))
    for some in chunked(gone):
        session.execute(delete(EpochRow).where(EpochRow.training_id.in_(some)))
        session.execute(delete(TrainingRow).where(TrainingRow.id.in_(some)))
    session.execute(update(TrainingRow).where(TrainingRow.comparison_id == comparison_id).values(comparison_id=None))
    session.delete(row)
    session.flush()
    return gone


def _row(session: Session, comparison_id: int) -> ComparisonRow:
    row = session.get(ComparisonRow, comparison_id)
    if row is None:
        raise UnknownComparison(f"there is no comparison {comparison_id}; it may have been deleted")
    return row


def _comparison(row: ComparisonRow) -> Comparison:
    return Comparison(
        id=row.id,
        project_id=row.project_id,
        spec=row.spec,
        state=TrainingState(row.state),
        results=row.results,
        labeller=row.labeller,
        created_at=row.created_at,
    )
