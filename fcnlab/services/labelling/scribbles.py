"""Scribbles: many points from what was drawn on an image, stored and taken back as one."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fcnlab.core.images.coords import working_picture
from fcnlab.core.images.palette import palette_of
from fcnlab.core.images.scribbles import dotted
from fcnlab.domain.events import Event, EventBatch, EventKind, Point
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import InvalidPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.labelling.events import apply_events
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.formats.masks.overlays import overlay_jpeg


@dataclass(frozen=True, slots=True)
class Scribbled:
    """What was stored: points by class id, and the event that did it."""

    n_points: dict[int, int]
    client_id: str
    seq: int


def store_scribble(lab: Lab, points: Sequence[Point], *, image_id: int, labeller: str) -> Scribbled:
    """Add the points of a drawing: all of them, or none. One undo of this labeller takes them back together.

    Raises:
        UnknownImage: no such image.
        InvalidPoints: there are no points, or they cannot be added: the image is done, a class is gone.
    """
    if not points:
        raise InvalidPoints("nothing was drawn on the image yet")
    listed = [[point.row, point.col, point.class_id] for point in points]
    client_id = _sent(lab, EventKind.SCRIBBLE, {"points": listed}, image_id=image_id, labeller=labeller)
    return Scribbled(dict(Counter(point.class_id for point in points)), client_id, seq=1)


def undo_last(lab: Lab, *, image_id: int, labeller: str) -> str:
    """Take back what this labeller did last on an image, as `z` on the label page does; the client id of the event.

    Raises:
        UnknownImage: no such image.
        InvalidPoints: there is nothing to take back.
    """
    return _sent(lab, EventKind.UNDO, {}, image_id=image_id, labeller=labeller)


def scribble_picture(lab: Lab, image: ImageInfo, *, side: int) -> bytes:
    """A JPEG of an image with its points as dots, to draw on.

    Args:
        side: its longer side at most, in pixels.

    Raises:
        ImportRefused: the original is gone or damaged.
    """
    small = working_picture(read_picture(lab, image), side)
    with reading(lab.sessions) as session:
        classes = repository_projects.project(session, project_id=image.project_id).classes
        points = [stored.point for stored in repository_points.points_of_image(session, image_id=image.id)]
    return overlay_jpeg(dotted(small, points, palette_of(classes), image_hw=image.hw))


def _sent(lab: Lab, kind: EventKind, payload: dict[str, object], *, image_id: int, labeller: str) -> str:
    """Send one event as a tab of its own would; its client id. Raises InvalidPoints when it is refused."""
    with reading(lab.sessions) as session:
        project_id = repository_images.image(session, image_id=image_id).project_id
    client_id = f"{kind.value}-{uuid.uuid4().hex}"
    batch = EventBatch(client_id, (Event(1, kind, image_id, payload),))
    applied = apply_events(lab, batch, project_id=project_id, labeller=labeller)
    if applied.refusals:
        raise InvalidPoints(applied.refusals[0].reason)
    return client_id
