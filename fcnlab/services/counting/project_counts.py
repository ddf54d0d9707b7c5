"""The counts of all images of a project, with what is marked in them, one image a step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.calibrating import spread_of
from fcnlab.core.counting.counted import Counted, density_picture, with_intervals
from fcnlab.core.images.coords import working_picture
from fcnlab.domain.counting import ImageCount
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.export.plan import Runner, learning
from fcnlab.services.images.importing import read_picture
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.storage.database import repository_counts, repository_images, repository_projects
from fcnlab.storage.database.engine import reading


@dataclass(frozen=True, slots=True)
class MarkedTotals:
    """Marked objects over a project.

    Attributes:
        n_images: all images.
        n_complete: those whose objects are all marked, the empty ones too.
        n_begun: the others with at least one marked object.
        objects: by class id, every object class named.
    """

    n_images: int
    n_complete: int
    n_begun: int
    objects: dict[int, int]

    @property
    def n_objects(self) -> int:
        """Number of marked objects."""
        return sum(self.objects.values())


def marked_totals(lab: Lab, *, project_id: int) -> MarkedTotals:
    """The sums over a project. Raises UnknownProject."""
    with reading(lab.sessions) as session:
        classes = repository_projects.project(session, project_id=project_id).objects
        n_images = sum(repository_images.count_images(session, project_id=project_id).values())
        complete = repository_counts.complete_images(session, project_id=project_id)
        tallies = repository_counts.objects_per_image(session, project_id=project_id)
    sums: Counter[int] = Counter()
    for tally in tallies.values():
        sums.update(tally)
    n_begun = len(tallies.keys() - complete)
    return MarkedTotals(n_images, len(complete), n_begun, {label.id: sums[label.id] for label in classes})


VIEW_SIDE = 900


def density_view(lab: Lab, learner: ProjectLearner, image: ImageInfo) -> NDArray[np.uint8]:
    """A small picture (H, W, 3) uint8 of an image under the map of its objects.

    Raises:
        NoPoints: nothing can be counted yet.
        ImportRefused: the original is gone or damaged.
    """
    learner.refresh()
    counted = learner.count(image)
    shown = working_picture(read_picture(lab, image), VIEW_SIDE)
    return density_picture(shown, 1 - counted.probabilities[0])


@dataclass(frozen=True, slots=True)
class CountProgress:
    """How far counting has come, and the image it just counted.

    Attributes:
        done, total: steps; images that have to be learned from first are steps too.
        image: the one just counted; None while learning.
        count: as its overlay shows it: points are obeyed, and where all objects are marked they are the count.
        predicted: of an image whose objects are all marked, what the counter says without having learned from it; what
            it says at all, of any other. None where nothing can be said.
        refused: why it could not be counted.
    """

    done: int
    total: int
    image: ImageInfo | None = None
    count: ImageCount | None = None
    predicted: ImageCount | None = None
    refused: str = ""


@dataclass(slots=True)
class _Misses:
    """Marked and predicted numbers of one class, of the images whose objects are all marked."""

    true: list[float] = field(default_factory=list)
    counted: list[float] = field(default_factory=list)


def counts_of_project(
    lab: Lab, run: Runner, *, project_id: int, image_ids: Sequence[int] | None = None
) -> Iterator[CountProgress]:
    """Count the images of a project, those whose objects are all marked first: they say how far off the others may be.

    Args:
        run: runs a step with the learner of the project, between clicks.
        image_ids: of the images wanted, None for all.

    Raises:
        UnknownProject: it is gone.
    """
    with reading(lab.sessions) as session:
        images = list(repository_images.images(session, project_id=project_id))
    if image_ids is not None:
        wanted = set(image_ids)
        images = [image for image in images if image.id in wanted]
    images.sort(key=lambda image: not image.is_complete)
    learned = 0
    for done, n_waiting, _ in learning(run):
        learned = n_waiting
        yield CountProgress(done, n_waiting + len(images))
    is_instant = run(lambda learner: learner.record is None)  # a network knows its intervals from its training
    misses: dict[int, _Misses] = {}
    for done, image in enumerate(images, start=1):
        progress = run(partial(_counted, image=image))
        if image.is_complete and progress.predicted is not None:
            for class_count in progress.predicted.counts:
                tally = misses.setdefault(class_count.class_id, _Misses())
                tally.true.append(float(class_count.marked))
                tally.counted.append(class_count.count)
        elif progress.count is not None and is_instant:
            spread = {
                class_id: spread_of(class_misses.true, class_misses.counted)
                for class_id, class_misses in misses.items()
            }
            progress = replace(progress, count=with_intervals(progress.count, spread))
            run(partial(_keep_spread, spread=spread))
        yield replace(progress, done=learned + done, total=learned + len(images))


def _counted(learner: ProjectLearner, *, image: ImageInfo) -> CountProgress:
    try:
        count = learner.count(image).count
        left_out = _unaware(learner, image) if image.is_complete else None
    except FcnlabError as refusal:
        return CountProgress(0, 0, image, refused=str(refusal))
    if image.is_complete:
        return CountProgress(0, 0, image, count, None if left_out is None else _with_marked(left_out.count, count))
    return CountProgress(0, 0, image, count, count)


def _unaware(learner: ProjectLearner, image: ImageInfo) -> Counted | None:
    """The count as if nothing were marked in the image: by the chosen network, or by samples of all other images."""
    assert learner.project is not None
    if learner.record is None:
        return learner.counter.count_without(learner.project, image)
    return learner.count(image, is_bare=True)


def _with_marked(predicted: ImageCount, count: ImageCount) -> ImageCount:
    """A prediction, told how many objects are marked."""
    marked = {class_count.class_id: class_count.marked for class_count in count.counts}
    return replace(
        predicted,
        counts=tuple(replace(class_count, marked=marked[class_count.class_id]) for class_count in predicted.counts),
    )


def _keep_spread(learner: ProjectLearner, *, spread: dict[int, float]) -> None:
    learner.counter.spread = spread
