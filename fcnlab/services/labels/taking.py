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
from fcnlab.services.labels.expert_masks import images_with_truth
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading


@dataclass(frozen=True, slots=True)
class TakenMask:
    """One image of `total`: its imported mask was taken over, or `refused` says why not, and it is as it was."""

    done: int
    total: int
    name: str
    refused: str | None = None


def images_to_take(lab: Lab, *, project_id: int) -> tuple[int, ...]:
    """Ids of the images of a project that have an imported mask and are not done; none where objects are counted."""
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
    with_mask = set() if project.task is Task.COUNTS else set(images_with_truth(lab, project_id=project_id))
    if not with_mask:
        return ()
    with reading(lab.sessions) as session:
        done = repository_images.images(session, project_id=project_id, state=ImageState.DONE)
    return tuple(sorted(with_mask - {image.id for image in done}))


def take_masks(lab: Lab, *, project_id: int, labeller: str) -> Iterator[TakenMask]:
    """Lay the newest imported mask of each image that is not done over its prediction, and mark the image done.

    Pixels that an import left unknown stay what is predicted. On each image one undo takes it back, once the image is
    reopened.

    Raises:
        UnknownProject: at once, when there is no such project.
    """
    return _taken(lab, images_to_take(lab, project_id=project_id), project_id=project_id, labeller=labeller)


def _taken(lab: Lab, waiting: tuple[int, ...], *, project_id: int, labeller: str) -> Iterator[TakenMask]:
    for done, image_id in enumerate(waiting, start=1):
        with reading(lab.sessions) as session:
            name = repository_images.image(session, image_id=image_id).name
        client_id = f"take-{uuid.uuid4().hex}"
        take = EventBatch(client_id, (Event(1, EventKind.TAKE, image_id),))
        applied = apply_events(lab, take, project_id=project_id, labeller=labeller)
        if applied.refusals:
            yield TakenMask(done, len(waiting), name, refused=applied.refusals[0].reason)
            continue
        finish = EventBatch(client_id, (Event(2, EventKind.STATE, image_id, {"state": ImageState.DONE.value}),))
        apply_events(lab, finish, project_id=project_id, labeller=labeller)
        yield TakenMask(done, len(waiting), name)
