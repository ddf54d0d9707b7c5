"""Makes the newest overlay of an image in a project that counts: blobs, objects and counts, pinned to the board."""

from __future__ import annotations

import time
from collections.abc import Mapping

from cachetools import LRUCache

from fcnlab.core.counting.counted import Counted
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import NoPoints
from fcnlab.lab import Lab
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.overlay_store import Board
from fcnlab.services.live.picture_store import PictureStore

START = "click an object to start"
IMAGES_KEPT = 1000
"""Images of which is known from what their overlay was made; of others it is made again."""


class CountOverlays:
    """Knows which overlays are still good. Used by one thread at a time, except for `forget`."""

    def __init__(self, lab: Lab, board: Board, pictures: PictureStore) -> None:
        self._lab, self._board, self._pictures = lab, board, pictures
        self._made_from: LRUCache[int, int] = LRUCache(IMAGES_KEPT)

    def forget(self, image_id: int) -> None:
        """Make the overlay of an image again next time, whether anything changed or not."""
        self._made_from.pop(image_id, None)

    def make(self, learner: ProjectLearner, image: ImageInfo, *, covers: Mapping[str, int], started: float) -> bool:
        """Pin the blobs and counts that the points of now give, or say why there are none.

        Args:
            learner: refreshed.
            covers: the highest event of each tab among these points.
            started: `time.perf_counter()` when work began.

        Returns:
            Whether nothing is left to say about this image but how far the others are.

        Raises:
            ImportRefused: the original is gone or damaged.
            CheckpointError, UnknownEncoder: the model that the project chose cannot be used, or does not count.
        """
        if self._made_from.get(image.id) == learner.revision and self._board.overlay(image.id):
            self._board.cover(image.id, covers)
            return True
        try:
            counted = self._counted(learner, image)
        except NoPoints:
            self._board.unpin(image.id, covers=covers, made_at=self._lab.clock())
            if learner.untaught():
                return True
            self._board.say(image.id, "missing", message=START)
            return False
        self._board.pin(
            image.id,
            counted.class_map,
            covers=covers,
            milliseconds=(time.perf_counter() - started) * 1000,
            made_at=self._lab.clock(),
            opinion=(counted.class_ids, counted.probabilities),
            count=counted.count,
        )
        self._made_from[image.id] = learner.revision
        return True

    def _counted(self, learner: ProjectLearner, image: ImageInfo) -> Counted:
        assert learner.project is not None
        if learner.record is not None:
            if not self._pictures.chosen_counts.is_ready(learner.record, learner.project, image):
                self._board.say(image.id, "encoding", progress=0.3, message=f"asking {learner.record.name}")
        elif not learner.counter.is_ready(learner.project, image):
            self._board.say(image.id, "encoding", progress=0.3, message="encoding the image")
        return learner.count(image)
