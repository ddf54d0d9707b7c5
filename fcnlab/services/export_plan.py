"""What an export is made from: one consistent moment of a project."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from fcnlab.adapters import repository, repository_images, repository_models, repository_points, repository_strokes
from fcnlab.adapters.database import reading
from fcnlab.adapters.png import mask_hw
from fcnlab.adapters.repository_exports import removed_classes, stored_masks
from fcnlab.core.learner import wants_guess
from fcnlab.domain import ClassLabel, ImageInfo, ImageState, Project, StoredMask, StoredPoint
from fcnlab.errors import ExportFailed, FcnlabError, NoPoints
from fcnlab.lab import Lab
from fcnlab.runs import ModelRecord
from fcnlab.services.fitting import Maker, ProjectLearner
from fcnlab.services.masks import keep_mask

ATTEMPTS = 20
"""Clicks that arrive between reading the points and fitting them start that over; so often at most."""

Result = TypeVar("Result")


class Runner(Protocol):
    """Runs one short step with the learner of the project, wherever its computing has to happen."""

    def __call__(self, work: Callable[[ProjectLearner], Result], /) -> Result:
        """The result of the step; an exception of the step is raised here."""
        ...


@dataclass(frozen=True, slots=True)
class Moment:
    """A project at one moment.

    Attributes:
        removed: classes no longer in use, which masks kept from before may name.
        images: all of them, in the order of their names.
        masks: what done images keep, by image id.
        points: live points, in canonical order.
        model: what it chose to make its masks; None stands for the instant learner.
        strokes: numbers of the live strokes on images, by image id; none where there are none. A stored stroke never
            changes, so it is read when the turn of its image comes.
    """

    project: Project
    removed: tuple[ClassLabel, ...]
    images: tuple[ImageInfo, ...]
    masks: dict[int, StoredMask]
    points: tuple[StoredPoint, ...]
    point_set_hash: str
    model: ModelRecord | None = None
    strokes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)

    @property
    def is_first_guess(self) -> bool:
        """Whether what is predicted is a first guess, by clicks of one class alone."""
        clicked = {stored.point.class_id for stored in self.points}
        return self.model is None and wants_guess(clicked, len(self.points), self.project.background)


@dataclass(frozen=True, slots=True)
class Outlook:
    """What an export would hold, told without computing anything.

    `n_predicted` counts images without a kept mask; `can_predict` says whether a model was chosen, two
    classes have points, or a first guess can be made.
    """

    n_done: int
    n_predicted: int
    can_predict: bool

    @property
    def n_images(self) -> int:
        """All images of the project."""
        return self.n_done + self.n_predicted


def outlook(lab: Lab, *, project_id: int) -> Outlook:
    """The outlook for a project. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        project = repository.project(session, project_id=project_id)
        states = repository_images.count_images(session, project_id=project_id)
        points = repository_points.count_points_by_class(session, project_id=project_id)
    n_done = states[ImageState.DONE]
    clicked = {class_id for class_id, count in points.items() if count}
    can_learn = len(clicked) >= 2 or wants_guess(clicked, sum(points.values()), project.background)
    return Outlook(n_done, sum(states.values()) - n_done, project.model_id is not None or can_learn)


def moment_of(lab: Lab, *, project_id: int, with_strokes: bool = True) -> Moment:
    """The project as it is now, or without its strokes. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        images = repository_images.images(session, project_id=project_id)
        project = repository.project(session, project_id=project_id)
        chosen = project.model_id
        strokes = repository_strokes.live_stroke_ids_by_image(session, project_id=project_id) if with_strokes else {}
        return Moment(
            project=project,
            removed=removed_classes(session, project_id=project_id),
            images=tuple(sorted(images, key=lambda image: image.name)),
            masks=stored_masks(session, project_id=project_id),
            points=repository_points.points_of_project(session, project_id=project_id),
            point_set_hash=repository_points.point_set_hash(session, project_id=project_id),
            model=None if chosen is None else repository_models.model(session, model_id=chosen),
            strokes=strokes,
        )


def learning(run: Runner, *, also_unused: bool = False) -> Iterator[tuple[int, int, str]]:
    """Learn from one labelled image per step: number, count and name of each.

    A project that chose a model has nothing to learn, except for `also_unused`.
    """

    def refreshed(learner: ProjectLearner) -> list[ImageInfo]:
        learner.refresh()
        return learner.untaught() if learner.record is None or also_unused else []

    waiting = run(refreshed)
    for number, image in enumerate(waiting, start=1):
        run(partial(_learn_or_leave, image=image))
        yield number, len(waiting), image.name


def lacking(lab: Lab, *, project_id: int) -> list[ImageInfo]:
    """Done images without the mask they should keep; nothing is decoded."""
    with reading(lab.sessions) as session:
        done = repository_images.images(session, project_id=project_id, state=ImageState.DONE)
        stored = stored_masks(session, project_id=project_id)
    return [
        image
        for image in done
        if image.id not in stored or mask_hw(lab.folders.masks / stored[image.id].file) != image.hw
    ]


def keeping(lab: Lab, run: Runner, waiting: Sequence[ImageInfo]) -> Iterator[tuple[int, int, str]]:
    """Make the masks that done images lack, one per step: number, count and name of each."""
    for number, image in enumerate(waiting, start=1):
        run(partial(_keep_or_leave, lab=lab, image=image))
        yield number, len(waiting), image.name


def frozen(lab: Lab, run: Runner, *, project_id: int, with_masks: bool) -> tuple[Moment, Maker | None]:
    """The project at one moment, and what makes its masks from exactly its points; None when nothing can.

    Raises:
        UnknownProject: no such project.
        CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
        ExportFailed: points arrive faster than they can be read.
    """
    if not with_masks:
        return moment_of(lab, project_id=project_id), None

    def taken(learner: ProjectLearner) -> tuple[Moment, Maker | None] | None:
        with reading(lab.sessions) as session:
            project = repository.project(session, project_id=project_id)
            points = repository_points.point_set_hash(session, project_id=project_id)
        learner.refresh()
        if learner.record is None:
            for image in learner.untaught():
                _learn_or_leave(learner, image=image)
        maker: Maker | None
        try:
            maker = learner.maker()
        except NoPoints:
            maker = None
        after = moment_of(lab, project_id=project_id)
        return (after, maker) if (after.point_set_hash, after.project) == (points, project) else None

    for _ in range(ATTEMPTS):
        found: Any = run(taken)
        if found is not None:
            return found  # type: ignore[no-any-return]
    raise ExportFailed("points keep arriving while the export starts; try again in a moment")


def _learn_or_leave(learner: ProjectLearner, *, image: ImageInfo) -> None:
    try:
        learner.learn_from(image)
    except FcnlabError:  # the picture cannot be read: the export names it when its turn comes
        learner.leave_out(image)


def _keep_or_leave(learner: ProjectLearner, *, lab: Lab, image: ImageInfo) -> None:
    try:
        keep_mask(lab, learner, image)
    except FcnlabError:  # likewise
        return
