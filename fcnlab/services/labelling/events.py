"""What labellers do: events come in from a browser tab, are stored, and take effect, once each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from fcnlab.core.images.painting import strokes_over
from fcnlab.domain.counting import Task
from fcnlab.domain.events import MAX_RUNS, Event, EventBatch, EventKind, Point, PointSource, StoredPoint, Stroke
from fcnlab.domain.images import ImageState
from fcnlab.errors import FcnlabError, InvalidEvent, UnknownImage
from fcnlab.lab import Lab
from fcnlab.services.labelling.effects import EventContext, take_effect
from fcnlab.services.labels.expert_masks import expert_truth
from fcnlab.storage.database import (
    repository_events,
    repository_images,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.repository_events import Effect
from fcnlab.storage.database.repository_images import ImageOutline
from fcnlab.validation import clean_name

MAX_SEQ = 2**53
"""The largest whole number JavaScript counts to without gaps."""

MAX_PAYLOAD_CHARS = 10_000
"""A longer payload is no event of ours; its beginning is kept."""

MAX_LONG_CHARS = 16 * MAX_RUNS
"""As much for strokes, scribbles and what is accepted at once, most of which are runs and points."""

CLASS_KINDS = frozenset({EventKind.CLASS_ADD, EventKind.CLASS_EDIT, EventKind.CLASS_REMOVE, EventKind.BACKGROUND})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that is stored but took no effect; `reason` is for the labeller."""

    seq: int
    kind: EventKind
    reason: str


@dataclass(frozen=True, slots=True)
class ShownImage:
    """The image that a browser shows, and the `labelling_revision` of it that the browser knows."""

    id: int
    revision: int


@dataclass(frozen=True, slots=True)
class AppliedBatch:
    """What a batch changed.

    Attributes:
        acknowledged: the highest event number stored for this client; the browser may forget up to it.
        refusals: the events applied by this call that took no effect.
        changed_images: images whose points or state changed.
        images: those, and the image shown: their masks cover the batch, also where it was stored before.
        changed_classes: the class list changed, and with it what counts on every image.
        revision: of the image shown, where the points that this batch added and removed are all that lead to it from
            the revision that the browser knew; None: the browser has to be told.
    """

    acknowledged: int
    refusals: tuple[Refusal, ...] = ()
    changed_images: frozenset[int] = frozenset()
    changed_classes: bool = False
    images: frozenset[int] = frozenset()
    revision: int | None = None


def apply_events(
    lab: Lab, batch: EventBatch, *, project_id: int, labeller: str, shown: ShownImage | None = None
) -> AppliedBatch:
    """Store the events of a batch that are new, with their effects, in one transaction.

    Events up to the last acknowledged one are passed over, so a batch may come twice. An event that cannot
    take effect is stored and acknowledged all the same, and named in `refusals`: it must not block the
    ones behind it. `shown` is the image that whoever sends the batch looks at.

    Raises:
        UnknownProject: the project does not exist. Nothing was stored.
        InvalidEvent: the labeller has no name, or an event number is beyond MAX_SEQ. Nothing was stored.
        DatabaseUnavailable: the database does not answer. Nothing was stored; send the batch again.
    """
    who = clean_name(labeller)
    if batch.events and batch.events[-1].seq > MAX_SEQ:
        raise InvalidEvent(f"event number {batch.events[-1].seq} of {batch.client_id} is too large")
    changed: list[Event] = []
    taken = _taken_strokes(lab, batch, project_id=project_id)
    with writing(lab.sessions) as session:
        task, class_ids, last_seq = repository_events.standing(
            session, project_id=project_id, client_id=batch.client_id
        )
        now = lab.clock()
        fresh = fresh_events(batch, acknowledged=last_seq)
        outline = None if shown is None else repository_images.find_outline(session, image_id=shown.id)
        is_known = len(fresh) == len(batch.events) > 0 and _is_up_to_date(shown, outline)
        refusals = _stored_refusals(session, batch, fresh)
        for event in fresh:
            strokes = taken.get(event.image_id, ()) if event.kind is EventKind.TAKE else ()
            context = EventContext(
                session, event, project_id, task, None, who, batch.client_id, now, strokes, class_ids
            )
            is_read = outline is not None and outline.id == event.image_id and event is fresh[0]
            reason, effect = _apply(context, outline if is_read else None)
            class_ids = frozenset() if event.kind in CLASS_KINDS else class_ids
            is_known = is_known and shown is not None and event.image_id == shown.id and _is_plain(event, effect)
            if reason is None:
                changed.append(event)
            else:
                refusals.append(Refusal(event.seq, event.kind, reason))
        revision = None
        if is_known and shown is not None:
            revision = repository_images.labelling_revision(session, image_id=shown.id)
    changed_images = frozenset(event.image_id for event in changed if event.kind not in CLASS_KINDS)
    return AppliedBatch(
        acknowledged=fresh[-1].seq if fresh else last_seq,
        refusals=tuple(refusals),
        changed_images=changed_images,
        images=changed_images | ({outline.id} if outline is not None and outline.project_id == project_id else set()),
        changed_classes=any(event.kind in CLASS_KINDS for event in changed),
        revision=revision,
    )


def _stored_refusals(session: Session, batch: EventBatch, fresh: tuple[Event, ...]) -> list[Refusal]:
    """What was refused of events that were stored before: the answer that said so may have been lost."""
    before = batch.events[: len(batch.events) - len(fresh)]
    if not before:
        return []
    reasons = repository_events.refusals(session, client_id=batch.client_id, seqs=[event.seq for event in before])
    return [Refusal(event.seq, event.kind, reasons[event.seq]) for event in before if event.seq in reasons]


def fresh_events(batch: EventBatch, *, acknowledged: int) -> tuple[Event, ...]:
    """Events of `batch` after number `acknowledged`, in order."""
    return tuple(event for event in batch.events if event.seq > acknowledged)


def add_points(lab: Lab, points: Iterable[Point], *, image_id: int, labeller: str, source: PointSource) -> AppliedBatch:
    """Add many points at once, as a tab of their own would: from a file or a simulation.

    Raises:
        UnknownImage: no such image.
    """
    with reading(lab.sessions) as session:
        project_id = repository_images.image(session, image_id=image_id).project_id
    events = tuple(
        Event(
            seq=seq,
            kind=EventKind.ADD,
            image_id=image_id,
            payload={"row": point.row, "col": point.col, "class_id": point.class_id, "source": source.value},
        )
        for seq, point in enumerate(points, start=1)
    )
    batch = EventBatch(client_id=f"{source.value}-{uuid.uuid4().hex}", events=events)
    return apply_events(lab, batch, project_id=project_id, labeller=labeller)


def remove_points(lab: Lab, uids: Sequence[str], *, image_id: int, labeller: str) -> AppliedBatch:
    """Remove points of an image by their uids, as a tab of its own would; what took no effect is in the refusals.

    Raises:
        UnknownImage: no such image.
    """
    with reading(lab.sessions) as session:
        project_id = repository_images.image(session, image_id=image_id).project_id
    events = tuple(
        Event(seq=seq, kind=EventKind.REMOVE, image_id=image_id, payload={"uid": uid})
        for seq, uid in enumerate(uids, start=1)
    )
    batch = EventBatch(client_id=f"remove-{uuid.uuid4().hex}", events=events)
    return apply_events(lab, batch, project_id=project_id, labeller=labeller)


def points_of_image(lab: Lab, *, image_id: int) -> tuple[StoredPoint, ...]:
    """Live points of an image, in canonical order."""
    with reading(lab.sessions) as session:
        return repository_points.points_of_image(session, image_id=image_id)


def points_of_project(lab: Lab, *, project_id: int) -> tuple[StoredPoint, ...]:
    """Live points of all images of a project, in canonical order."""
    with reading(lab.sessions) as session:
        return repository_points.points_of_project(session, project_id=project_id)


def acknowledged(lab: Lab, *, client_id: str) -> int:
    """The highest event number stored for this client; 0 when there is none."""
    with reading(lab.sessions) as session:
        return repository_events.acknowledged(session, client_id=client_id)


def claim_events(lab: Lab, *, client_id: str, before: str, labeller: str) -> int:
    """Give a name to what a browser tab stored before its labeller had one; the number of events.

    Undo then finds them as that labeller's own.

    Raises:
        InvalidEvent: the name is empty or cannot be shown.
    """
    name = clean_name(labeller)
    with writing(lab.sessions) as session:
        return repository_events.rename_labeller(session, client_id=client_id, before=before, after=name)


def set_image_state(lab: Lab, *, image_id: int, state: ImageState, labeller: str) -> AppliedBatch:
    """Set how far an image has come, as a tab of its own would; reopening a done image puts its mask aside.

    Raises:
        UnknownImage: no such image.
    """
    with reading(lab.sessions) as session:
        outline = repository_images.find_outline(session, image_id=image_id)
    if outline is None:
        raise UnknownImage(f"there is no image {image_id}; its project may have been deleted")
    event = Event(seq=1, kind=EventKind.STATE, image_id=image_id, payload={"state": state.value})
    batch = EventBatch(client_id=f"state-{uuid.uuid4().hex}", events=(event,))
    return apply_events(lab, batch, project_id=outline.project_id, labeller=labeller)


def _apply(context: EventContext, outline: ImageOutline | None) -> tuple[str | None, Effect]:
    """Store one event with its effect on its image, and return both; the reason when it was refused, else None."""
    session, event = context.session, context.event
    outline = outline or repository_images.find_outline(session, image_id=event.image_id)
    image = outline if outline is not None and outline.project_id == context.project_id else None
    reason = None
    try:
        effect = take_effect(replace(context, image=image))
    except FcnlabError as refusal:
        reason = str(refusal)
        effect = Effect(details={"refused": reason})
    if image is None and event.kind not in CLASS_KINDS:
        effect = replace(effect, details={**effect.details, "image_id": repr(event.image_id)})
    repository_events.record_event(
        session,
        client_id=context.client_id,
        event=replace(event, payload=_storable(event)),
        labeller=context.labeller,
        project_id=context.project_id,
        image_id=None if image is None else image.id,
        effect=effect,
        now=context.now,
    )
    return reason, effect


def _is_up_to_date(shown: ShownImage | None, outline: ImageOutline | None) -> bool:
    """Whether a browser knows all that was done until now on the image it shows."""
    return shown is not None and outline is not None and shown.revision == outline.revision


def _is_plain(event: Event, effect: Effect) -> bool:
    """Whether an event did no more and no less than the browser that sent it shows already."""
    if event.kind is EventKind.ADD:
        return bool(effect.added)
    return event.kind is EventKind.REMOVE and bool(effect.removed)


def _taken_strokes(lab: Lab, batch: EventBatch, *, project_id: int) -> dict[int, tuple[Stroke, ...]]:
    """What the imported masks become that new events of a batch take, by image; read before anybody has to wait for it.

    Images of other projects, and those of which nothing is known, are left out; so are all where objects are counted.
    """
    if not any(event.kind is EventKind.TAKE for event in batch.events):
        return {}
    with reading(lab.sessions) as session:
        last_seq = repository_events.acknowledged(session, client_id=batch.client_id)
        fresh = fresh_events(batch, acknowledged=last_seq)
        image_ids = {event.image_id for event in fresh if event.kind is EventKind.TAKE}
        if repository_projects.task_of(session, project_id=project_id) is Task.COUNTS:
            return {}
        outlines = [repository_images.find_outline(session, image_id=image_id) for image_id in image_ids]
        images = [
            repository_images.image(session, image_id=outline.id)
            for outline in outlines
            if outline is not None and outline.project_id == project_id
        ]
    masks = ((image.id, expert_truth(lab, image)) for image in images)
    return {image_id: strokes_over(mask) for image_id, mask in masks if mask is not None}


def _storable(event: Event) -> dict[str, Any]:
    """The payload, or, when a database could not keep it as it is, the beginning of its text."""
    is_long = event.kind in (EventKind.BRUSH, EventKind.SCRIBBLE, EventKind.ACCEPT)
    most = MAX_LONG_CHARS if is_long else MAX_PAYLOAD_CHARS
    try:
        if len(json.dumps(event.payload, allow_nan=False)) <= most:
            return event.payload
    except (TypeError, ValueError, RecursionError):
        pass
    return {"unreadable": ascii(event.payload)[:MAX_PAYLOAD_CHARS]}
