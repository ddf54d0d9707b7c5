"""Queries about trainings, their curves, and the leases of workers. Each takes a session and returns domain values.

What changes a lease wants to be called inside `writing`, where nobody comes between looking and taking.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.scores import score_from_dict, score_to_dict
from fcnlab.domain.training import (
    OPEN_STATES,
    Epoch,
    Lease,
    ProcessId,
    Training,
    TrainingProgress,
    TrainingSpec,
    TrainingState,
    Wanted,
)
from fcnlab.errors import UnknownTraining
from fcnlab.storage.database.repository_comparisons import settle_comparison
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.tables import EpochRow, LeaseRow, TrainingRow
from fcnlab.storage.files.presence import is_gone

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
            score=None if progress.score is None else score_to_dict(progress.score),
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
        score=None if row.score is None else score_from_dict(row.score),
        is_best=row.is_best,
    )


STALE_AFTER = timedelta(seconds=30)
"""A process that said nothing for so long has lost its lease to whoever asks next."""


def is_live(lease: Lease, *, now: datetime) -> bool:
    """Whether the holder of a lease said lately that it lives, and is not known to be dead."""
    return now - lease.heartbeat_at < STALE_AFTER and not is_gone(lease.process)


def take_lease(session: Session, *, project_id: int, process: ProcessId, now: datetime) -> Lease | None:
    """Take the lease of a project unless another live process holds it: then that lease is returned.

    Returns:
        None when the lease was taken.

    Raises:
        UnknownProject: no such project.
    """
    require_project(session, project_id=project_id)
    row = session.get(LeaseRow, project_id)
    if row is not None:
        held = _lease(row)
        if held.process != process and is_live(held, now=now):
            return held
    _write(session, Lease(project_id, process, now))
    return None


def renew_lease(session: Session, *, project_id: int, process: ProcessId, now: datetime) -> bool:
    """Say that the holder lives; False when the lease is not this process's any more."""
    if not holds_lease(session, project_id=project_id, process=process):
        return False
    _write(session, Lease(project_id, process, now))
    return True


def holds_lease(session: Session, *, project_id: int, process: ProcessId) -> bool:
    """Whether the lease of a project is this process's."""
    row = session.get(LeaseRow, project_id)
    return row is not None and _lease(row).process == process


def give_back_lease(session: Session, *, project_id: int, process: ProcessId) -> None:
    """End the lease; nothing happens when it is another process's by now."""
    row = session.get(LeaseRow, project_id)
    if row is not None and _lease(row).process == process:
        session.delete(row)
        session.flush()


def has_live_lease(session: Session, *, project_id: int, now: datetime) -> bool:
    """Whether a process trains for the project."""
    lease = lease_of(session, project_id=project_id)
    return lease is not None and is_live(lease, now=now)


def lease_of(session: Session, *, project_id: int) -> Lease | None:
    """The lease of a project, live or stale."""
    row = session.get(LeaseRow, project_id)
    return None if row is None else _lease(row)


def leases(session: Session) -> tuple[Lease, ...]:
    """All leases, live and stale."""
    return tuple(_lease(row) for row in session.scalars(select(LeaseRow).order_by(LeaseRow.project_id)))


def _write(session: Session, lease: Lease) -> None:
    process = lease.process
    session.merge(
        LeaseRow(
            project_id=lease.project_id,
            host=process.host,
            pid=process.pid,
            started=process.started,
            heartbeat_at=lease.heartbeat_at,
        )
    )
    session.flush()


def _lease(row: LeaseRow) -> Lease:
    return Lease(row.project_id, ProcessId(row.host, row.pid, row.started), row.heartbeat_at)
