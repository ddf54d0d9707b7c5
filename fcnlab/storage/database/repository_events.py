"""Queries about events: what was acknowledged, what undo and redo reach next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, StoredPoint
from fcnlab.errors import UnknownProject
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.tables import ClassRow, EventRow, PointRow, ProjectRow, StrokeRow


class UndoState(StrEnum):
    """Where undo finds an event: live ones can be undone, undone ones redone, spent ones neither."""

    LIVE = "live"
    UNDONE = "undone"
    SPENT = "spent"


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event did to the points of its image: enough to reverse it.

    Attributes:
        added: uids of the points it made.
        removed: uids of the points it removed.
        reopened: whether it put the kept mask of a done image aside.
        complete_was: what was said before of whether all objects are marked; None when it said nothing of it.
        details: anything else worth keeping, such as the reason of a refusal; plain JSON values.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    reopened: bool = False
    complete_was: bool | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def undoable(self) -> bool:
        """Whether there is anything to reverse."""
        return bool(self.added or self.removed or self.reopened)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        more = {"reopened": True} if self.reopened else {}
        if self.complete_was is not None:
            more["complete_was"] = self.complete_was
        return {"added": list(self.added), "removed": list(self.removed), **more, **self.details}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Effect:
        """What reverses an effect, from its plain values; `details` are left out."""
        return cls(
            added=tuple(values["added"]),
            removed=tuple(values["removed"]),
            reopened=bool(values.get("reopened")),
            complete_was=values.get("complete_was"),
        )


@dataclass(frozen=True, slots=True)
class PastEvent:
    """An undoable event that happened, by its number in the database."""

    id: int
    effect: Effect


class Standing(NamedTuple):
    """What storing events needs to know of their project and their client.

    `class_ids` are those of the classes in use; `acknowledged` is the highest event number stored for the client.
    """

    task: Task
    class_ids: frozenset[int]
    acknowledged: int


def standing(session: Session, *, project_id: int, client_id: str) -> Standing:
    """The standing of a project and a client, by one query. Raises UnknownProject."""
    last = select(func.max(EventRow.seq)).where(EventRow.client_id == client_id).scalar_subquery()
    is_live = (ClassRow.project_id == ProjectRow.id) & ClassRow.removed_at.is_(None)
    query = select(ProjectRow.task, last, ClassRow.class_id).outerjoin(ClassRow, is_live)
    rows = session.execute(query.where(ProjectRow.id == project_id, ProjectRow.deleted_at.is_(None))).all()
    if not rows:
        raise UnknownProject(f"there is no project {project_id}; it may have been deleted")
    class_ids = frozenset(class_id for *_, class_id in rows if class_id is not None)
    return Standing(Task(rows[0][0]), class_ids, rows[0][1] or 0)


def acknowledged(session: Session, *, client_id: str) -> int:
    """The highest event number stored for this client; 0 when there is none."""
    return session.scalar(select(func.max(EventRow.seq)).where(EventRow.client_id == client_id)) or 0


def refusals(session: Session, *, client_id: str, seqs: Sequence[int]) -> dict[int, str]:
    """Why events of a client took no effect, by their numbers; those that did are left out."""
    query = select(EventRow.seq, EventRow.effect).where(EventRow.client_id == client_id)
    rows = [row for some in chunked(seqs) for row in session.execute(query.where(EventRow.seq.in_(some)))]
    return {seq: str(effect["refused"]) for seq, effect in rows if "refused" in effect}


def record_event(
    session: Session,
    *,
    client_id: str,
    event: Event,
    labeller: str,
    project_id: int,
    image_id: int | None,
    effect: Effect,
    now: datetime,
) -> None:
    """Store an event with its effect; an undoable one ends redo for its labeller on its image."""
    if effect.undoable:
        _end_redo(session, image_id, labeller)
    session.execute(
        insert(EventRow).values(
            client_id=client_id,
            seq=event.seq,
            labeller=labeller,
            project_id=project_id,
            image_id=image_id,
            kind=event.kind.value,
            payload=event.payload,
            effect=effect.to_dict(),
            undo_state=UndoState.LIVE.value if effect.undoable else None,
            created_at=now,
        )
    )


@dataclass(frozen=True, slots=True)
class StoredAddition:
    """An ADD event and the point it makes."""

    event: Event
    stored: StoredPoint


def record_additions(session: Session, additions: Sequence[StoredAddition], *, client_id: str, project_id: int) -> None:
    """As `record_event`, for many ADD events of one client in one go."""
    reached = {(addition.event.image_id, addition.stored.labeller) for addition in additions}
    for image_id, labeller in sorted(reached):
        _end_redo(session, image_id, labeller)
    if additions:
        session.execute(
            insert(EventRow),
            [
                {
                    "client_id": client_id,
                    "seq": addition.event.seq,
                    "labeller": addition.stored.labeller,
                    "project_id": project_id,
                    "image_id": addition.event.image_id,
                    "kind": addition.event.kind.value,
                    "payload": addition.event.payload,
                    "effect": {"added": [addition.stored.uid], "removed": []},
                    "undo_state": UndoState.LIVE.value,
                    "created_at": addition.stored.created_at,
                }
                for addition in additions
            ],
        )


def payloads_of_points(session: Session, *, uids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What the events that made points say, by the uid of the point."""
    wanted = set(uids)
    payloads: dict[str, dict[str, Any]] = {}
    for client_id in {uid.rpartition(":")[0] for uid in wanted}:
        rows = session.execute(select(EventRow.seq, EventRow.payload).where(EventRow.client_id == client_id))
        payloads |= {f"{client_id}:{seq}": dict(payload) for seq, payload in rows}
    return {uid: payloads[uid] for uid in wanted & payloads.keys()}


def newest_at(session: Session, *, project_id: int, besides: str) -> datetime | None:
    """When somebody last did something in the project, whatever the labeller `besides` did; None: nobody did."""
    of_others = (EventRow.project_id == project_id, EventRow.labeller != besides)
    return session.scalar(select(EventRow.created_at).where(*of_others).order_by(EventRow.id.desc()).limit(1))


def last_project(session: Session, *, besides: str) -> int | None:
    """The project in which somebody last did something, whatever the labeller `besides` did; None: nobody did."""
    newest = select(EventRow.project_id).where(EventRow.labeller != besides).order_by(EventRow.id.desc()).limit(1)
    return session.scalar(newest)


def rename_labeller(session: Session, *, client_id: str, before: str, after: str) -> int:
    """Give another name to what a client stored under one: events, points and strokes; the number of events."""
    renamed = session.execute(
        update(EventRow).where(EventRow.client_id == client_id, EventRow.labeller == before).values(labeller=after)
    )
    for row in (PointRow, StrokeRow):
        is_of_client = row.uid.startswith(f"{client_id}:", autoescape=True)
        session.execute(update(row).where(is_of_client, row.labeller == before).values(labeller=after))
    return int(renamed.rowcount)  # type: ignore[attr-defined]


def last_live_event(session: Session, *, image_id: int, labeller: str) -> PastEvent | None:
    """The event that undo reverses next, or None."""
    return _past(session, image_id, labeller, UndoState.LIVE)


def last_undone_event(session: Session, *, image_id: int, labeller: str) -> PastEvent | None:
    """The event that redo brings back next, or None."""
    return _past(session, image_id, labeller, UndoState.UNDONE)


@dataclass(frozen=True, slots=True)
class Reversible:
    """How many events of one labeller on one image can be undone and redone, whatever the state of the image; and
    whether the one redone first reopens it."""

    undo: int = 0
    redo: int = 0
    redo_reopens: bool = False


def reversible(session: Session, *, image_id: int, labeller: str) -> Reversible:
    """How many events undo and redo can still reach."""
    query = (
        select(EventRow.undo_state, func.count())
        .where(EventRow.image_id == image_id, EventRow.labeller == labeller)
        .where(EventRow.undo_state.in_([UndoState.LIVE.value, UndoState.UNDONE.value]))
        .group_by(EventRow.undo_state)
    )
    counts = dict(session.execute(query).all())
    redo = counts.get(UndoState.UNDONE.value, 0)
    last = last_undone_event(session, image_id=image_id, labeller=labeller) if redo else None
    return Reversible(counts.get(UndoState.LIVE.value, 0), redo, last is not None and last.effect.reopened)


def mark_undone(session: Session, *, event_id: int, undone_at: datetime | None) -> None:
    """Note that an event was undone, or with None that it was redone."""
    state = UndoState.LIVE if undone_at is None else UndoState.UNDONE
    session.execute(
        update(EventRow)
        .where(EventRow.id == event_id)
        .values(undo_state=state.value, undone_at=undone_at)
        .execution_options(synchronize_session=False)
    )


def _past(session: Session, image_id: int, labeller: str, state: UndoState) -> PastEvent | None:
    # Undone events are always the newest ones, so the one undone last is the oldest of them.
    newest_first = state is UndoState.LIVE
    order = EventRow.id.desc() if newest_first else EventRow.id.asc()
    query = select(EventRow.id, EventRow.effect).where(*_reach(image_id, labeller, state)).order_by(order)
    row = session.execute(query.limit(1)).one_or_none()
    if row is None:
        return None
    event_id, effect = row
    return PastEvent(event_id, Effect.from_dict(effect))


def _end_redo(session: Session, image_id: int | None, labeller: str) -> None:
    session.execute(
        update(EventRow)
        .where(*_reach(image_id, labeller, UndoState.UNDONE))
        .values(undo_state=UndoState.SPENT.value)
        .execution_options(synchronize_session=False)
    )


def _reach(image_id: int | None, labeller: str, state: UndoState) -> tuple[Any, ...]:
    return (
        EventRow.image_id == image_id,
        EventRow.labeller == labeller,
        EventRow.undo_state == state.value,
    )
