"""What the tagger of a project suggests: learned in a moment from the answers about images whose features are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.tagging.asking import most_doubtful
from fcnlab.core.tagging.from_labels import NO, UNKNOWN, YES
from fcnlab.core.tagging.tagger import Tagger, fit_tagger, tag_probabilities
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import FcnlabError, NoPoints
from fcnlab.lab import Lab
from fcnlab.services.images.importing import is_unreadable
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.tags.reading import ProjectTags
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading

Features = Mapping[int, NDArray[np.float32]]
"""(F,) float32 of each image that was looked at, by its id."""


@dataclass(frozen=True, eq=False)
class TagSuggestions:
    """Probabilities that images contain classes.

    Attributes:
        image_ids: the images that were looked at, in import order.
        class_ids: the classes that can be suggested; of others no image is known with them, or none without.
        probabilities: (M, L) float32, image by class.
        n_images: of the project.
        left_out: why images cannot be looked at, by their ids.
        tagger: what was learned; None while nothing can be.
        is_behind: answers or images came since; newer probabilities are on their way.
    """

    image_ids: tuple[int, ...] = ()
    class_ids: tuple[int, ...] = ()
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    n_images: int = 0
    left_out: Mapping[int, str] = field(default_factory=dict)
    tagger: Tagger | None = None
    is_behind: bool = False

    @property
    def n_waiting(self) -> int:
        """Images that were not looked at yet."""
        return max(0, self.n_images - len(self.image_ids) - len(self.left_out))

    def probability(self, image_id: int, class_id: int) -> float | None:
        """That an image contains a class; None where nothing is suggested."""
        return self.of_image(image_id).get(class_id)

    def of_image(self, image_id: int) -> dict[int, float]:
        """Probabilities of an image by class id; none where nothing is suggested."""
        row = self._row_of.get(image_id)
        if row is None:
            return {}
        return dict(zip(self.class_ids, self.probabilities[row].tolist(), strict=True))

    @cached_property
    def _row_of(self) -> Mapping[int, int]:
        return {image_id: row for row, image_id in enumerate(self.image_ids)}


def suggest(
    tags: ProjectTags,
    features: Features,
    *,
    left_out: Mapping[int, str] | None = None,
    start: Tagger | None = None,
) -> TagSuggestions:
    """Learn from what people say of images, and say how probable classes are in all images that were looked at.

    Args:
        tags: of the project.
        features: of its images; those without are left out.
        left_out: why some cannot be looked at.
        start: a tagger to go on from; it changes how long this takes and not what is learned.
    """
    images = [image for image in tags.images if image.id in features]
    rows = [tags.row_of[image.id] for image in images]
    nothing = TagSuggestions(n_images=len(tags.images), left_out=dict(left_out or {}))
    if not images:
        return nothing
    stacked = np.stack([features[image.id] for image in images])
    image_ids = tuple(image.id for image in images)
    tagger = _fitted(stacked, tags.teaching[rows], tags.class_ids, start)
    if tagger is None:
        return replace(nothing, image_ids=image_ids, probabilities=np.zeros((len(images), 0), np.float32))
    probabilities = np.asarray(tag_probabilities(tagger, stacked), np.float32)
    return replace(
        nothing, image_ids=image_ids, class_ids=tuple(tagger.learned), probabilities=probabilities, tagger=tagger
    )


def _fitted(
    features: NDArray[np.float32], answers: NDArray[np.int8], class_ids: tuple[int, ...], start: Tagger | None
) -> Tagger | None:
    """The tagger; None where no class has an image with it and one without."""
    if not ((answers == YES).any(axis=0) & (answers == NO).any(axis=0)).any():
        return None
    if start is not None and tuple(start.class_ids) != class_ids:
        start = None
    try:
        tagger = fit_tagger(features, answers, class_ids, start=start)
    except NoPoints:
        return None
    return tagger if tagger.learned else None


def most_doubtful_image(tags: ProjectTags, suggestions: TagSuggestions, *, besides: int | None = None) -> int | None:
    """The first of `most_doubtful_images`; None: everything is known.

    Args:
        besides: an image that is not asked about, such as the one shown.
    """
    order = most_doubtful_images(tags, suggestions, count=2)
    return next((image_id for image_id in order if image_id != besides), None)


def most_doubtful_images(
    tags: ProjectTags, suggestions: TagSuggestions, *, count: int, last: Collection[int] = ()
) -> tuple[int, ...]:
    """The images whose answers would tell most: those of the classes nobody said anything of the tagger doubts most.

    Images of which something is unknown and nothing is suggested follow in import order.

    Args:
        tags: of the project.
        suggestions: of the tagger.
        count: so many at most.
        last: images that are asked about after all others, such as those that were passed.
    """
    is_open = (tags.values == UNKNOWN).any(axis=1)
    later = frozenset(last)
    doubted = _doubted(tags, suggestions, later, count)
    for group in (False, True):
        taken = set(doubted)
        rest = (
            image.id
            for image, is_wanted in zip(tags.images, is_open, strict=True)
            if is_wanted and (image.id in later) is group and image.id not in taken
        )
        doubted += islice(rest, count - len(doubted))
    return tuple(doubted)


def _doubted(tags: ProjectTags, suggestions: TagSuggestions, besides: frozenset[int], count: int) -> list[int]:
    """The images of which the tagger doubts most, the most doubtful first."""
    places = [
        place
        for place, image_id in enumerate(suggestions.image_ids)
        if image_id in tags.row_of and image_id not in besides
    ]
    columns = [tags.column_of[class_id] for class_id in suggestions.class_ids if class_id in tags.column_of]
    if not places or not columns or len(columns) != len(suggestions.class_ids):
        return []
    rows = [tags.row_of[suggestions.image_ids[place]] for place in places]
    answered = tags.values[np.ix_(rows, columns)] != UNKNOWN
    order: list[int] = most_doubtful(suggestions.probabilities[places], answered)[:count].tolist()
    return [suggestions.image_ids[places[place]] for place in order]


@dataclass(slots=True)
class SeenImages:
    """The images of a project that were looked at: features by image id, and why others cannot be."""

    features: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    left_out: dict[int, str] = field(default_factory=dict)

    def look_at(self, pictures: PictureStore, image: ImageInfo, spec: LearnerSpec) -> None:
        """Add the features of an image, or why it can never be read. Raises FcnlabError: another failure."""
        try:
            self.features[image.id] = pictures.pooled(image, spec)
        except FcnlabError as failure:
            if not is_unreadable(failure):
                raise
            self.left_out[image.id] = str(failure)


def look_at_images(
    lab: Lab, pictures: PictureStore, *, project_id: int, seen: SeenImages
) -> Iterator[tuple[int, int, str]]:
    """Look at every image of a project, one per step: number, count and name of each; `seen` has them then.

    Raises:
        UnknownProject: no such project.
        FcnlabError: an image can be read and yet not be looked at, such as without the weights of the encoder.
    """
    with reading(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        images = repository_images.images(session, project_id=project_id)
    for number, image in enumerate(images, start=1):
        seen.look_at(pictures, image, project.learner)
        yield number, len(images), image.name
