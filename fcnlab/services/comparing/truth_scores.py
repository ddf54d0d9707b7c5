"""Two models of a project measured on the masks of experts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.training.grade_scores import GradeTally
from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import IGNORE
from fcnlab.domain.scores import GradeScore
from fcnlab.errors import ImportRefused
from fcnlab.lab import Lab
from fcnlab.services.comparing.model_difference import Versions, sources_of
from fcnlab.services.export.plan import Runner, learning
from fcnlab.services.labels.expert_masks import expert_truth, images_with_truth
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import predicted_mask
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading

MOST_IMAGES = 200
"""With more expert masks than this, so many of them are taken, spread evenly."""


@dataclass(frozen=True, slots=True)
class TruthScore:
    """One model on the masks of experts: mean IoU over the classes that occur, and of each by its id; how far grades
    are off, in a project that has some."""

    mean_iou: float
    per_class: dict[int, float]
    grades: GradeScore | None = None


@dataclass(frozen=True, slots=True)
class TruthProgress:
    """One image further; `scores` of both models so far, None before the first image.

    `n_images` counts those measured, `left_out` names those whose picture or mask cannot be read.
    """

    done: int
    total: int
    scores: tuple[TruthScore, TruthScore] | None = None
    n_images: int = 0
    left_out: tuple[str, ...] = ()


def truth_scores(lab: Lab, run: Runner, *, project_id: int, versions: Versions) -> Iterator[TruthProgress]:
    """Measure two models on the expert masks of a project, one image per step; clicks are obeyed in both.

    Pixels about which an expert mask says nothing count nowhere. Images whose points a model learned from are among
    them: what it says of itself there is too good.

    Raises:
        NoPoints: the instant learner is asked, and fewer than two classes have points.
        CheckpointError, UnknownEncoder, InvalidClasses: a model cannot be used.
    """
    if None in versions:
        for done, total, _ in learning(run, also_unused=True):
            yield TruthProgress(done, total)
    sources = run(partial(sources_of, versions=versions))
    ids = images_with_truth(lab, project_id=project_id)
    chosen = [ids[index * len(ids) // min(len(ids), MOST_IMAGES)] for index in range(min(len(ids), MOST_IMAGES))]
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
    grades = project.learner.grades_of(label.id for label in project.classes)
    tallies = [_Tally(grades) for _ in sources]
    n_images, left_out = 0, []
    for done, image_id in enumerate(chosen, start=1):
        with reading(lab.sessions) as session:
            image = repository_images.image(session, image_id=image_id)
        truth = expert_truth(lab, image)
        try:
            masks = None if truth is None else run(partial(_both, image=image, sources=sources))
        except ImportRefused:
            masks = None
        if truth is None or masks is None:
            left_out.append(image.name)
        else:
            n_images += 1
            for tally, mask in zip(tallies, masks, strict=True):
                tally.add(truth, mask)
        scores = (tallies[0].score(), tallies[1].score()) if n_images else None
        yield TruthProgress(done, len(chosen), scores, n_images, tuple(left_out))


def _both(
    learner: ProjectLearner, *, image: ImageInfo, sources: tuple[MaskSource, MaskSource]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return predicted_mask(learner, image, sources[0]), predicted_mask(learner, image, sources[1])


class _Tally:
    """Pixels of one model by truth and prediction: of all images, and of each among the grades."""

    def __init__(self, grades: tuple[int, ...]) -> None:
        self._counts = np.zeros((IGNORE + 1, IGNORE + 1), np.int64)
        self._grades, self._of_grades = grades, GradeTally(grades)

    def add(self, truth: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """Count a further image."""
        counts = confusion(truth, mask, IGNORE + 1)
        self._counts += counts
        if self._grades:
            self._of_grades.add(counts)

    def score(self) -> TruthScore:
        """The score on all images so far."""
        ious = iou_per_class(self._counts)
        per_class = {int(class_id): float(ious[class_id]) for class_id in np.flatnonzero(~np.isnan(ious))}
        return TruthScore(float(np.mean(list(per_class.values()))), per_class, self._of_grades.score())
