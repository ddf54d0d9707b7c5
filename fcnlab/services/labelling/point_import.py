"""Many points at once: from a table, a program, or another tool. All of them or none; and out as a table."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from fcnlab.domain.counting import Task
from fcnlab.domain.events import Event, EventKind, Point, PointSource, StoredPoint
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed, FcnlabError, InvalidPoints
from fcnlab.lab import Lab
from fcnlab.services.export.plan import ProjectSnapshot, snapshot_of
from fcnlab.services.labelling.newest_points import newest_per_pixel
from fcnlab.storage.database import (
    repository_events,
    repository_images,
    repository_points,
    repository_projects,
)
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.repository_events import Effect, StoredAddition
from fcnlab.storage.database.repository_images import MAX_ID, ImageOutline
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.tables.points import points_csv, read_points_csv
from fcnlab.storage.formats.tables.table import TableLine
from fcnlab.storage.formats.writing import PointRow
from fcnlab.validation import clean_name


@dataclass(frozen=True, slots=True)
class Addition:
    """A point to add; `place` says where it stands for whoever has to mend it, such as "points.csv, line 7"."""

    image_id: int
    point: Point
    labeller: str
    source: PointSource
    place: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """Plain values that the event of the point keeps."""


@dataclass(frozen=True, slots=True)
class Keypoint:
    """A point as another tool speaks of it.

    Attributes:
        point: where, and of which class.
        group: class id of the keypoints that the tool tells together, all or none of them.
        name: what the tool calls it; empty when it has no name.
    """

    point: Point
    group: int
    name: str


def add_points_at_once(lab: Lab, additions: Iterable[Addition], *, project_id: int) -> None:
    """Add points of many images and labellers: all of them, or none. Each can be undone like a click.

    Raises:
        UnknownProject: no such project.
        InvalidPoints: one of them cannot be added; the message begins with its place.
    """
    wanted = list(additions)
    with writing(lab.sessions) as session:
        now = lab.clock()
        add_in(session, wanted, project_id=project_id, now=now)


def add_in(session: Session, additions: Collection[Addition], *, project_id: int, now: datetime) -> None:
    """As `add_points_at_once`, inside the transaction of the caller, who has to leave it when this raises.

    In a project that counts, a pixel that is of the class already gets no second point.
    What is asked of the database does not grow with the points: other writers wait meanwhile.
    """
    client_id = f"{PointSource.IMPORT.value}-{uuid.uuid4().hex}"
    project = repository_projects.project(session, project_id=project_id)
    classes, is_counting = project.class_ids(), project.task is Task.COUNTS
    outlines: dict[int, ImageOutline] = {}
    marked: set[tuple[int, Point]] = set()  # where the project counts: a second point there is no second object
    rows = []
    for seq, addition in enumerate(additions, start=1):
        if addition.image_id not in outlines:
            outlines[addition.image_id] = _changeable(session, addition.image_id, project_id, place=addition.place)
            if is_counting:
                there = newest_per_pixel(repository_points.points_of_image(session, image_id=addition.image_id))
                marked |= {(addition.image_id, stored.point) for stored in there}
        point, labeller = addition.point, _checked(addition, outlines[addition.image_id], classes)
        if (addition.image_id, point) in marked:
            continue
        if is_counting:
            marked.add((addition.image_id, point))
        stored = StoredPoint(f"{client_id}:{seq}", addition.image_id, point, labeller, addition.source, now)
        payload = {"row": point.row, "col": point.col, "class_id": point.class_id, "source": addition.source.value}
        payload |= addition.details
        event = Event(seq=seq, kind=EventKind.ADD, image_id=addition.image_id, payload=payload)
        rows.append(StoredAddition(event, stored))
    repository_points.add_points(session, project_id=project_id, stored=[row.stored for row in rows])
    repository_events.record_additions(session, rows, client_id=client_id, project_id=project_id)
    for outline in outlines.values():
        if outline.state is ImageState.NEW:
            repository_images.set_image_state(session, image_id=outline.id, state=ImageState.IN_PROGRESS)


def replace_keypoints(
    lab: Lab,
    keypoints: Collection[Keypoint],
    *,
    groups: Collection[int] | None,
    image_id: int,
    labeller: str,
    project_id: int,
    place: str,
) -> bool:
    """Make these keypoints all the points that one labeller has of some groups on an image; whether anything changed.

    Points of other groups stay, unless a keypoint has their name or their pixel; so do points of other labellers, and
    those that are there already. All in one transaction.

    Args:
        groups: what the keypoints tell whole; None: all groups.

    Raises:
        UnknownProject: no such project.
        InvalidPoints: the image is gone or done, or a point cannot be stored. Nothing was changed.
    """
    who = clean_name(labeller)
    wanted = {(keypoint.point, keypoint.group): keypoint for keypoint in keypoints}
    names = {keypoint.name for keypoint in keypoints if keypoint.name}
    pixels = {(keypoint.point.row, keypoint.point.col) for keypoint in keypoints}
    with writing(lab.sessions) as session:
        now = lab.clock()
        stored = _keypoints_of(session, image_id=image_id, labeller=who)
        gone = [
            uid
            for uid, keypoint in stored.items()
            if (keypoint.point, keypoint.group) not in wanted
            and (
                groups is None
                or keypoint.group in groups
                or keypoint.name in names
                or (keypoint.point.row, keypoint.point.col) in pixels
            )
        ]
        there = {(keypoint.point, keypoint.group) for keypoint in stored.values()}
        new = [
            Addition(
                image_id,
                keypoint.point,
                who,
                PointSource.CLICK,
                place,
                {"group": keypoint.group, "keypoint": keypoint.name},
            )
            for key, keypoint in wanted.items()
            if key not in there
        ]
        add_in(session, new, project_id=project_id, now=now)
        if gone:
            _changeable(session, image_id, project_id, place=place)
            _remove(session, gone, image_id=image_id, labeller=who, project_id=project_id, now=now)
    return bool(new or gone)


def stored_keypoints(lab: Lab, *, image_id: int, labeller: str) -> tuple[Keypoint, ...]:
    """The live points of a labeller on an image, as the tool that made them spoke of them."""
    with reading(lab.sessions) as session:
        return tuple(_keypoints_of(session, image_id=image_id, labeller=labeller).values())


def _keypoints_of(session: Session, *, image_id: int, labeller: str) -> dict[str, Keypoint]:
    """The live points of a labeller by their uid; one stored without a group is of that of its class."""
    stored = repository_points.points_of_image(session, image_id=image_id)
    points = {stored_point.uid: stored_point.point for stored_point in stored if stored_point.labeller == labeller}
    told = repository_events.payloads_of_points(session, uids=points)
    return {
        uid: Keypoint(point, told.get(uid, {}).get("group", point.class_id), told.get(uid, {}).get("keypoint", ""))
        for uid, point in points.items()
    }


def _remove(
    session: Session, uids: Collection[str], *, image_id: int, labeller: str, project_id: int, now: datetime
) -> None:
    """Hide live points; each has an event of its own, so that each can be brought back."""
    client_id = f"remove-{uuid.uuid4().hex}"
    for seq, uid in enumerate(uids, start=1):
        repository_points.hide_made(session, project_id=project_id, uids=[uid], now=now)
        event = Event(seq=seq, kind=EventKind.REMOVE, image_id=image_id, payload={"uid": uid})
        repository_events.record_event(
            session,
            client_id=client_id,
            event=event,
            labeller=labeller,
            project_id=project_id,
            image_id=image_id,
            effect=Effect(removed=(uid,)),
            now=now,
        )


def _changeable(session: Session, image_id: int, project_id: int, *, place: str) -> ImageOutline:
    outline = repository_images.find_outline(session, image_id=image_id)
    if outline is None or outline.project_id != project_id:
        raise InvalidPoints(f"{place}: this image is not in the project any more")
    if outline.state is ImageState.DONE:
        raise InvalidPoints(f"{place}: this image is done: reopen it to change it")
    return outline


def _checked(addition: Addition, image: ImageOutline, classes: Collection[int]) -> str:
    """The cleaned name of the labeller of a point that can be stored."""
    point = addition.point
    if any(abs(value) > MAX_ID for value in (point.row, point.col, point.class_id)):
        raise InvalidPoints(f"{addition.place}: its numbers are too large")
    if not (0 <= point.row < image.height and 0 <= point.col < image.width):
        raise InvalidPoints(
            f"{addition.place}: row {point.row}, column {point.col} is outside the image of {image.height} rows and "
            f"{image.width} columns"
        )
    if point.class_id not in classes:
        raise InvalidPoints(f"{addition.place}: the project has no class {point.class_id}")
    try:
        return clean_name(addition.labeller)
    except FcnlabError as refusal:
        raise InvalidPoints(f"{addition.place}: {refusal}") from refusal


DEFAULT_LABELLER = "import"


@dataclass(frozen=True, slots=True)
class PointsImported:
    """How many points of a table were added, and how many the project had already."""

    added: int
    existing: int


def export_points(lab: Lab, *, project_id: int, to: Path) -> int:
    """Write the table of all live points; returns their number.

    Raises:
        UnknownProject: no such project.
        ExportFailed: the file cannot be written.
    """
    snapshot = snapshot_of(lab, project_id=project_id, with_strokes=False)
    try:
        write_whole(to, points_csv(point_rows(snapshot, snapshot.images)))
    except OSError as failure:
        raise ExportFailed(
            f"{to} cannot be written ({failure.strerror or failure}); choose another folder"
        ) from failure
    return len(snapshot.points)


def import_points(lab: Lab, file: Path, *, project_id: int, labeller: str = DEFAULT_LABELLER) -> PointsImported:
    """Add the points of a table, all or none; those the project has already are passed over.

    Args:
        lab: the installation.
        file: columns image, row, col, class or class_id; labeller and source if wanted.
        project_id: where they go.
        labeller: of lines that name none.

    Raises:
        UnknownProject: no such project.
        InvalidPoints: a line is wrong; the message names it. Nothing was added.
    """
    lines = read_points_csv(file)
    with reading(lab.sessions) as session:
        labels = repository_projects.project(session, project_id=project_id).classes
        images = {image.name: image for image in repository_images.images(session, project_id=project_id)}
        existing = {
            (stored.image_id, stored.point)
            for stored in repository_points.points_of_project(session, project_id=project_id)
        }
    additions = []
    for line in lines:
        addition = _addition(line, file, images, labels, labeller)
        if (addition.image_id, addition.point) not in existing:
            existing.add((addition.image_id, addition.point))
            additions.append(addition)
    add_points_at_once(lab, additions, project_id=project_id)
    return PointsImported(added=len(additions), existing=len(lines) - len(additions))


def point_rows(snapshot: ProjectSnapshot, images: Iterable[ImageInfo]) -> Iterable[PointRow]:
    """The table of points of these images, in the order of image names, rows, columns, classes."""
    by_image = rows_by_image(snapshot, images, snapshot.project.class_ids())
    names = {image.id: image.name for image in snapshot.images}
    for image_id in sorted(by_image, key=names.__getitem__):
        yield from by_image[image_id]


def rows_by_image(
    snapshot: ProjectSnapshot, images: Iterable[ImageInfo], class_ids: Collection[int]
) -> dict[int, list[PointRow]]:
    """The rows of the table for each of these images with points of these classes, in the order of `point_rows`."""
    names = {image.id: image.name for image in images}
    classes = {label.id: label.name for label in snapshot.project.classes if label.id in class_ids}

    def sort_key(stored: StoredPoint) -> tuple[object, ...]:
        return stored.point, stored.created_at, stored.labeller, stored.source

    rows: dict[int, list[PointRow]] = {}
    for stored in sorted((stored for stored in snapshot.points if stored.image_id in names), key=sort_key):
        point = stored.point
        if point.class_id in classes:
            row = (
                names[stored.image_id],
                point.row,
                point.col,
                point.class_id,
                classes[point.class_id],
                stored.labeller,
                stored.source.value,
                stored.created_at.isoformat(),
            )
            rows.setdefault(stored.image_id, []).append(row)
    return rows


def _addition(
    line: TableLine, file: Path, images: dict[str, ImageInfo], labels: tuple[ClassLabel, ...], labeller: str
) -> Addition:
    place, values = f"{file.name}, line {line.line}", line.values
    image = images.get(values["image"])
    if image is None:
        raise InvalidPoints(f"{place}: the project has no image {values['image']!r}; import it first")
    numbers = [_whole(values[column], column, place) for column in ("row", "col")]
    source = values.get("source") or PointSource.IMPORT.value
    if source not in list(PointSource):
        raise InvalidPoints(f"{place}: source {source!r} is none of {', '.join(PointSource)}")
    point = Point(numbers[0], numbers[1], _class_id(values, labels, place))
    return Addition(image.id, point, values.get("labeller") or labeller, PointSource(source), place)


def _class_id(values: dict[str, str], labels: tuple[ClassLabel, ...], place: str) -> int:
    name, class_id = values.get("class", ""), values.get("class_id", "")
    for label in labels:
        if label.name == name if name else str(label.id) == class_id.strip():
            return label.id
    choices = ", ".join(f"{label.name} ({label.id})" for label in labels)
    raise InvalidPoints(f"{place}: the project has no class {name or class_id!r}; it has {choices}")


def _whole(text: str, column: str, place: str) -> int:
    try:
        return int(text)
    except ValueError as failure:
        raise InvalidPoints(f"{place}: {column} {text!r} is no whole number") from failure
