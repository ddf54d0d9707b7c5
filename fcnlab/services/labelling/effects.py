"""What each kind of event does. A handler changes points, strokes, image or classes, or refuses before any change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.orm import Session

from fcnlab.core.images.palette import unused_colours
from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventKind, Point, PointSource, StoredPoint, Stroke
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import DEFAULT_PALETTE, ClassLabel
from fcnlab.errors import ClickOutsideImage, InvalidClasses, InvalidEvent, InvalidPoints, UnknownImage
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.storage.database import (
    repository_counts,
    repository_events,
    repository_images,
    repository_points,
    repository_projects,
    repository_strokes,
)
from fcnlab.storage.database.repository_events import Effect
from fcnlab.storage.database.repository_images import ImageOutline
from fcnlab.validation import clean_name

MAX_SCRIBBLED = 5_000
"""Points of one scribble; the largest drawing gives fewer."""

MAX_ACCEPTED = 50_000
"""Objects accepted at once."""

MAX_TAKEN = 1_000
"""Strokes that one imported mask becomes; one of classes is some, one of noise over a large image has more."""


@dataclass(frozen=True, slots=True)
class EventContext:
    """One event on its way into effect: what, by whom, when, in which transaction; `task` is that of the project.

    `image` is the image shown, or None when the event names none of this project; `taken` are the strokes that its
    newest imported mask becomes, for an event that takes it; none where nothing can be taken. `class_ids`: classes that
    are in use for sure; there may be others.
    """

    session: Session
    event: Event
    project_id: int
    task: Task
    image: ImageOutline | None
    labeller: str
    client_id: str
    now: datetime
    taken: tuple[Stroke, ...] = ()
    class_ids: frozenset[int] = frozenset()


def take_effect(context: EventContext) -> Effect:
    """Do what the event says, in the session of `context`.

    Raises:
        FcnlabError: it cannot be done; nothing was changed, and the message is for the labeller.
    """
    return HANDLERS[context.event.kind](context)


def _add(context: EventContext) -> Effect:
    image = _changeable_image(context)
    point = Point(*(_whole(context, key) for key in ("row", "col", "class_id")))
    _check_point(context, image, point)
    uid = f"{context.client_id}:{context.event.seq}"
    source = _source(context)
    if _is_marked(context, image, point):
        return Effect(details={"marked_already": [point.row, point.col]})
    _store_points(context, image, {uid: point}, source)
    return Effect(added=(uid,))


def _scribble(context: EventContext) -> Effect:
    image = _changeable_image(context)
    points = _listed_points(context, image, what="a scribble", most=MAX_SCRIBBLED)
    _store_points(context, image, points, PointSource.SCRIBBLE)
    return Effect(added=tuple(points))


def _accept(context: EventContext) -> Effect:
    image, complete = _changeable_image(context), context.event.payload.get("complete", False)
    if not isinstance(complete, bool):
        raise InvalidEvent(f"the objects of an image are all marked or not; got {complete!r}")
    points = _listed_points(context, image, what="what is accepted", most=MAX_ACCEPTED)
    stored = newest_per_pixel(repository_points.points_of_image(context.session, image_id=image.id))
    marked = {stored_point.point for stored_point in stored}
    uid_of = {point: uid for uid, point in reversed(points.items()) if point not in marked}
    fresh = {uid: point for point, uid in reversed(uid_of.items())}
    _store_points(context, image, fresh, PointSource.ACCEPTED)
    was = repository_counts.set_complete(context.session, image_id=image.id, complete=True) if complete else None
    return Effect(added=tuple(fresh), complete_was=was)


def _brush(context: EventContext) -> Effect:
    image, payload = _changeable_image(context), context.event.payload
    class_id = None if payload.get("class_id") is None else _whole(context, "class_id")
    top, left, height, width = (_whole(context, key) for key in ("top", "left", "height", "width"))
    runs = payload.get("runs")
    if not isinstance(runs, list | tuple):
        raise InvalidEvent(f"the runs of a stroke are a {type(runs).__name__}; wanted a list of lengths")
    stroke = Stroke(class_id, top, left, height, width, tuple(runs))
    stroke.check_inside((image.height, image.width))
    if class_id is not None:
        repository_projects.class_label(context.session, project_id=context.project_id, class_id=class_id)
    return Effect(added=_paint(context, image, [stroke]))


def _take(context: EventContext) -> Effect:
    image, done = _changeable_image(context), context.event.payload.get("done", False)
    if not isinstance(done, bool):
        raise InvalidEvent(f"an image is done with its imported mask or not; got {done!r}")
    if not context.taken:
        raise InvalidEvent("this image has no imported mask to use: import labels on the Projects page")
    if len(context.taken) > MAX_TAKEN:
        raise InvalidEvent(
            f"the imported mask of this image cannot become strokes: it would be {len(context.taken)}, and at most "
            f"{MAX_TAKEN} can be saved at once"
        )
    uids = _paint(context, image, context.taken)
    if done:
        repository_images.set_image_state(context.session, image_id=image.id, state=ImageState.DONE)
    # Undo takes the strokes back once the image is reopened, as it does with what was clicked before *Done*.
    return Effect(added=uids, details={"was": image.state.value} if done else {})


def _paint(context: EventContext, image: ImageOutline, strokes: Sequence[Stroke]) -> tuple[str, ...]:
    """Store strokes; the uids they got, that of the event itself where it is one stroke."""
    name = f"{context.client_id}:{context.event.seq}"
    uids = tuple(f"{name}.{number}" for number in range(1, len(strokes) + 1)) if len(strokes) > 1 else (name,)
    for uid, stroke in zip(uids, strokes, strict=True):
        repository_strokes.add_stroke(
            context.session,
            project_id=context.project_id,
            image_id=image.id,
            uid=uid,
            stroke=stroke,
            labeller=context.labeller,
            now=context.now,
        )
    _begun(context, image)
    return uids


def _remove(context: EventContext) -> Effect:
    image = _changeable_image(context)
    uid = context.event.payload.get("uid")
    is_known = isinstance(uid, str) and uid.isascii() and uid.isprintable()
    if not is_known or not repository_points.is_live(context.session, image_id=image.id, uid=str(uid)):
        raise InvalidPoints("this point is gone already")
    repository_points.hide_made(context.session, project_id=context.project_id, uids=[str(uid)], now=context.now)
    return Effect(removed=(str(uid),))


def _clear(context: EventContext) -> Effect:
    image = _changeable_image(context)
    points = repository_points.live_uids(context.session, image_id=image.id)
    uids = points + repository_strokes.live_stroke_uids(context.session, image_id=image.id)
    if not uids:
        raise InvalidPoints("there are no points and no strokes to clear on this image")
    repository_points.hide_made(context.session, project_id=context.project_id, uids=uids, now=context.now)
    return Effect(removed=uids)


def _undo(context: EventContext) -> Effect:
    image = _changeable_image(context)
    past = repository_events.last_live_event(context.session, image_id=image.id, labeller=context.labeller)
    if past is None:
        raise InvalidEvent("there is nothing of yours left to undo on this image")
    _turn(context, hide=past.effect.added, show=past.effect.removed)
    if past.effect.reopened:
        repository_images.set_image_state(context.session, image_id=image.id, state=ImageState.DONE)
    if past.effect.complete_was is not None:
        repository_counts.set_complete(context.session, image_id=image.id, complete=past.effect.complete_was)
    repository_events.mark_undone(context.session, event_id=past.id, undone_at=context.now)
    return Effect(details={"undid": past.id})


def _redo(context: EventContext) -> Effect:
    image = _image(context)
    past = repository_events.last_undone_event(context.session, image_id=image.id, labeller=context.labeller)
    if past is None or not past.effect.reopened:
        _changeable_image(context)
    if past is None:
        raise InvalidEvent("there is nothing of yours left to redo on this image")
    _turn(context, hide=past.effect.removed, show=past.effect.added)
    if past.effect.reopened:
        repository_images.set_image_state(context.session, image_id=image.id, state=ImageState.IN_PROGRESS)
    if past.effect.complete_was is not None:
        repository_counts.set_complete(context.session, image_id=image.id, complete=True)
    repository_events.mark_undone(context.session, event_id=past.id, undone_at=None)
    return Effect(details={"redid": past.id})


def _turn(context: EventContext, *, hide: Sequence[str], show: Sequence[str]) -> None:
    """Take away and bring back what an event made or removed."""
    repository_points.hide_made(context.session, project_id=context.project_id, uids=hide, now=context.now)
    repository_points.show_made(context.session, project_id=context.project_id, uids=show)


def _state(context: EventContext) -> Effect:
    image = _image(context)
    wanted = context.event.payload.get("state")
    if wanted not in list(ImageState):
        raise InvalidEvent(f"an image cannot be {wanted!r}; choose one of {[str(state) for state in ImageState]}")
    mask = repository_images.stored_mask(context.session, image_id=image.id)
    repository_images.set_image_state(context.session, image_id=image.id, state=ImageState(wanted))
    # Reopening puts a kept mask aside, which undo brings back; where none was kept, undo reaches the click before.
    reopened = mask is not None and wanted != ImageState.DONE
    details = {"was": image.state.value, "mask_was": None if mask is None else mask.file}
    return Effect(reopened=reopened, details=details)


def _complete(context: EventContext) -> Effect:
    image, wanted = _image(context), context.event.payload.get("complete")
    if not isinstance(wanted, bool):
        raise InvalidEvent(f"the objects of an image are all marked or not; got {wanted!r}")
    was = repository_counts.set_complete(context.session, image_id=image.id, complete=wanted)
    if wanted:
        _begun(context, image)
    return Effect(details={"was": was})


def _class_add(context: EventContext) -> Effect:
    name, colour = context.event.payload.get("name"), context.event.payload.get("colour")
    label = added_class(context.session, project_id=context.project_id, name=name, colour=str(colour or ""))
    return Effect(details={"class_id": label.id})


def edited_class(session: Session, *, project_id: int, label: ClassLabel) -> ClassLabel:
    """The class `label.id` with the name, colour and order of `label`.

    Raises:
        InvalidEvent: the name is empty or cannot be shown.
        InvalidClasses: no live class has the id, or another one has the name or the new colour.
    """
    label = replace(label, name=clean_name(label.name))
    live = repository_projects.live_classes(session, project_id=project_id)
    was = next((other.colour.lower() for other in live if other.id == label.id), "")
    twin = next(
        (other for other in live if other.id != label.id and other.colour.lower() == label.colour.lower()), None
    )
    if twin is not None and label.colour.lower() != was:  # projects of old have doubled colours: they can be renamed
        raise InvalidClasses(f"{twin.name!r} has the colour {label.colour} already: choose another one")
    return repository_projects.edit_class(session, project_id=project_id, label=label)


def added_class(session: Session, *, project_id: int, name: object, colour: str = "") -> ClassLabel:
    """A new class of a project: everybody who adds one, on the page, by a command or by an import, does it here.

    Without a colour, or with one that a class of the project has or had, it gets the first unused one of the palette:
    two labellers may add a class at once, and label files bring colours of their own.

    Raises:
        InvalidEvent: the name is empty or cannot be shown.
        InvalidClasses: a class has the name, all 255 ids are used, or the colour is none.
    """
    taken = [
        label.colour.lower()
        for labels in (repository_projects.live_classes, repository_images.removed_classes)
        for label in labels(session, project_id=project_id)
    ]
    if not colour or colour.lower() in taken:
        colour = next(iter(unused_colours(taken, count=1)), DEFAULT_PALETTE[0])
    return repository_projects.add_class(session, project_id=project_id, name=clean_name(name), colour=colour)


def _class_edit(context: EventContext) -> Effect:
    class_id, payload = _whole(context, "class_id"), context.event.payload
    old = repository_projects.class_label(context.session, project_id=context.project_id, class_id=class_id)
    label = replace(
        old,
        name=clean_name(payload.get("name", old.name)),
        colour=str(payload.get("colour", old.colour)),
        order=_whole(context, "order") if "order" in payload else old.order,
    )
    edited_class(context.session, project_id=context.project_id, label=label)
    return Effect(details={"name_was": old.name, "colour_was": old.colour, "order_was": old.order})


def _class_remove(context: EventContext) -> Effect:
    class_id = _whole(context, "class_id")
    repository_projects.remove_class(context.session, project_id=context.project_id, class_id=class_id, now=context.now)
    return Effect(details={"class_id": class_id})


def _background(context: EventContext) -> Effect:
    class_id = None if context.event.payload.get("class_id") is None else _whole(context, "class_id")
    was = repository_projects.set_background(context.session, project_id=context.project_id, class_id=class_id)
    return Effect(details={"background_was": was})


def _check_point(context: EventContext, image: ImageOutline, point: Point) -> None:
    _check_inside(image, point)
    if point.class_id not in context.class_ids:
        repository_projects.class_label(context.session, project_id=context.project_id, class_id=point.class_id)


def _check_inside(image: ImageOutline, point: Point) -> None:
    if not (0 <= point.row < image.height and 0 <= point.col < image.width):
        raise ClickOutsideImage(
            f"row {point.row}, column {point.col} is outside the image of {image.height} rows and {image.width} columns"
        )


def _listed_points(context: EventContext, image: ImageOutline, *, what: str, most: int) -> dict[str, Point]:
    """The points of an event that holds many, by the uids they get. Raises InvalidEvent: one of them is wrong."""
    listed = context.event.payload.get("points")
    if not isinstance(listed, list | tuple) or not 1 <= len(listed) <= most:
        raise InvalidEvent(f"{what} is a list of 1 to {most} points")
    points = []
    for values in listed:
        if not isinstance(values, list | tuple) or len(values) != 3 or not all(type(value) is int for value in values):
            raise InvalidEvent(f"the point {str(values)[:80]} of {what} is no row, column and class")
        points.append(Point(*values))
    for class_id in {point.class_id for point in points}:
        repository_projects.class_label(context.session, project_id=context.project_id, class_id=class_id)
    for point in points:  # all of them, or none
        _check_inside(image, point)
    return {f"{context.client_id}:{context.event.seq}.{index}": point for index, point in enumerate(points, start=1)}


def _is_marked(context: EventContext, image: ImageOutline, point: Point) -> bool:
    """Whether the project counts and the pixel is of that class already: a second point there is no second object."""
    here = {"image_id": image.id, "row": point.row, "col": point.col}
    return (
        context.task is Task.COUNTS
        and repository_points.class_at(context.session, project_id=context.project_id, **here) == point.class_id
    )


def _store_points(context: EventContext, image: ImageOutline, points: Mapping[str, Point], source: PointSource) -> None:
    """Store new points by their uids."""
    stored = [StoredPoint(uid, image.id, point, context.labeller, source, context.now) for uid, point in points.items()]
    repository_points.add_points(context.session, project_id=context.project_id, stored=stored)
    _begun(context, image)


def _begun(context: EventContext, image: ImageOutline) -> None:
    if image.state is ImageState.NEW:
        repository_images.set_image_state(context.session, image_id=image.id, state=ImageState.IN_PROGRESS)


def _image(context: EventContext) -> ImageOutline:
    if context.image is None:
        raise UnknownImage("this image is not in the project any more")
    return context.image


def _changeable_image(context: EventContext) -> ImageOutline:
    image = _image(context)
    if image.state is ImageState.DONE:
        raise InvalidEvent("this image is done: reopen it to change it")
    return image


def _whole(context: EventContext, key: str) -> int:
    value = context.event.payload.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > repository_images.MAX_ID:
        raise InvalidEvent(f"{key} {value!r} is no whole number")
    return value


def _source(context: EventContext) -> PointSource:
    value = context.event.payload.get("source", PointSource.CLICK.value)
    if value not in list(PointSource):
        raise InvalidEvent(f"a point cannot come from {value!r}")
    return PointSource(value)


HANDLERS: dict[EventKind, Callable[[EventContext], Effect]] = {
    EventKind.ADD: _add,
    EventKind.REMOVE: _remove,
    EventKind.CLEAR: _clear,
    EventKind.BRUSH: _brush,
    EventKind.SCRIBBLE: _scribble,
    EventKind.ACCEPT: _accept,
    EventKind.TAKE: _take,
    EventKind.UNDO: _undo,
    EventKind.REDO: _redo,
    EventKind.STATE: _state,
    EventKind.COMPLETE: _complete,
    EventKind.CLASS_ADD: _class_add,
    EventKind.CLASS_EDIT: _class_edit,
    EventKind.CLASS_REMOVE: _class_remove,
    EventKind.BACKGROUND: _background,
}
