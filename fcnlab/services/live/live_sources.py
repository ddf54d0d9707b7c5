"""What makes masks on the label page, by the newest points: the one place that chooses among the kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw
from fcnlab.core.learner.learner import Mark, Segmentation, unmarked
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.wide import is_wide
from fcnlab.domain.images import ImageInfo
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource, Prediction, WholeImages
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.live.wide_masks import WideMasks

SourceOf = Callable[[ProjectLearner, ImageInfo], MaskSource]


class LiveSources:
    """Chooses the mask source of each image. Used by one thread at a time, except for `viewport_moved`."""

    def __init__(self, pictures: PictureStore) -> None:
        self._pictures = pictures
        self._wide = WideMasks(pictures)

    def source_for(self, learner: ProjectLearner, image: ImageInfo) -> MaskSource:
        """The mask source of an image, by the points that the learner read last.

        Raises:
            CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
        """
        project = learner.project
        assert project is not None
        if learner.is_counting:
            return CounterSource(learner, self._pictures)
        if learner.record is not None:
            return learner.chosen_source(learner.record)
        if is_wide(learner_hw(image.hw, project.learner)):
            return TiledSource(learner, self._wide)
        return InstantSource(learner, self._pictures)

    def viewport_moved(self, image_id: int, part: tuple[float, float]) -> None:
        """Somebody looks at this part of a wide image, 0 to 1 of its height and width: tiles near it come first."""
        self._wide.viewport_moved(image_id, part)


def unrefined_source(learner: ProjectLearner, pictures: PictureStore) -> MaskSource:
    """The mask source whose `unrefined` ranks all images of a project alike.

    Raises:
        NoPoints: the project uses the instant learner, and fewer than two classes have points.
        CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
    """
    if learner.record is not None:
        return learner.chosen_source(learner.record)
    learner.newest_head()
    return InstantSource(learner, pictures)


class _Live:
    """Base of the sources that follow the points of a project."""

    content = None

    def __init__(self, learner: ProjectLearner, pictures: PictureStore) -> None:
        self._learner, self._pictures = learner, pictures

    def clicks_of(self, image: ImageInfo) -> Clicks:
        """The live clicks of the image."""
        return self._learner.clicks_of(image)

    def unrefined(self, image: ImageInfo) -> NDArray[np.float32]:
        """Probabilities by the newest head alone."""
        assert self._learner.project is not None
        return self._pictures.unrefined(image, self._learner.project.learner, self._learner.newest_head())


class InstantSource(_Live, WholeImages):
    """The instant learner: a fit that goes on from the last one."""

    def waits_for(self, image: ImageInfo) -> str:
        """Words for people while the picture has to be encoded; else empty."""
        assert self._learner.project is not None
        return "" if self._pictures.is_ready(image, self._learner.project.learner) else "encoding the image"

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """The mask by all points learned from so far, those of the image among them."""
        del keeps  # whoever asks this source looks at the image
        assert self._learner.project is not None
        self._pictures.picture(image, self._learner.project.learner)
        mark("encode")
        self._learner.learn_from(image)
        for other in self._learner.images_to_learn_from():  # what others clicked meanwhile is fitted with it
            if self._pictures.is_ready(other, self._learner.project.learner):
                self._learner.learn_from(other)
        mark("samples")
        head = self._learner.head_for(image)
        mark("fit")
        return Prediction(self._learner.segment(image, head, mark=mark))


class TiledSource(_Live):
    """The instant learner on a wide image: one tile a step, the one just clicked first."""

    keeps_masks = True

    def __init__(self, learner: ProjectLearner, tiles: WideMasks) -> None:
        super().__init__(learner, tiles.pictures)
        self._tiles = tiles

    def waits_for(self, image: ImageInfo) -> str:
        """Words for people while clicked tiles have to be encoded before there is any mask; else empty."""
        return "" if self._tiles.has_begun(self._learner, image) else "encoding what was clicked"

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """One tile more; the mask of the whole image as far as it is made."""
        del keeps
        segmentation, changed = self._tiles.update(self._learner, image, mark=mark)
        return Prediction(segmentation, changed)

    def progress(self, image: ImageInfo) -> float:
        """Part of the tiles that were made by what is known now, 0 to 1."""
        return self._tiles.progress(self._learner, image)

    def has_pending_tile(self, image: ImageInfo) -> bool:
        """Whether the newest click was answered from the picture made coarse."""
        return self._tiles.has_pending_tile(self._learner, image)

    def encode_next(self, image: ImageInfo) -> bool:
        """Encode one tile more; whether others wait."""
        return self._tiles.encode_next(self._learner, image)

    def encode_due(self, image: ImageInfo) -> None:
        """Encode the tiles that the next `predict` needs."""
        self._tiles.encode_due(self._learner, image)


class CounterSource(_Live, WholeImages):
    """What counts: the instant counter, or a network that the project chose. Blobs stand for the mask."""

    keeps_masks = False

    def waits_for(self, image: ImageInfo) -> str:
        """Words for people while the picture has to be encoded or the network run on it; else empty."""
        learner, project = self._learner, self._learner.project
        assert project is not None
        if learner.record is not None:
            is_ready = self._pictures.chosen_counts.is_ready(learner.record, project, image)
            return "" if is_ready else f"asking {learner.record.name}"
        return "" if learner.counter.is_ready(project, image) else "encoding the image"

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """Blobs, objects and counts by all points learned from so far."""
        del keeps
        counted = self._learner.count(image)
        mark("count")
        segmentation = Segmentation(counted.class_ids, counted.probabilities, counted.class_map)
        return Prediction(segmentation, count=counted.count)
