"""Imported masks become the masks of their images, as they are, and the images are done."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventBatch, EventKind
from fcnlab.domain.images import ImageState
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import apply_events
from fcnlab.storage.database import repository_expert_masks, repository_images, repository_projects
from fcnlab.storage.database.engine import reading


@dataclass(frozen=True, slots=True)
class TakenMask:
    """One image of `total`: its imported mask was taken over, or `refused` says why not, and it is as it was."""

    done: int
    total: int
    name: str
    refused: str | None = None


def images_to_take(lab: Lab, *, project_id: int) -> tuple[int, ...]:
    """Ids of the images of a project that have an imported mask and are not done; none where objects are counted.

    Raises:
        UnknownProject: there is no such project.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        if project.task is Task.COUNTS:
            return ()
        return repository_expert_masks.images_with_truth(session, project_id=project_id, besides=ImageState.DONE)


def take_masks(lab: Lab, *, project_id: int, labeller: str) -> Iterator[TakenMask]:
    """Lay the newest imported mask of each image that is not done over its prediction, and mark the image done.

    Pixels that an import left unknown stay what is predicted. An image is done with its mask or not at all. To take one
    back, its image is reopened and cleared.

    Raises:
        UnknownProject: at once, when there is no such project.
    """
    return _taken(lab, images_to_take(lab, project_id=project_id), project_id=project_id, labeller=labeller)


def _taken(lab: Lab, waiting: tuple[int, ...], *, project_id: int, labeller: str) -> Iterator[TakenMask]:
    for done, image_id in enumerate(waiting, start=1):
        with reading(lab.sessions) as session:
            name = repository_images.image(session, image_id=image_id).name
        take = EventBatch(f"take-{uuid.uuid4().hex}", (Event(1, EventKind.TAKE, image_id, {"done": True}),))
        applied = apply_events(lab, take, project_id=project_id, labeller=labeller)
        refused = applied.refusals[0].reason if applied.refusals else None
        yield TakenMask(done, len(waiting), name, refused=refused)
