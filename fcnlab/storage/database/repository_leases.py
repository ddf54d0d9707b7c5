"""Queries about leases: one process at a time trains for a project.

What changes a lease wants to be called inside `writing`, where nobody comes between looking and taking.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fcnlab.domain.training import Lease, ProcessId
from fcnlab.storage.database.repository_projects import require_project
from fcnlab.storage.database.tables_training import LeaseRow
from fcnlab.storage.files.processes import is_gone

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
