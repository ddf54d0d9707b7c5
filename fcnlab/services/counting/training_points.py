"""The points of a project as networks learn to count from them: objects, and images whose objects are all marked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from fcnlab.core.counting.objective import (
    CountingObjective,
    counting_objective,
    held_out_counts,
    magnified,
    usual_spacing,
)
from fcnlab.core.training.splits import groups_alike
from fcnlab.domain.counting import Task
from fcnlab.domain.events import StoredPoint
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.pictures import thumbnail_descriptor
from fcnlab.services.training.training_points import TrainingPoints
from fcnlab.storage.database import repository_counts, repository_images, repository_projects
from fcnlab.storage.database.engine import reading


class CountingPoints(TrainingPoints):
    """Points of a project that a network learns to count from. See TrainingPoints; what differs:

    Images that are all marked take part without a point as well: nothing is there. Only they are held out. The
    background is a class even without a point, and every point counts one, whatever its source. Spacing and
    magnification are decided at the beginning, too.

    Args:
        plan: one that several trainings share may name the images that were all marked at `as_of`.

    Raises:
        InvalidSetting: the project does not count.
        NoPoints: no object is marked.
    """

    def __init__(
        self,
        lab: Lab,
        project_id: int,
        spec: TrainingSpec,
        *,
        image_ids: Sequence[int] | None = None,
        plan: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
    ) -> None:
        decided = plan or {}
        self._complete: frozenset[int] = frozenset()
        self._complete_then = decided.get("complete") if as_of is not None else None
        super().__init__(lab, project_id, spec, image_ids=image_ids, plan=plan, as_of=as_of)
        self.spacing = float(decided.get("spacing") or self._usual_spacing())
        decided_spec = replace(spec, magnification=float(decided.get("magnification") or spec.magnification))
        self._spec = magnified(decided_spec, self.spacing, self.usual_hw())

    def plan(self) -> dict[str, Any]:
        """What was decided at the beginning, as plain values."""
        return {**super().plan(), "spacing": self.spacing, "magnification": self._spec.magnification}

    def complete(self) -> tuple[int, ...]:
        """The images that are all marked."""
        return tuple(sorted(self._complete))

    def objective(self, device: str) -> CountingObjective:
        """To count by the objective of the training."""
        assert self._network is not None
        return counting_objective(
            self._network,
            self._spec,
            class_ids=[class_id for class_id, _ in self.classes],
            spacing=self.spacing,
            image_hw=self.usual_hw(),
            device=device,
        )

    def point_set_hash(self) -> str:
        """SHA-256 of what is learned from: the points, and which images are all marked."""
        digest = hashlib.sha256(super().point_set_hash().encode())
        for image_id, _ in self._counting(held=False):
            if self._is_complete(image_id):
                digest.update(f"{image_id} complete\n".encode())
        return digest.hexdigest()

    def _is_complete(self, image_id: int) -> bool:
        return image_id in self._complete

    def _is_random(self) -> bool:
        return False

    def _weight(self, _point: StoredPoint) -> float:
        return 1.0

    def _refresh(self) -> None:
        super()._refresh()
        with reading(self._lab.sessions) as session:
            complete = self._complete_then
            if complete is None:
                complete = repository_counts.complete_images(session, project_id=self._project_id)
            wanted = (int(image_id) for image_id in complete)
            self._complete = frozenset(
                image_id for image_id in wanted if self._wanted is None or image_id in self._wanted
            )
            new = [image_id for image_id in sorted(self._complete) if image_id not in self._images]
            self._images |= {image.id: image for image in repository_images.images_by_ids(session, image_ids=new)}
        self._complete &= frozenset(self._images)
        self._points |= {image_id: [] for image_id in self._complete if image_id not in self._points}
        self._hold_out_alike(new)

    def _classes_with_points(self) -> tuple[tuple[int, str], ...]:
        """(id, name) of the background and of the object classes that have points, in the order of the class bar."""
        with reading(self._lab.sessions) as session:
            project = repository_projects.project(session, project_id=self._project_id)
        if project.task is not Task.COUNTS:
            raise InvalidSetting(
                f"project {project.name!r} makes masks: choose the objective 'points', or make a project that counts"
            )
        self.background = project.background
        present = {point.point.class_id for points in self._points.values() for point in points}
        used = present | {project.background}
        if not any(label.id in present for label in project.objects):
            raise NoPoints("no object is marked: click every object of a few images, and say that all are marked")
        return tuple((label.id, label.name) for label in project.background_first if label.id in used)

    def _choose_held_out(self) -> frozenset[int]:
        if not self._spec.holdout or not self._complete:
            return frozenset()
        ids = sorted(self._points)
        background = self.classes[0][0]

        def class_indices(image_id: int) -> list[int]:
            ids = (stored.point.class_id for stored in self._points[image_id])
            return [0 if class_id == background else class_id + 1 for class_id in ids]

        chosen = held_out_counts(
            groups_alike([thumbnail_descriptor(self._lab, self._images[image_id]) for image_id in ids]),
            [np.array(class_indices(image_id), np.int64) for image_id in ids],
            [image_id in self._complete for image_id in ids],
            share=self._spec.holdout,
            rng=np.random.default_rng(self._spec.seed),
        )
        return frozenset(ids[index] for index in chosen)

    def _usual_spacing(self) -> float:
        background = self.classes[0][0]
        objects, complete = [], []
        for image_id, points in self._counting(held=False):
            its = [stored.point for stored in points if stored.point.class_id != background]
            objects.append(
                (np.array([point.row for point in its], float), np.array([point.col for point in its], float))
            )
            complete.append(self._is_complete(image_id))
        return usual_spacing(objects, complete, self.usual_hw())


def points_for(
    lab: Lab,
    project_id: int,
    training: TrainingSpec,
    *,
    image_ids: Sequence[int] | None = None,
    plan: Mapping[str, Any] | None = None,
    as_of: datetime | None = None,
) -> TrainingPoints:
    """The points of a project as the objective of a training learns from them; see TrainingPoints.

    Raises:
        InvalidSetting: the objective counts, and the project does not.
        NoPoints: there is too little to learn from.
    """
    kind = CountingPoints if training.objective.is_counting else TrainingPoints
    return kind(lab, project_id, training, image_ids=image_ids, plan=plan, as_of=as_of)
