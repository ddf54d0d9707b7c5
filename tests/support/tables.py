"""Projects and leases in tables, for tests of what is stored with them."""

from __future__ import annotations

from datetime import UTC, datetime

from fcnlab.domain.project import ClassLabel, LearnerSpec
from fcnlab.domain.training import ProcessId
from fcnlab.storage.database import repository_projects, repository_trainings
from fcnlab.storage.database.engine import Sessions, writing

NOW = datetime(2026, 5, 4, 3, 2, 1, 678901, tzinfo=UTC)
LABELS = (ClassLabel(0, "background", "#0072B2", 0), ClassLabel(5, "cell", "#E69F00", 1))
ELSEWHERE = ProcessId("another-machine", 4711, 1_700_000_000.25)


def make_project(sessions: Sessions, name: str) -> int:
    with writing(sessions) as session:
        project = repository_projects.create_project(session, name=name, labels=LABELS, learner=LearnerSpec(), now=NOW)
    return project.id


def take(sessions: Sessions, project_id: int, process: ProcessId, *, now: datetime = NOW) -> bool:
    with writing(sessions) as session:
        held = repository_trainings.take_lease(session, project_id=project_id, process=process, now=now)
    return held is None
