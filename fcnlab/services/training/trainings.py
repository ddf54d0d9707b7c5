"""Trainings as people see them: starting, pausing, resuming, cancelling, looking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from fcnlab.core.networks.ordinal import refuse_order
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.counting import Objective, Task
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.domain.training import Epoch, Training, TrainingSpec, TrainingState, Wanted
from fcnlab.errors import InvalidSetting, NoPoints, TrainingRefused, UnknownImage
from fcnlab.lab import Lab
from fcnlab.storage.database import (
    repository_images,
    repository_points,
    repository_projects,
    repository_trainings,
)
from fcnlab.storage.database.engine import reading, writing

SHORTEST_EPOCHS = 10
"""A network that saw its points less often has hardly begun: its figures tell of the run, not of the network."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """What a project has to train on: images, those with points, and live points per class in use."""

    n_images: int
    n_labelled: int
    points_by_class: dict[int, int]

    @property
    def n_points(self) -> int:
        """Number of live points."""
        return sum(self.points_by_class.values())

    @property
    def n_clicked_classes(self) -> int:
        """Number of classes with a point: training wants two."""
        return sum(count > 0 for count in self.points_by_class.values())


def readiness(lab: Lab, *, project_id: int) -> Readiness:
    """What a project has to train on. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        repository_projects.require_project(session, project_id=project_id)
        return Readiness(
            n_images=sum(repository_images.count_images(session, project_id=project_id).values()),
            n_labelled=len(repository_points.count_points_by_image(session, project_id=project_id)),
            points_by_class=repository_points.count_points_by_class(session, project_id=project_id),
        )


def start_training(
    lab: Lab,
    *,
    project_id: int,
    network: NetworkSpec,
    training: TrainingSpec,
    labeller: str,
    image_ids: Sequence[int] | None = None,
    comparison_id: int | None = None,
) -> Training:
    """Queue a training; `workers.ensure_worker` sees to it that somebody takes it up.

    Args:
        lab: the installation.
        project_id: whose points to learn from.
        network: as many classes as the project has.
        training: how.
        labeller: who asks for it.
        image_ids: learn from the points of these images only.
        comparison_id: the comparison it belongs to.

    Raises:
        UnknownProject: no such project.
        UnknownImage: an image is not of the project.
        InvalidSetting: the network tells another number of classes apart than the project has.
        InvalidSetting: the project counts and the training does not, or the other way round; or it should use an order
            of grades where there is none, or by a network that cannot.
        NoPoints: fewer than two classes have points in those images, or to count no object.
    """
    with writing(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        classes = project.classes
        _refuse_other_task(project, training)
        training = with_grades_of(project, training)
        refuse_order(network, grades=training.grades, is_counting=training.objective.is_counting)
        _refuse_without_points(session, project_id, image_ids, classes, is_count=training.objective.is_counting)
        n_classes = len(classes)
        if network.n_classes != n_classes:
            raise InvalidSetting(
                f"the network tells {network.n_classes} classes apart, the project has {n_classes}; start anew"
            )
        return repository_trainings.add_training(
            session,
            project_id=project_id,
            network=network,
            training=training,
            image_ids=image_ids,
            comparison_id=comparison_id,
            labeller=labeller,
            now=lab.clock(),
        )


def start_counting(
    lab: Lab,
    *,
    project_id: int,
    network: NetworkSpec,
    training: TrainingSpec,
    objectives: Sequence[Objective],
    labeller: str,
) -> tuple[Training, ...]:
    """Queue trainings that count, one after the other on the same held-out images.

    Of several the project uses the one whose counts are least off.

    Args:
        lab: the installation.
        project_id: it counts.
        network: as for `start_training`.
        training: how; its objective is replaced by each of `objectives`.
        objectives: what to train for, at least one.
        labeller: who asks for it.

    Raises:
        UnknownProject, InvalidSetting, NoPoints: as `start_training`.
    """
    pair = lab.clock().isoformat() if len(objectives) > 1 else ""
    specs = [replace(training, objective=objective, pair=pair) for objective in objectives]
    return tuple(
        start_training(lab, project_id=project_id, network=network, training=spec, labeller=labeller) for spec in specs
    )


def pause_training(lab: Lab, *, training_id: int) -> Training:
    """Let a training rest: at once when nobody works on it, else as soon as its worker has looked.

    Raises:
        UnknownTraining: no such training.
        TrainingRefused: it is neither queued nor running.
    """
    with writing(lab.sessions) as session:
        record = repository_trainings.training(session, training_id=training_id)
        if record.state not in (TrainingState.QUEUED, TrainingState.RUNNING):
            raise TrainingRefused(
                f"training {training_id} is {record.state}; only a queued or running one can be paused"
            )
        if not _is_worked_on(lab, session, record):
            record = repository_trainings.set_state(
                session, training_id=training_id, state=TrainingState.PAUSED, now=lab.clock()
            )
        return repository_trainings.set_wanted(session, training_id=record.id, wanted=Wanted.PAUSE)


def resume_training(lab: Lab, *, training_id: int) -> Training:
    """Let a training that rests or failed go on from where it was; `workers.ensure_worker` follows.

    Raises:
        UnknownTraining: no such training.
        TrainingRefused: it is over, or about to be.
    """
    with writing(lab.sessions) as session:
        record = repository_trainings.training(session, training_id=training_id)
        if not record.can_go_on:
            raise TrainingRefused(f"training {training_id} is {record.state}: start a new one")
        if record.state in (TrainingState.PAUSED, TrainingState.FAILED):
            queued = TrainingState.QUEUED
            repository_trainings.set_state(session, training_id=training_id, state=queued, now=lab.clock())
        return repository_trainings.set_wanted(session, training_id=training_id, wanted=Wanted.RUN)


def cancel_training(lab: Lab, *, training_id: int) -> Training:
    """End a training for good and forget how far it was; its curves stay.

    Raises:
        UnknownTraining: no such training.
        TrainingRefused: it is over already.
    """
    with writing(lab.sessions) as session:
        record = repository_trainings.training(session, training_id=training_id)
        if record.state in (TrainingState.FINISHED, TrainingState.CANCELLED):
            raise TrainingRefused(f"training {training_id} is {record.state} already")
        if not _is_worked_on(lab, session, record):
            repository_trainings.set_state(
                session, training_id=training_id, state=TrainingState.CANCELLED, now=lab.clock()
            )
            (lab.folders.resume / record.resume_file).unlink(missing_ok=True)
        return repository_trainings.set_wanted(session, training_id=training_id, wanted=Wanted.CANCEL)


def training(lab: Lab, *, training_id: int) -> Training:
    """The training of that number. Raises UnknownTraining."""
    with reading(lab.sessions) as session:
        return repository_trainings.training(session, training_id=training_id)


def trainings(lab: Lab, *, project_id: int) -> tuple[Training, ...]:
    """All trainings of a project, newest first."""
    with reading(lab.sessions) as session:
        return repository_trainings.trainings(session, project_id=project_id)


@dataclass(frozen=True, slots=True)
class Situation:
    """What goes on in a project: its open trainings in the order a worker takes them up, paused ones last.

    `curves` are those of the first; `is_served`: a worker lives.
    """

    going: tuple[Training, ...]
    curves: tuple[Epoch, ...]
    is_served: bool


def situation(lab: Lab, *, project_id: int) -> Situation:
    """What goes on in a project, at one moment."""
    with reading(lab.sessions) as session:
        open_trainings = repository_trainings.trainings(session, project_id=project_id, only_open=True)
        order = (TrainingState.RUNNING, TrainingState.QUEUED, TrainingState.PAUSED)
        going = tuple(sorted(open_trainings, key=lambda record: (order.index(record.state), record.id)))
        return Situation(
            going=going,
            curves=repository_trainings.epochs(session, training_id=going[0].id) if going else (),
            is_served=repository_trainings.has_live_lease(session, project_id=project_id, now=lab.clock()),
        )


def curves(lab: Lab, *, training_id: int) -> tuple[Epoch, ...]:
    """What the epochs of a training reported, in order."""
    with reading(lab.sessions) as session:
        return repository_trainings.epochs(session, training_id=training_id)


def _is_worked_on(lab: Lab, session: Session, record: Training) -> bool:
    is_running = record.state is TrainingState.RUNNING
    return is_running and repository_trainings.has_live_lease(session, project_id=record.project_id, now=lab.clock())


OTHER_TASK = {
    Task.COUNTS: "counts objects: train with the objective 'density' or 'blobs', as `fcnlab count train` does",
    Task.MASKS: "makes masks, and only a project that counts knows when all objects of an image are marked: make one "
    "on the Projects page",
}
"""What is wrong with a training for another task than that of the project."""


def _refuse_other_task(project: Project, training: TrainingSpec) -> None:
    if training.objective.task is not project.task:
        raise InvalidSetting(f"project {project.name!r} {OTHER_TASK[project.task]}")


def with_grades_of(project: Project, training: TrainingSpec) -> TrainingSpec:
    """The training with the grades of the project as they are now; of one that counts, as it is."""
    if training.objective.is_counting:
        return training
    return replace(training, grades=project.learner.grades_of(label.id for label in project.classes))


def _refuse_without_points(
    session: Session,
    project_id: int,
    image_ids: Sequence[int] | None,
    classes: Sequence[ClassLabel],
    *,
    is_count: bool,
) -> None:
    points = repository_points.points_of_project(session, project_id=project_id)
    if image_ids is not None:
        of_project = {image.id for image in repository_images.images(session, project_id=project_id)}
        strange = sorted(set(image_ids) - of_project)
        if strange:
            raise UnknownImage(f"project {project_id} has no image {strange[0]}; it may have been deleted")
        points = tuple(point for point in points if point.image_id in set(image_ids))
    clicked = {point.point.class_id for point in points}
    names = [label.name for label in classes if label.id in clicked]
    if is_count:
        if not clicked & {label.id for label in classes[1:]}:
            raise NoPoints("no object is marked: click every object of a few images, and say that all are marked")
        return
    if not names:
        raise NoPoints("there are no points to learn from: click at least one pixel in each of two classes")
    if len(names) == 1:
        raise NoPoints(f"all points are of class {names[0]!r}: click at least one pixel of a second class")


def too_short_in_words(titled: Sequence[tuple[str, Training | None]]) -> str:
    """Which finished trainings were too short to mean anything, in a sentence; empty when none was.

    Those that began with the weights of a model, and networks that are fitted in one step, are never too short.

    Args:
        titled: titles for people and trainings; None for the instant learner.
    """
    short = [
        f"{title} ({training.epoch} {'epoch' if training.epoch == 1 else 'epochs'})"
        for title, training in titled
        if training is not None
        and training.state is TrainingState.FINISHED
        and training.epoch < SHORTEST_EPOCHS
        and NETWORKS[training.network.network].by_steps
        and not training.training.parent
    ]
    if not short:
        return ""
    return f"Too short a run to mean anything: {', '.join(short)}. Give it more time before you judge the network."
