"""What is shown of every project in a list: how far it is, when somebody last worked on it, its first images."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from fcnlab.domain.counting import Task
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import Project
from fcnlab.lab import Lab
from fcnlab.services.projects.projects import projects
from fcnlab.storage.database import repository_events, repository_images
from fcnlab.storage.database.engine import reading

LABELLER = "demo"
"""Who made what stands in the demos."""

LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """A project in a list.

    Attributes:
        project: itself.
        n_images: how many it has.
        n_finished: of these, marked done, or in a project that counts, all marked.
        changed_at: of the newest thing that somebody did in it; None: nobody did anything yet.
        covers: its first images.
    """

    project: Project
    n_images: int
    n_finished: int
    changed_at: datetime | None
    covers: tuple[ImageInfo, ...]


def last_worked_on(lab: Lab) -> int | None:
    """The project that somebody last worked on, demos as they were made left aside; None: nobody did."""
    with reading(lab.sessions) as session:
        return repository_events.last_project(session, besides=LABELLER)


def project_summaries(lab: Lab, *, n_covers: int = 3) -> tuple[ProjectSummary, ...]:
    """A summary of every project that is not archived, those that somebody worked on last first."""
    summaries = []
    with reading(lab.sessions) as session:
        for project in projects(lab):
            states = repository_images.count_images(session, project_id=project.id)
            n_complete = repository_images.count_complete(session, project_id=project.id)
            summaries.append(
                ProjectSummary(
                    project=project,
                    n_images=sum(states.values()),
                    n_finished=n_complete if project.task is Task.COUNTS else states[ImageState.DONE],
                    changed_at=repository_events.newest_at(session, project_id=project.id, besides=LABELLER),
                    covers=repository_images.images(session, project_id=project.id, count=n_covers),
                )
            )
    return tuple(sorted(summaries, key=lambda summary: summary.changed_at or LONG_AGO, reverse=True))
