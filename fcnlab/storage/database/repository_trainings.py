"""Queries about trainings and their curves. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import score_from_plain, score_to_plain
from fcnlab.domain.training import OPEN_STATES, Epoch, Training, TrainingProgress, TrainingSpec, TrainingState, Wanted
from fcnlab.errors import UnknownTraining
from fcnlab.storage.database.repository_comparisons import settle_comparison
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.tables_training import EpochRow, TrainingRow

FOR_A_WORKER = (TrainingState.QUEUED, TrainingState.RUNNING)
"""States in which a training wants a worker: running, with none at work, means that it was interrupted."""


def add_training(
    session: Session,
    *,
    project_id: int,
    network: NetworkSpec,
    training: TrainingSpec,
    image_ids: Sequence[int] | None,
    comparison_id: int | None,
    labeller: str,
    now: datetime,
) -> Training:
    """Queue a training. Raises UnknownProject."""
    require_project(session, project_id=project_id)
    row = TrainingRow(
        project_id=project_id,
        network=network.to_dict(),
        training=training.to_dict(),
        image_ids=None if image_ids is None else list(image_ids),
        comparison_id=comparison_id,
        state=TrainingState.QUEUED.value,
        wanted=Wanted.RUN.value,
        labeller=labeller,
        message="",
        epoch=0,
        epochs=training.epochs,
        network_now=network.network.value,
        seconds=0.0,
        seconds_left=0.0,
        images_per_second=0.0,
        model_id=None,
        created_at=now,
        started_at=None,
        finished_at=None,
    )
    session.add(row)
    session.flush()
    return _training(row)


def training(session: Session, *, training_id: int) -> Training:
    """The training of that number. Raises UnknownTraining."""
    return _training(_row(session, training_id))


def trainings(session: Session, *, project_id: int, only_open: bool = False) -> tuple[Training, ...]:
    """All trainings of a project, or those that may still go on, newest first."""
    query = select(TrainingRow).where(TrainingRow.project_id == project_id).order_by(TrainingRow.id.desc())
    if only_open:
        query = query.where(TrainingRow.state.in_(sorted(OPEN_STATES)))
    return tuple(_training(row) for row in session.scalars(query))


def trainings_of_comparison(session: Session, *, comparison_id: int) -> tuple[Training, ...]:
    """The trainings of a comparison, in the order of its networks."""
    query = select(TrainingRow).where(TrainingRow.comparison_id == comparison_id).order_by(TrainingRow.id)
    return tuple(_training(row) for row in session.scalars(query))


def set_model(session: Session, *, training_id: int, model_id: int) -> None:
    """The training made this model. Raises UnknownTraining."""
    _row(session, training_id).model_id = model_id
    session.flush()


def next_training(session: Session, *, project_id: int) -> Training | None:
    """What the worker of a project takes up next: an interrupted training, else the oldest in the queue."""
    query = select(TrainingRow).where(TrainingRow.project_id == project_id, TrainingRow.state.in_(FOR_A_WORKER))
    rows = session.scalars(query.order_by(TrainingRow.state == TrainingState.QUEUED.value, TrainingRow.id).limit(1))
    row = rows.first()
    return None if row is None else _training(row)


def projects_for_a_worker(session: Session) -> tuple[int, ...]:
    """Ids of the projects with a training that wants a worker."""
    query = select(TrainingRow.project_id).where(TrainingRow.state.in_(FOR_A_WORKER)).distinct()
    return tuple(sorted(session.scalars(query)))


def set_wanted(session: Session, *, training_id: int, wanted: Wanted) -> Training:
    """Store what people want of a training. Raises UnknownTraining."""
    row = _row(session, training_id)
    row.wanted = wanted.value
    session.flush()
    return _training(row)


def set_state(
    session: Session, *, training_id: int, state: TrainingState, now: datetime, message: str = ""
) -> Training:
    """Store how far a training has come; the first start and the end keep their time.

    The comparison it belongs to, if any, follows.

    Raises:
        UnknownTraining: no such training.
    """
    row = _row(session, training_id)
    row.state, row.message = state.value, message
    if state is TrainingState.RUNNING and row.started_at is None:
        row.started_at = now
    row.finished_at = None if state in OPEN_STATES else now
    session.flush()
    if row.comparison_id is not None:
        settle_comparison(session, comparison_id=row.comparison_id)
    return _training(row)


def finish_training(session: Session, *, training_id: int, model_id: int | None, now: datetime) -> Training:
    """The training made this model, or a result of a comparison. Raises UnknownTraining."""
    if model_id is not None:
        set_model(session, training_id=training_id, model_id=model_id)
    return set_state(session, training_id=training_id, state=TrainingState.FINISHED, now=now)


def record_epoch(session: Session, *, training_id: int, progress: TrainingProgress, now: datetime) -> None:
    """Store an epoch; one that was reported before, and those after it, are forgotten: they happen again.

    Raises:
        UnknownTraining: it was deleted with its project.
    """
    row = _row(session, training_id)
    row.epoch, row.epochs, row.network_now = progress.epoch, progress.epochs, progress.network.value
    row.seconds, row.seconds_left = progress.seconds, progress.seconds_left
    row.images_per_second = progress.images_per_second
    again = (EpochRow.training_id == training_id) & (EpochRow.number >= progress.epoch)
    session.execute(delete(EpochRow).where(again).execution_options(synchronize_session=False))
    session.add(
        EpochRow(
            training_id=training_id,
            number=progress.epoch,
            epochs=progress.epochs,
            network=progress.network.value,
            loss=progress.loss,
            seconds=progress.seconds,
            images_per_second=progress.images_per_second,
            seconds_left=progress.seconds_left,
            score=None if progress.score is None else score_to_plain(progress.score),
            is_best=progress.is_best,
            created_at=now,
        )
    )
    session.flush()


def forget_epochs(session: Session, *, training_id: int, after: int) -> None:
    """Forget the epochs after one of that number, 0 for all: nothing is left of them, and they happen again.

    Raises:
        UnknownTraining: no such training.
    """
    row = _row(session, training_id)
    lost = (EpochRow.training_id == training_id) & (EpochRow.number > after)
    session.execute(delete(EpochRow).where(lost).execution_options(synchronize_session=False))
    session.expire_all()
    last = session.get(EpochRow, (training_id, after))
    if row.epoch > after:
        row.epoch = after
        row.seconds = 0.0 if last is None else last.seconds
        row.seconds_left = 0.0 if last is None else last.seconds_left
    session.flush()


def epochs(session: Session, *, training_id: int) -> tuple[Epoch, ...]:
    """The curves of a training, in order."""
    rows = session.scalars(select(EpochRow).where(EpochRow.training_id == training_id).order_by(EpochRow.number))
    return tuple(Epoch(_progress(row), row.created_at) for row in rows)


def thinned_epochs(session: Session, *, training_id: int, at_most: int) -> tuple[TrainingProgress, ...]:
    """About `at_most` epochs, evenly spread, the last and the one whose weights are kept among them.

    Raises:
        UnknownTraining: no such training.
    """
    last = _row(session, training_id).epoch
    step = max(1, -(-last // at_most))
    of_training = EpochRow.training_id == training_id
    kept = select(func.max(EpochRow.number)).where(of_training, EpochRow.is_best).scalar_subquery()
    query = select(EpochRow).where(of_training, (EpochRow.number % step == last % step) | (EpochRow.number == kept))
    return tuple(_progress(row) for row in session.scalars(query.order_by(EpochRow.number)))


def _row(session: Session, training_id: int) -> TrainingRow:
    row = session.get(TrainingRow, training_id)
    if row is None:
        raise UnknownTraining(f"there is no training {training_id}; it may have been deleted with its project")
    return row


def _training(row: TrainingRow) -> Training:
    return Training(
        id=row.id,
        project_id=row.project_id,
        network=NetworkSpec.from_dict(row.network),
        training=TrainingSpec.from_dict(row.training),
        image_ids=None if row.image_ids is None else tuple(row.image_ids),
        comparison_id=row.comparison_id,
        state=TrainingState(row.state),
        wanted=Wanted(row.wanted),
        labeller=row.labeller,
        message=row.message,
        epoch=row.epoch,
        epochs=row.epochs,
        network_now=row.network_now,
        seconds=row.seconds,
        seconds_left=row.seconds_left,
        images_per_second=row.images_per_second,
        model_id=row.model_id,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress(row: EpochRow) -> TrainingProgress:
    return TrainingProgress(
        epoch=row.number,
        epochs=row.epochs,
        network=NetworkName(row.network),
        loss=row.loss,
        seconds=row.seconds,
        images_per_second=row.images_per_second,
        seconds_left=row.seconds_left,
        score=None if row.score is None else score_from_plain(row.score),
        is_best=row.is_best,
    )
