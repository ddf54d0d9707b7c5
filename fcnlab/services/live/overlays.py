"""Makes the newest overlay of an image and publishes it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw
from fcnlab.core.images.painting import Painting, painted
from fcnlab.core.learner.learner import Mark
from fcnlab.domain.counting import ImageCount, Task
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import IGNORE, Project
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.live.attention import EventsSoFar
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.live_sources import LiveSources
from fcnlab.services.live.mask_source import MaskSource, Prediction
from fcnlab.services.live.masks import at_size, final_mask
from fcnlab.services.live.overlay_store import OverlayStore
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.storage.database.repository_images import ImageAt

IMAGES_KEPT = 1000
"""Images of which is known from what their overlay was made; of others it is made again."""

BASES_KEPT = 8
"""Images whose mask is kept without what is painted: a stroke on them needs nothing learned again."""


class Spans:
    """How long each part of making an overlay took; `started` is a `time.perf_counter()`."""

    def __init__(self, started: float) -> None:
        self._started = self._last = started
        self.milliseconds: dict[str, float] = {}

    def mark(self, part: str) -> None:
        """All since the last mark was this part."""
        now = time.perf_counter()
        self.milliseconds[part] = self.milliseconds.get(part, 0.0) + (now - self._last) * 1000
        self._last = now

    @property
    def total(self) -> float:
        """Milliseconds from the start to the last mark."""
        return (self._last - self._started) * 1000

    def so_far(self) -> float:
        """Milliseconds since the start."""
        return (time.perf_counter() - self._started) * 1000


@dataclass(frozen=True, slots=True)
class _Base:
    """The mask of an image before anything painted is laid over it, (H, W) uint8; `revision` of the learner made it."""

    revision: int
    class_map: NDArray[np.uint8]
    count: ImageCount | None = None


class OverlayMaker:
    """Makes overlays, and knows which are up to date. Used by one thread at a time, except for `forget`."""

    def __init__(self, lab: Lab, overlay_store: OverlayStore, pictures: PictureStore) -> None:
        self._lab, self._overlay_store, self._pictures = lab, overlay_store, pictures
        self._made_from: LRUCache[int, tuple[int, ImageState, int]] = LRUCache(IMAGES_KEPT)
        self._bases: LRUCache[int, _Base] = LRUCache(BASES_KEPT)
        self._sources = LiveSources(pictures)

    def forget(self, image_id: int) -> None:
        """Make the overlay of an image again next time, whether anything changed or not."""
        self._made_from.pop(image_id, None)
        self._bases.pop(image_id, None)

    def progress(self, learner: ProjectLearner, image: ImageInfo) -> float:
        """How much of the image the overlay shows as of now, 0 to 1: a wide one is made tile by tile."""
        return 1.0 if image.state is ImageState.DONE else self._sources.source_for(learner, image).progress(image)

    def has_pending_tile(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Whether the mask of a wide image next to its newest click is still to be made."""
        return self._sources.source_for(learner, image).has_pending_tile(image)

    def viewport_moved(self, image_id: int, part: tuple[float, float]) -> None:
        """Somebody looks at this part of a wide image; see `LiveSources.viewport_moved`."""
        self._sources.viewport_moved(image_id, part)

    def encode_next(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Encode a tile of a wide image ahead, whether others wait; raises ImportRefused as `make`."""
        return learner.project is not None and self._sources.source_for(learner, image).encode_next(image)

    def encode_due(self, learner: ProjectLearner, image: ImageInfo) -> None:
        """Encode what the next `make` needs of a wide image; see `MaskSource.encode_due`."""
        if learner.project is not None:
            self._sources.source_for(learner, image).encode_due(image)

    def make(self, learner: ProjectLearner, image_at: ImageAt, *, events: EventsSoFar, spans: Spans) -> bool:
        """Publish the overlay that the points, the strokes and the model of now give, or say why there is none.

        Args:
            learner: refreshed, with the image.
            events: those among these points and strokes.
            spans: of the time since the click.

        Returns:
            Whether nothing is left to say about this image but how far the others are.

        Raises:
            ImportRefused: the original is gone or damaged.
            CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
        """
        image = image_at.image
        project, source = learner.project, self._sources.source_for(learner, image)
        assert project is not None
        is_done = image.state is ImageState.DONE and source.keeps_masks
        made_from = learner.revision, image.state, image_at.painting_revision
        is_whole = is_done or source.progress(image) == 1
        if is_whole and self._made_from.get(image.id) == made_from and self._overlay_store.overlay(image.id):
            self._overlay_store.acknowledge(image.id, events.everywhere)
            return True
        if is_done:
            if self._publish_final(project, learner, image, events.everywhere, spans):
                self._made_from[image.id] = made_from
            return False
        base, class_probabilities, touched = self._bases.get(image.id), None, None
        painting = learner.painting_of(image, revision=image_at.painting_revision)
        spans.mark("read")
        try:
            if base is None or base.revision != learner.revision or not is_whole:
                prediction = self._predicted(source, image, spans.mark)
                made, touched = prediction.segmentation, prediction.changed
                base = self._bases[image.id] = _Base(learner.revision, made.class_map, prediction.count)
                class_probabilities = made.class_ids, made.probabilities
        except NoPoints as missing:
            self._publish_painting(project, painting, events.everywhere, spans, image)
            return self._waits_for_others(project, learner, image, str(missing))
        class_map = painted(base.class_map, painting)
        spans.mark("paint")
        self._overlay_store.publish(
            image.id,
            class_map,
            covers=self._covered_behind(image.id, events) if learner.is_behind else events.everywhere,
            milliseconds=spans.total,
            made_at=self._lab.clock(),
            class_probabilities=class_probabilities or "kept",
            touched=touched,
            count=base.count,
            spans=spans.milliseconds,
        )
        self._made_from[image.id] = (learner.revision, *made_from[1:])
        return True

    def _covered_behind(self, image_id: int, events: EventsSoFar) -> dict[str, int]:
        """What a mask by a head of a moment ago covers: what the last one did, and all events on the image."""
        shown = self._overlay_store.overlay(image_id)
        before = {} if shown is None else shown.covers
        return {tab: max(before.get(tab, 0), events.on_image.get(tab, 0)) for tab in {**before, **events.on_image}}

    def _waits_for_others(self, project: Project, learner: ProjectLearner, image: ImageInfo, missing: str) -> bool:
        """Whether what is missing may still be learned from other images; else the status says what to click."""
        if any(other.id != image.id for other in learner.images_to_learn_from()):
            return True
        self._overlay_store.set_status(image.id, "missing", message=missing_in_words(project, learner) or missing)
        return False

    def _publish_painting(
        self, project: Project, painting: Painting, covers: Mapping[str, int], spans: Spans, image: ImageInfo
    ) -> None:
        """What is painted, over nothing; an image without strokes shows nothing."""
        self._bases.pop(image.id, None)
        if not painting.layers:
            self._overlay_store.withdraw(image.id, covers=covers, made_at=self._lab.clock())
            return
        nothing = np.full(learner_hw(image.hw, project.learner), IGNORE, np.uint8)
        self._overlay_store.publish(
            image.id,
            painted(nothing, painting),
            covers=covers,
            milliseconds=spans.so_far(),
            made_at=self._lab.clock(),
        )

    def _predicted(self, source: MaskSource, image: ImageInfo, mark: Mark) -> Prediction:
        """The prediction of now; where it has to wait for something, the status says for what. Raises as `make`."""
        waits_for = source.waits_for(image)
        if waits_for:
            self._overlay_store.set_status(image.id, "encoding", progress=0.3, message=waits_for)
        return source.predict(image, keeps=True, mark=mark)

    def _publish_final(
        self,
        project: Project,
        learner: ProjectLearner,
        image: ImageInfo,
        covers: Mapping[str, int],
        spans: Spans,
    ) -> bool:
        """Whether the kept mask of a done image was not shown yet, and is now."""
        shown = self._overlay_store.overlay(image.id)
        if shown is not None and shown.is_final:
            self._overlay_store.acknowledge(image.id, covers)
            return False
        mask = final_mask(self._lab, learner, image)
        if mask is None:
            self._overlay_store.set_status(
                image.id, "missing", message="this image was marked done before anything was learned"
            )
            return False
        self._overlay_store.publish(
            image.id,
            at_size(mask, learner_hw(image.hw, project.learner)),
            covers=covers,
            milliseconds=spans.so_far(),
            made_at=self._lab.clock(),
            is_final=True,
        )
        self._overlay_store.set_status(image.id, "idle")
        return True


def missing_in_words(project: Project, learner: ProjectLearner) -> str:
    """What the labeller has to click next, by the names of the classes; empty when nothing is missing."""
    if project.task is Task.COUNTS:
        return "click an object to start"
    clicked = learner.clicked_classes()
    names = {label.id: label.name for label in project.classes}
    others = [name for class_id, name in names.items() if class_id not in clicked]
    if not clicked:
        return "click a pixel of each class to start"
    if len(clicked) == 1 and others:
        first = names.get(next(iter(clicked)), "one class")
        if clicked == {project.background}:
            return f"only {first} so far: click a pixel of {' or '.join(others[:3])}, and see a first mask"
        return f"only {first} so far: click a pixel of {' or '.join(others[:3])}"
    if len(names) == 1:
        return "add a second class: learning means telling two classes apart"
    return ""


def guess_in_words(project: Project) -> str:
    """What the labeller is told of a mask that one class alone was clicked for."""
    background = next((label.name for label in project.classes if label.id == project.background), "")
    return f"a first guess: click a pixel of {background} where it is wrong"
