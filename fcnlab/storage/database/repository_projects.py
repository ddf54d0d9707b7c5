"""Queries about projects, classes, fits and revisions. Each takes a session and returns domain values, never rows."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, delete, func, select
from sqlalchemy.orm import Session

from fcnlab.domain.counting import Task
from fcnlab.domain.images import Imaging
from fcnlab.domain.models import FitRecord
from fcnlab.domain.project import MAX_CLASSES, ClassLabel, LearnerSpec, Project
from fcnlab.errors import InvalidClasses, InvalidName, NameTaken, UnknownProject
from fcnlab.storage.database.engine import chunked
from fcnlab.storage.database.surveys.tables import forget_surveys
from fcnlab.storage.database.tables import (
    ClassRow,
    EventRow,
    ExpertMaskRow,
    FitRow,
    ImageRow,
    PointRow,
    ProjectRow,
    StrokeRow,
    forget_trainings,
)

NEEDS_BACKGROUND = (
    "a project that counts needs a class for what is no object: call one 'background', or say which it is"
)


def create_project(
    session: Session,
    *,
    name: str,
    labels: Sequence[ClassLabel],
    learner: LearnerSpec,
    now: datetime,
    task: Task = Task.MASKS,
    background: int | None = None,
    demo: str = "",
) -> Project:
    """Store a new project with its first classes.

    Raises:
        UnknownProject: the name is empty or taken.
        InvalidClasses: no class, two of one name or id, a background that is no class, or none where objects are
            counted.
    """
    _refuse_name(session, name, own_id=None)
    if not labels:
        raise InvalidClasses(f"project {name!r} needs at least one class")
    for key in ("id", "name"):
        values = [getattr(label, key) for label in labels]
        if len(set(values)) != len(values):
            raise InvalidClasses(f"project {name!r} names a class {key} twice: {values}")
    if background is not None and background not in {label.id for label in labels}:
        raise InvalidClasses(
            f"the background {background} is none of the classes of project {name!r}: name one of them"
        )
    if background is None and task is Task.COUNTS:
        raise InvalidClasses(NEEDS_BACKGROUND)
    row = ProjectRow(
        name=name,
        key=secrets.token_urlsafe(24),
        learner=learner.to_dict(),
        archived_at=None,
        created_at=now,
        model_id=None,
        task=task.value,
        background=background,
        demo=demo or None,
    )
    session.add(row)
    session.flush()
    session.add_all(_class_row(row.id, label) for label in labels)
    session.flush()
    return project(session, project_id=row.id)


def project(session: Session, *, project_id: int) -> Project:
    """The project of that number. Raises UnknownProject."""
    return project_at(session, project_id=project_id)[0]


def project_at(session: Session, *, project_id: int) -> tuple[Project, int]:
    """The project of that number, and its revision. Raises UnknownProject."""
    read = _read(session, ProjectRow.id == project_id)
    if read is None:
        raise UnknownProject(f"there is no project {project_id}; it may have been deleted")
    return read


def require_project(session: Session, *, project_id: int) -> None:
    """Raises UnknownProject when there is no project of that number."""
    _project_row(session, project_id)


def task_of(session: Session, *, project_id: int) -> Task:
    """What a project is for. Raises UnknownProject."""
    return Task(_project_row(session, project_id).task)


def project_by_key(session: Session, *, key: str) -> Project:
    """The project with that unguessable key. Raises UnknownProject."""
    read = _read(session, ProjectRow.key == key)
    if read is None:
        raise UnknownProject("no project has this key; it may have been deleted")
    return read[0]


def projects(session: Session, *, include_archived: bool = False) -> tuple[Project, ...]:
    """All projects, oldest first."""
    query = select(ProjectRow).where(ProjectRow.deleted_at.is_(None)).order_by(ProjectRow.id)
    if not include_archived:
        query = query.where(ProjectRow.archived_at.is_(None))
    rows = session.scalars(query).all()
    classes = _live_classes(session, [row.id for row in rows])
    return tuple(_project(row, classes[row.id]) for row in rows)


def rename_project(session: Session, *, project_id: int, name: str) -> Project:
    """Give the project another name. Raises UnknownProject: no such project, or the name is taken."""
    row = _project_row(session, project_id)
    _refuse_name(session, name, own_id=project_id)
    row.name = name
    return project(session, project_id=project_id)


def set_archived(session: Session, *, project_id: int, archived_at: datetime | None) -> Project:
    """Archive the project, or with None take it back. Raises UnknownProject."""
    _project_row(session, project_id).archived_at = archived_at
    return project(session, project_id=project_id)


def set_learner(session: Session, *, project_id: int, learner: LearnerSpec) -> Project:
    """Store other learner settings. Raises UnknownProject."""
    _project_row(session, project_id).learner = learner.to_dict()
    return project(session, project_id=project_id)


def set_imaging(session: Session, *, project_id: int, imaging: Imaging) -> Project:
    """Store how pictures are made from now on; those of its images are another matter. Raises UnknownProject."""
    _project_row(session, project_id).imaging = None if imaging.is_default else imaging.to_dict()
    return project(session, project_id=project_id)


def set_background(session: Session, *, project_id: int, class_id: int | None) -> int | None:
    """Make a live class the background, or none; what it was before.

    Raises:
        UnknownProject: no such project.
        InvalidClasses: no live class has the id, or the project counts objects and needs a background.
    """
    row = _project_row(session, project_id)
    if class_id is not None:
        _class_of(session, project_id, class_id)
    elif row.task == Task.COUNTS.value:
        raise InvalidClasses(NEEDS_BACKGROUND)
    was, row.background = row.background, class_id
    session.flush()
    return was


def begin_deletion(session: Session, *, project_id: int, now: datetime) -> None:
    """From now on there is no such project, and its name is free; its trainings and models are gone at once.

    Raises:
        UnknownProject: no such project.
    """
    row = _project_row(session, project_id)
    row.key = secrets.token_urlsafe(24)
    row.name, row.deleted_at, row.model_id = row.key, now, None
    session.flush()
    forget_trainings(session, project_id=project_id)
    forget_surveys(session, project_id=project_id)


def delete_some(session: Session, *, project_id: int, count: int) -> bool:
    """Delete at most `count` rows of a project that `begin_deletion` began with; whether any may be left."""
    for table in (PointRow, EventRow, StrokeRow, ExpertMaskRow, FitRow, ImageRow):
        few = select(table.id).where(table.project_id == project_id).limit(count).scalar_subquery()
        done = session.execute(delete(table).where(table.id.in_(few)).execution_options(synchronize_session=False))
        if cast("CursorResult[Any]", done).rowcount:
            return True
    session.execute(delete(ClassRow).where(ClassRow.project_id == project_id))
    session.execute(delete(ProjectRow).where(ProjectRow.id == project_id, ProjectRow.deleted_at.is_not(None)))
    return False


def projects_in_deletion(session: Session) -> tuple[int, ...]:
    """Ids of the projects that are going away, or were when a process was killed."""
    query = select(ProjectRow.id).where(ProjectRow.deleted_at.is_not(None))
    return tuple(session.scalars(query.order_by(ProjectRow.id)))


def add_class(session: Session, *, project_id: int, name: str, colour: str) -> ClassLabel:
    """Add a class under an id this project never used.

    Raises:
        InvalidClasses: a live class has the name, all 255 ids are used, or name or colour is invalid.
    """
    highest_id, last_order = session.execute(
        select(func.max(ClassRow.class_id), func.max(ClassRow.place)).where(ClassRow.project_id == project_id)
    ).one()
    class_id = 0 if highest_id is None else highest_id + 1
    if class_id >= MAX_CLASSES:
        raise InvalidClasses(f"all {MAX_CLASSES} class ids of this project were used; edit a class instead")
    label = ClassLabel(id=class_id, name=name, colour=colour, order=0 if last_order is None else last_order + 1)
    _refuse_class_name(session, project_id, label)
    session.add(_class_row(project_id, label))
    session.flush()
    return label


def edit_class(session: Session, *, project_id: int, label: ClassLabel) -> ClassLabel:
    """Give the live class `label.id` the name, colour and order of `label`.

    Raises:
        InvalidClasses: no live class has the id, or another one has the name.
    """
    row = _class_of(session, project_id, label.id)
    _refuse_class_name(session, project_id, label)
    row.name, row.colour, row.place = label.name, label.colour, label.order
    session.flush()
    return label


def remove_class(session: Session, *, project_id: int, class_id: int, now: datetime) -> None:
    """Take a class out of use; its points stay stored and count no more, its id is never given again.

    A project whose background it was has none afterwards.

    Raises:
        InvalidClasses: no live class has the id, it is the last one, or the background of a project that counts.
    """
    row = _class_of(session, project_id, class_id)
    if len(live_classes(session, project_id=project_id)) == 1:
        raise InvalidClasses(f"class {row.name!r} is the last one; add another before you remove it")
    project_row = _project_row(session, project_id)
    if project_row.background == class_id:
        if project_row.task == Task.COUNTS.value:
            raise InvalidClasses(
                f"class {row.name!r} is the background, which counting needs: make another class it first"
            )
        project_row.background = None
    row.removed_at = now
    session.flush()


def live_classes(session: Session, *, project_id: int) -> tuple[ClassLabel, ...]:
    """The classes in use, in the order of the class bar."""
    return _live_classes(session, [project_id])[project_id]


def class_label(session: Session, *, project_id: int, class_id: int) -> ClassLabel:
    """The live class of that id. Raises InvalidClasses."""
    return _label(_class_of(session, project_id, class_id))


def record_fit(
    session: Session,
    *,
    project_id: int,
    learner: LearnerSpec,
    point_set_hash: str,
    n_points: int,
    checkpoint: str,
    milliseconds: float,
    now: datetime,
) -> FitRecord:
    """Store that a fit is finished and where its checkpoint lies. Raises UnknownProject."""
    _project_row(session, project_id)
    row = FitRow(
        project_id=project_id,
        learner=learner.to_dict(),
        point_set_hash=point_set_hash,
        n_points=n_points,
        checkpoint=checkpoint,
        milliseconds=milliseconds,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _fit(row)


def fits(session: Session, *, project_id: int) -> tuple[FitRecord, ...]:
    """All fits of the project, newest first."""
    rows = session.scalars(select(FitRow).where(FitRow.project_id == project_id).order_by(FitRow.id.desc()))
    return tuple(_fit(row) for row in rows)


def _project_row(session: Session, project_id: int) -> ProjectRow:
    row = session.get(ProjectRow, project_id)
    if row is None or row.deleted_at is not None:
        raise UnknownProject(f"there is no project {project_id}; it may have been deleted")
    return row


def _read(session: Session, which: ColumnElement[bool]) -> tuple[Project, int] | None:
    """A project with its classes, by one query, and its revision; None when there is none."""
    is_live = (ClassRow.project_id == ProjectRow.id) & ClassRow.removed_at.is_(None)
    query = select(ProjectRow, ClassRow).outerjoin(ClassRow, is_live).where(which, ProjectRow.deleted_at.is_(None))
    rows = session.execute(query.order_by(ClassRow.place, ClassRow.class_id)).all()
    if not rows:
        return None
    row = rows[0][0]
    return _project(row, tuple(_label(label) for _, label in rows if label is not None)), row.revision


def _refuse_name(session: Session, name: str, *, own_id: int | None) -> None:
    if not name.strip():
        raise InvalidName("a project needs a name: type at least one letter")
    taken = session.scalar(select(ProjectRow.id).where(ProjectRow.name == name))
    if taken is not None and taken != own_id:
        raise NameTaken(f"there is a project named {name!r} already; choose another name")


def _class_of(session: Session, project_id: int, class_id: int) -> ClassRow:
    row = session.get(ClassRow, (project_id, class_id)) if 0 <= class_id < MAX_CLASSES else None
    if row is None or row.removed_at is not None:
        raise InvalidClasses(f"this project has no class {class_id}; it may have been removed")
    return row


def _refuse_class_name(session: Session, project_id: int, label: ClassLabel) -> None:
    taken = session.scalar(
        select(ClassRow.class_id).where(
            ClassRow.project_id == project_id, ClassRow.name == label.name, ClassRow.removed_at.is_(None)
        )
    )
    if taken is not None and taken != label.id:
        raise InvalidClasses(f"there is a class named {label.name!r} already; choose another name")


def _live_classes(session: Session, project_ids: Sequence[int]) -> dict[int, tuple[ClassLabel, ...]]:
    by_project: dict[int, list[ClassLabel]] = {project_id: [] for project_id in project_ids}
    query = select(ClassRow).where(ClassRow.removed_at.is_(None)).order_by(ClassRow.place, ClassRow.class_id)
    for some in chunked(project_ids):
        for row in session.scalars(query.where(ClassRow.project_id.in_(some))):
            by_project[row.project_id].append(_label(row))
    return {project_id: tuple(labels) for project_id, labels in by_project.items()}


def _class_row(project_id: int, label: ClassLabel) -> ClassRow:
    return ClassRow(
        project_id=project_id,
        class_id=label.id,
        name=label.name,
        colour=label.colour,
        place=label.order,
        removed_at=None,
    )


def _label(row: ClassRow) -> ClassLabel:
    return ClassLabel(id=row.class_id, name=row.name, colour=row.colour, order=row.place)


def _project(row: ProjectRow, classes: tuple[ClassLabel, ...]) -> Project:
    return Project(
        id=row.id,
        name=row.name,
        key=row.key,
        classes=classes,
        learner=LearnerSpec.from_dict(row.learner),
        archived=row.archived_at is not None,
        model_id=row.model_id,
        imaging=Imaging() if row.imaging is None else Imaging.from_dict(row.imaging),
        task=Task(row.task),
        background=row.background,
        demo=row.demo or "",
    )


def _fit(row: FitRow) -> FitRecord:
    return FitRecord(
        id=row.id,
        project_id=row.project_id,
        learner=LearnerSpec.from_dict(row.learner),
        point_set_hash=row.point_set_hash,
        n_points=row.n_points,
        checkpoint=row.checkpoint,
        milliseconds=row.milliseconds,
        created_at=row.created_at,
    )


NOTHING_READ = -1
"""The revision of a project that nobody has read anything of."""


def project_revision(session: Session, *, project_id: int) -> int | None:
    """The revision of a project, which rises with every change of its marks; None when it is gone."""
    return session.scalar(select(ProjectRow.revision).where(ProjectRow.id == project_id))
