"""What is marked in the images of a project that counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from fcnlab.lab import Lab
from fcnlab.storage.database import repository_counts, repository_images, repository_projects
from fcnlab.storage.database.engine import reading


@dataclass(frozen=True, slots=True)
class MarkedTotals:
    """Marked objects over a project.

    Attributes:
        n_images: all images.
        n_complete: those whose objects are all marked, the empty ones too.
        n_begun: the others with at least one marked object.
        objects: by class id, every object class named.
    """

    n_images: int
    n_complete: int
    n_begun: int
    objects: dict[int, int]

    @property
    def n_objects(self) -> int:
        """All marked objects."""
        return sum(self.objects.values())


def marked_totals(lab: Lab, *, project_id: int) -> MarkedTotals:
    """The sums over a project. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        classes = repository_projects.project(session, project_id=project_id).objects
        n_images = sum(repository_images.count_images(session, project_id=project_id).values())
        complete = repository_counts.complete_images(session, project_id=project_id)
        found = repository_counts.objects_per_image(session, project_id=project_id)
    sums: Counter[int] = Counter()
    for tally in found.values():
        sums.update(tally)
    n_begun = len(found.keys() - complete)
    return MarkedTotals(n_images, len(complete), n_begun, {label.id: sums[label.id] for label in classes})
