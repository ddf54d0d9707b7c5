"""What an export is made from: one consistent moment of a project, and which part of a split each image is in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.learner import wants_guess
from fcnlab.core.training.splits import SIDE, groups_alike, shared_out
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.export import SPLIT_NAMES, SplitSpec
from fcnlab.domain.images import ImageInfo, ImageState, StoredMask
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import ExportFailed, FcnlabError, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import is_unreadable, may_pass
from fcnlab.services.images.pictures import thumbnail_descriptor
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import keep_mask
from fcnlab.storage.database import (
    repository_images,
    repository_models,
    repository_points,
    repository_projects,
    repository_strokes,
)
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import removed_classes, stored_masks
from fcnlab.storage.database.repository_projects import project_revision
from fcnlab.storage.files.png import mask_hw

Phase = Literal["learning", "keeping", "splitting", "writing", "finished"]

NOTHING_LEARNED = "nothing can be learned yet: click pixels of two classes, on any image"


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """One step further; the last one has the phase "finished".

    Attributes:
        done, total: steps of this phase.
        name: the image of this step.
        n_stored, n_predicted: masks written so far, kept ones of done images and predicted ones.
        n_resumed: images that were finished before an interruption, among them.
        left_out: images without a mask in the export, and why.
    """

    phase: Phase
    done: int
    total: int
    name: str = ""
    n_stored: int = 0
    n_predicted: int = 0
    n_resumed: int = 0
    left_out: tuple[tuple[str, str], ...] = ()


class Splitter:
    """Splits images; iterate over it to look at them, one at a time, then ask for `parts`."""

    def __init__(self, lab: Lab, images: Sequence[ImageInfo], spec: SplitSpec | None) -> None:
        self._lab, self._images, self._spec = lab, images, spec
        self._descriptors: list[NDArray[np.float32]] = []

    def __iter__(self) -> Iterator[ImageInfo]:
        """Each image that had to be looked at; one that cannot be read looks like no other."""
        if self._spec is not None and self._spec.by == "look":
            for image in self._images:
                self._descriptors.append(self._descriptor(image))
                yield image

    def parts(self) -> dict[int, str]:
        """The name of the part of each image, by its id; none when images are not split."""
        if self._spec is None:
            return {}
        rng = np.random.default_rng(self._spec.seed)
        part_indices = shared_out(self._groups(self._spec), shares=self._spec.shares, rng=rng)
        return {
            image.id: SPLIT_NAMES[part_index]
            for image, part_index in zip(self._images, part_indices.tolist(), strict=True)
        }

    def _descriptor(self, image: ImageInfo) -> NDArray[np.float32]:
        try:
            return thumbnail_descriptor(self._lab, image)
        except (FcnlabError, OSError):  # the export names it when its turn comes
            return np.zeros(SIDE * SIDE, np.float32)

    def _groups(self, spec: SplitSpec) -> list[list[int]]:
        if spec.by == "look":
            return groups_alike(self._descriptors)
        groups: dict[str, list[int]] = {}
        for index, image in enumerate(self._images):
            groups.setdefault(image.name.rpartition("/")[0] if spec.by == "folder" else image.name, []).append(index)
        return list(groups.values())


ATTEMPTS = 20
"""Clicks that arrive between reading the points and fitting them start that over; so often at most."""

ATTEMPTED_AFTER_S = (0.2, 1.0)
"""How long an export waits before it tries an image again, when the database or the disk was in the way."""

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Runner(Protocol):
    """Runs one short step with the learner of the project, wherever its computing has to happen."""

    def __call__(self, work: Callable[[ProjectLearner], Result], /) -> Result:
        """The result of the step; an exception of the step is raised here."""
        ...


@dataclass(frozen=True, slots=True)
class ProjectSnapshot:
    """A project at one moment.

    Attributes:
        removed: classes no longer in use, which masks kept from before may name.
        images: all of them, in the order of their names.
        masks: what done images keep, by image id.
        points: live points, in canonical order.
        model: what it chose to make its masks; None stands for the instant learner.
        left_out: why labelled images were not learned from, by their names: they can never be read. Their points are
            neither in the model nor in the hash.
        revision: of the project at that moment.
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
    revision: int = 0
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_first_guess(self) -> bool:
        """Whether what is predicted is a first guess, by clicks of one class alone."""
        clicked = {stored.point.class_id for stored in self.points}
        return self.model is None and wants_guess(clicked, len(self.points), self.project.background)


@dataclass(frozen=True, slots=True)
class ExportSummary:
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


def export_summary(lab: Lab, *, project_id: int) -> ExportSummary:
    """How many masks an export would hold, stored and predicted. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        states = repository_images.count_images(session, project_id=project_id)
        points = repository_points.count_points_by_class(session, project_id=project_id)
    n_done = states[ImageState.DONE]
    clicked = {class_id for class_id, count in points.items() if count}
    can_learn = len(clicked) >= 2 or wants_guess(clicked, sum(points.values()), project.background)
    return ExportSummary(n_done, sum(states.values()) - n_done, project.model_id is not None or can_learn)


def snapshot_of(lab: Lab, *, project_id: int, with_strokes: bool = True) -> ProjectSnapshot:
    """The project as it is now, or without its strokes. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        images = repository_images.images(session, project_id=project_id)
        project = repository_projects.project(session, project_id=project_id)
        chosen = project.model_id
        strokes = repository_strokes.live_stroke_ids_by_image(session, project_id=project_id) if with_strokes else {}
        return ProjectSnapshot(
            project=project,
            removed=removed_classes(session, project_id=project_id),
            images=tuple(sorted(images, key=lambda image: image.name)),
            masks=stored_masks(session, project_id=project_id),
            points=repository_points.points_of_project(session, project_id=project_id),
            point_set_hash=repository_points.point_set_hash(session, project_id=project_id),
            model=None if chosen is None else repository_models.model(session, model_id=chosen),
            strokes=strokes,
            revision=project_revision(session, project_id=project_id) or 0,
        )


def learning(run: Runner, *, also_unused: bool = False) -> Iterator[tuple[int, int, str]]:
    """Learn from one labelled image per step: number, count and name of each.

    Images that could not be read before are tried again. A project that chose a model has nothing to learn, except for
    `also_unused`.

    Raises:
        FcnlabError: an image could not be learned from, although it can be read: it would be missing silently.
    """

    def refreshed(learner: ProjectLearner) -> list[ImageInfo]:
        learner.refresh()
        learner.try_again()
        return learner.images_to_learn_from() if learner.record is None or also_unused else []

    waiting = run(refreshed)
    for done, image in enumerate(waiting, start=1):
        run(partial(_learn_or_leave, image=image))
        yield done, len(waiting), image.name


def images_without_mask(lab: Lab, *, project_id: int) -> list[ImageInfo]:
    """Done images without the mask they should keep; nothing is decoded."""
    with reading(lab.sessions) as session:
        done = repository_images.images(session, project_id=project_id, state=ImageState.DONE)
        stored = stored_masks(session, project_id=project_id)
    return [
        image
        for image in done
        if image.id not in stored or mask_hw(lab.folders.masks / stored[image.id].file) != image.hw
    ]


def store_masks(lab: Lab, run: Runner, waiting: Sequence[ImageInfo]) -> Iterator[tuple[int, int, str]]:
    """Make the masks that done images lack, one per step: number, count and name of each."""
    for done, image in enumerate(waiting, start=1):
        run(partial(_keep_or_leave, lab=lab, image=image))
        yield done, len(waiting), image.name


def snapshot(lab: Lab, run: Runner, *, project_id: int, with_masks: bool) -> tuple[ProjectSnapshot, MaskSource | None]:
    """The project at one moment, and what makes its masks from exactly its points; None when nothing can.

    Of labelled images that can never be read the snapshot says so, and its hash leaves their points out.

    Raises:
        UnknownProject: no such project.
        CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
        ExportFailed: points arrive faster than they can be read.
    """
    if not with_masks:
        return snapshot_of(lab, project_id=project_id), None

    def taken(learner: ProjectLearner) -> tuple[ProjectSnapshot, MaskSource | None] | None:
        learner.refresh()
        project_snapshot = snapshot_of(lab, project_id=project_id)
        if learner.read_at != project_snapshot.revision or learner.project != project_snapshot.project:
            return None
        if learner.record is None:
            for image in learner.images_to_learn_from():
                _learn_or_leave(learner, image=image)
        source: MaskSource | None
        try:
            source = learner.source()
        except NoPoints:
            source = None
        missing = learner.left_out() if learner.record is None else {}
        if not missing:
            return project_snapshot, source
        with reading(lab.sessions) as session:
            if project_revision(session, project_id=project_id) != project_snapshot.revision:
                return None
            points = repository_points.point_set_hash(session, project_id=project_id, without=missing)
        names = {image.name: missing[image.id] for image in project_snapshot.images if image.id in missing}
        return replace(project_snapshot, point_set_hash=points, left_out=names), source

    for _ in range(ATTEMPTS):
        snapshot_and_source: Any = run(taken)
        if snapshot_and_source is not None:
            return snapshot_and_source  # type: ignore[no-any-return]
    raise ExportFailed("points keep arriving while the export starts; try again in a moment")


def _learn_or_leave(learner: ProjectLearner, *, image: ImageInfo) -> None:
    try:
        tried_again(lambda: learner.learn_from(image), name=image.name)
    except FcnlabError as failure:
        if not is_unreadable(failure):
            raise
        learner.leave_out(image, str(failure))  # the manifest names it


def tried_again(work: Callable[[], Result], *, name: str) -> Result:
    """What a step gives, at the third attempt if the database or the disk was in the way before; raises as the step."""
    for wait in ATTEMPTED_AFTER_S:
        try:
            return work()
        except FcnlabError as failure:
            if not may_pass(failure):
                raise
            log.warning("%s is tried again: %s", name, failure)
            time.sleep(wait)
    return work()


def _keep_or_leave(learner: ProjectLearner, *, lab: Lab, image: ImageInfo) -> None:
    try:
        keep_mask(lab, learner, image)
    except FcnlabError:  # likewise
        return
