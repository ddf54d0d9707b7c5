"""The instant counter of a project: it learns from the points of its images, and counts an image by all of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from cachetools import LRUCache

from fcnlab.core.counting.count_maps import instant_count_maps
from fcnlab.core.counting.counted import Counted, count_on_maps, with_intervals
from fcnlab.core.counting.instant import (
    CountHead,
    CountPicture,
    CountSamples,
    CountSums,
    extract_count_samples,
    fit_counts,
)
from fcnlab.core.counting.marks import Sizes, sizes_at, spacing_from, usual_width
from fcnlab.core.learner.samples import Clicks, canonical_clicks
from fcnlab.core.tiling.wide import counting_spec
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, NoPoints
from fcnlab.services.live.picture_store import PictureStore

SAMPLES_KEPT = 200
"""Images whose samples are held in memory, a megabyte each; older ones are made again when their image changes."""


@dataclass(frozen=True, slots=True, eq=False)
class _LearnedFrom:
    """What was learned from an image, and at which spacing: its samples can be made again."""

    project: Project
    image: ImageInfo
    clicks: Clicks
    spacing: float


class InstantCounter:
    """What is learned from the points of one project about its objects. Used by one thread at a time."""

    def __init__(self, pictures: PictureStore) -> None:
        self._pictures = pictures
        self._sizes: dict[int, Sizes] = {}
        self._learned_from: dict[int, _LearnedFrom] = {}
        self._samples: LRUCache[int, CountSamples] = LRUCache(SAMPLES_KEPT)
        self._sum = CountSums()
        self._spacing = 0.0
        self._head: CountHead | None = None
        self.spread: dict[int, float] = {}
        """By class id, how far counts are off; see `Calibration.spread`. Known once a table of counts was made."""

    def clear(self) -> None:
        """Forget everything, since pictures or settings are others now."""
        for held in (self._sizes, self._learned_from, self._samples, self.spread):
            held.clear()
        self._sum, self._head = CountSums(), None

    def forget(self, image_id: int) -> None:
        """Do without an image, whose points changed or are gone."""
        self._sizes.pop(image_id, None)
        if image_id not in self._learned_from:
            return
        try:
            samples = self._samples_of(image_id)
        except FcnlabError:  # it cannot be read any more: all others are learned from anew
            self.clear()
            return
        self._sum.add(samples, sign=-1)
        del self._learned_from[image_id], self._samples[image_id]
        self._head = None

    def has_learned_from(self, image_id: int) -> bool:
        """Whether the newest points of an image are learned from, at the spacing of now."""
        learned_from = self._learned_from.get(image_id)
        return learned_from is not None and learned_from.spacing == self._spacing

    def learn_from(self, project: Project, image: ImageInfo, clicks: Clicks) -> None:
        """Take the points of an image into account; encodes it if it never was.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        picture = self._pictures.counted_picture(image, counting_spec(image.hw, project.learner), keeps=False)
        sizes = self._sizes.get(image.id) or _sizes(picture, clicks, project.background)
        self.forget(image.id)
        self._sizes[image.id] = sizes
        self._spacing = spacing_from([image_sizes for _, image_sizes in sorted(self._sizes.items())])
        self._learned_from[image.id] = _LearnedFrom(project, image, clicks, self._spacing)
        self._sum.add(self._samples_of(image.id, picture))
        self._head = None

    def _samples_of(self, image_id: int, picture: CountPicture | None = None) -> CountSamples:
        """The samples of an image, made again if they are not at hand. Raises ImportRefused: it cannot be read."""
        samples = self._samples.get(image_id)
        if samples is None:
            learned_from = self._learned_from[image_id]
            image, project = learned_from.image, learned_from.project
            if picture is None:
                spec = counting_spec(image.hw, project.learner)
                picture = self._pictures.counted_picture(image, spec, keeps=False)
            samples = extract_count_samples(
                picture,
                learned_from.clicks,
                background=project.background,
                is_complete=image.is_complete,
                spacing=learned_from.spacing,
            )
            self._samples[image_id] = samples
        return samples

    def make_ready(self, project: Project, image: ImageInfo) -> None:
        """Encode an image that is shown. Raises ImportRefused: the original is gone or damaged."""
        self._pictures.counted_picture(image, counting_spec(image.hw, project.learner))

    def head(self, project: Project) -> CountHead:
        """The head fitted on the samples of all images. Raises NoPoints: no object is marked yet."""
        if self._head is None:
            self._head = fit_counts(self._sum, class_ids=self._classes(project), **self._measures())
        return self._head

    def head_without(self, project: Project, image_id: int) -> CountHead:
        """The head fitted on the samples of all other images.

        Raises:
            NoPoints: no object is marked there.
            ImportRefused: the image cannot be read any more.
        """
        if image_id not in self._learned_from:
            return self.head(project)
        others = self._classes(project, without=image_id)
        return fit_counts(self._sum.without(self._samples_of(image_id)), class_ids=others, **self._measures())

    def _measures(self) -> dict[str, float]:
        """How large objects are, as `fit_counts` is told."""
        return {"spacing": self._spacing, "width": usual_width(list(self._sizes.values()))}

    def _classes(self, project: Project, *, without: int | None = None) -> list[int]:
        """Object classes with marked objects, in the order of the project."""
        marked = {
            int(class_id)
            for image_id, learned_from in self._learned_from.items()
            if image_id != without
            for class_id in np.unique(learned_from.clicks.class_ids)
        }
        return [label.id for label in project.objects if label.id in marked]

    def count(self, project: Project, image: ImageInfo, clicks: Clicks) -> Counted:
        """The count of an image by what was learned so far; where all objects are marked, they are the count.

        Raises:
            NoPoints: no object of the project is marked yet, and this image is not said to be empty.
            ImportRefused: the original is gone or damaged.
        """
        head: CountHead | None
        try:
            head = self.head(project)
        except NoPoints:
            if not image.is_complete:
                raise
            head = None
        counted = self._counted(project, image, clicks, head, is_complete=image.is_complete)
        return replace(counted, count=with_intervals(counted.count, self.spread))

    def count_without(self, project: Project, image: ImageInfo) -> Counted | None:
        """The count of an image by the points of all others, as if nothing were marked in it; None without such points.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        try:
            head = self.head_without(project, image.id)
        except NoPoints:
            return None
        return self._counted(project, image, canonical_clicks([], image.hw), head, is_complete=False)

    def _counted(
        self, project: Project, image: ImageInfo, clicks: Clicks, head: CountHead | None, *, is_complete: bool
    ) -> Counted:
        spec = counting_spec(image.hw, project.learner)
        picture = self._pictures.counted_picture(image, spec, keeps=False)
        class_ids = tuple(label.id for label in project.background_first)
        count_maps = instant_count_maps(picture, head, class_ids=class_ids, image_hw=image.hw)
        return count_on_maps(count_maps, clicks, is_complete=is_complete, out_hw=picture.hw)

    def is_ready(self, project: Project, image: ImageInfo) -> bool:
        """Whether an image can be counted at once."""
        return self._pictures.is_counted_ready(image, counting_spec(image.hw, project.learner))


def _sizes(picture: CountPicture, clicks: Clicks, background: int | None) -> Sizes:
    """How large the marked objects are, in working pixels."""
    rows, cols = clicks.on(picture.hw)
    is_object = clicks.class_ids != background
    return sizes_at(picture.space, rows[is_object], cols[is_object])
