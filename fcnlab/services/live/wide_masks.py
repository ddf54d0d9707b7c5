"""Masks of wide images while they are labelled: one tile a step, the one just clicked first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw
from fcnlab.core.learner.head import missing_message
from fcnlab.core.learner.learner import Mark, Segmentation, obeyed, unmarked
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.large import LazyLab
from fcnlab.core.tiling.tiles import Box
from fcnlab.core.tiling.wide import WidePicture
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import IGNORE
from fcnlab.errors import NoPoints
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.picture_store import PictureStore

SHOWN_PIXELS = 8_000_000
"""A mask with more is sent with every second pixel, or fewer: no screen shows as many."""

IMAGES_KEPT = 2
VIEWPORTS_KEPT = 1000
"""Images of which is known where somebody turned to."""


@dataclass(slots=True)
class _State:
    """The mask of one wide image as far as it is made.

    Attributes:
        step: every so many working pixels, along one side, one is kept.
        class_map: (h, w) uint8, IGNORE where nothing was made yet.
        probabilities: (K, h, w) float16, all alike there.
        made: revision of the learner by which each tile was made.
        clicks: the clicks at the last step.
        coarse: the clicks by which the tiles that were not made yet are filled, from the picture made coarse.
        is_pending: whether the tile next to the newest click still waits to be made.
        focus: row and column of the working picture next to which tiles come first.
    """

    step: int
    class_ids: tuple[int, ...]
    class_map: NDArray[np.uint8]
    probabilities: NDArray[np.float16]
    made: dict[int, int] = field(default_factory=dict)
    clicks: frozenset[tuple[int, int]] = frozenset()
    coarse: frozenset[tuple[int, int]] | None = None
    is_pending: bool = False
    focus: tuple[float, float] = (0.0, 0.0)


class WideMasks:
    """Masks of wide images, made tile by tile. Used by one thread at a time, except for `viewport_moved`."""

    def __init__(self, pictures: PictureStore) -> None:
        self.pictures = pictures
        self._viewports: LRUCache[int, tuple[float, float]] = LRUCache(VIEWPORTS_KEPT)
        self._states: LRUCache[tuple[int, tuple[int, int]], _State] = LRUCache(IMAGES_KEPT)

    def has_begun(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Whether there is a mask of a part of the image."""
        return self._key(learner, image) in self._states

    def progress(self, learner: ProjectLearner, image: ImageInfo) -> float:
        """Part of the tiles, 0 to 1, that were made by what is known now."""
        state = self._states.get(self._key(learner, image))
        if state is None:
            return 0.0
        made = [revision == learner.revision for revision in state.made.values()]
        return sum(made) / max(1, len(made))

    def has_pending_tile(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Whether the newest click was answered from the picture made coarse, and its tile is still to be made."""
        state = self._states.get(self._key(learner, image))
        return state is not None and state.is_pending

    def viewport_moved(self, image_id: int, part: tuple[float, float]) -> None:
        """Somebody looks at this part of an image, 0 to 1 of its height and width: tiles near it come first."""
        self._viewports[image_id] = part

    def encode_next(self, learner: ProjectLearner, image: ImageInfo) -> bool:
        """Encode one tile more of an image that is shown, before anybody clicks; whether others wait.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        project = learner.project
        assert project is not None
        picture = self.pictures.wide_picture(image, project.learner)
        waiting = picture.waiting
        if waiting:
            waiting = picture.missing(learner.clicks_of(image)) or waiting
            down, across = self._viewports.get(image.id, (0.5, 0.5))
            focus = (down * picture.hw[0], across * picture.hw[1])
            picture.encode(min(waiting, key=lambda index: _away(picture, index, focus)))
        return bool(picture.waiting)

    def encode_due(self, learner: ProjectLearner, image: ImageInfo) -> None:
        """Encode what the next `update` will need, so that it is quick; others may use all this in the middle of it.

        Raises:
            ImportRefused: the original is gone or damaged.
        """
        project, state = learner.project, self._states.get(self._key(learner, image))
        if project is None or state is None:
            return
        picture = self.pictures.wide_picture(image, project.learner)
        while missing := picture.missing(learner.clicks_of(image)):
            picture.encode(min(missing, key=lambda index: _away(picture, index, state.focus)))
        picture.encode(_next(state, picture, learner.revision))

    def update(self, learner: ProjectLearner, image: ImageInfo, *, mark: Mark = unmarked) -> tuple[Segmentation, Box]:
        """One tile more by what is known now: the mask of the whole image as far as it is made, and where it is new.

        The probabilities are written to again by the next call; outside the box they are those of the last one.

        Raises:
            NoPoints: fewer than two classes have points.
            ImportRefused: the original is gone or damaged.
        """
        project = learner.project
        assert project is not None
        picture = self.pictures.wide_picture(image, project.learner)
        if len(learner.clicked_classes()) < 2 and not learner.is_guessing():  # nothing has to be encoded to know that
            raise NoPoints(missing_message(tuple(sorted(learner.clicked_classes()))))
        clicks = learner.clicks_of(image)
        coarse_update = self._coarse_update(learner, image, picture, clicks, mark)
        if coarse_update is not None:
            state, filled = coarse_update
            mark("refine")
            return self._shown(state, learner, picture, clicks), filled
        learner.learn_from(image)
        mark("samples")
        head = learner.newest_head()
        mark("fit")
        state = self._state(learner, image, picture, head.class_ids)
        is_new = max(state.made.values()) < 0 and state.coarse is None
        self._move_viewport_to_click(state, clicks, picture)
        index = _next(state, picture, learner.revision)
        box, segmentation = picture.segment(
            index, head, clicks, project.learner, background=project.background, mark=mark
        )
        kept = _keep(state, box, segmentation)
        state.made[index], state.is_pending = learner.revision, False
        return self._shown(state, learner, picture, clicks), Box(0, 0, *state.class_map.shape) if is_new else kept

    def _coarse_update(
        self, learner: ProjectLearner, image: ImageInfo, picture: WidePicture, clicks: Clicks, mark: Mark
    ) -> tuple[_State, Box] | None:
        """When tiles with clicks have to be encoded first: fill what was never made from the picture made coarse, and
        say where. After the first time that is the tile next to the newest click: the others are made soon.

        None when that is not needed, was done for these clicks, or is not possible.
        """
        project, clicked_tiles = learner.project, _places(clicks, picture)
        before = self._states.get(self._key(learner, image))
        assert project is not None
        if not picture.missing(clicks) or (before is not None and before.coarse == clicked_tiles):
            return None
        try:
            coarse = picture.coarse_segmentation(clicks, project.learner, background=project.background, mark=mark)
        except NoPoints:  # other images have the other classes
            return None
        state = self._state(learner, image, picture, coarse.class_ids)
        self._move_viewport_to_click(state, clicks, picture)
        unmade = [index for index, revision in state.made.items() if revision < 0]
        if state.coarse is not None:
            unmade = sorted(unmade, key=lambda index: _away(picture, index, state.focus))[:1]
        boxes = [_small(picture.plan.tiles[index].inner.clipped(picture.hw), state.step) for index in unmade]
        _fill(state, coarse, boxes)
        state.coarse, state.is_pending = clicked_tiles, True
        return state, boxes[0] if len(boxes) == 1 else Box(0, 0, *state.class_map.shape)

    def _shown(self, state: _State, learner: ProjectLearner, picture: WidePicture, clicks: Clicks) -> Segmentation:
        project = learner.project
        assert project is not None
        seen = LazyLab(picture.rgb[:: state.step, :: state.step])
        class_map = obeyed(state.class_map.copy(), clicks, seen, project.learner, background=project.background)
        return Segmentation(state.class_ids, state.probabilities, class_map)

    def _state(
        self, learner: ProjectLearner, image: ImageInfo, picture: WidePicture, class_ids: tuple[int, ...]
    ) -> _State:
        key = self._key(learner, image)
        state = self._states.get(key)
        if state is None or state.class_ids != class_ids:
            step = 1
            while picture.hw[0] * picture.hw[1] / step**2 > SHOWN_PIXELS:
                step *= 2  # divides every tile
            shown = (math.ceil(picture.hw[0] / step), math.ceil(picture.hw[1] / step))
            state = _State(
                step,
                class_ids,
                np.full(shown, IGNORE, np.uint8),
                np.full((len(class_ids), *shown), 1 / len(class_ids), np.float16),
                made=dict.fromkeys(range(len(picture.plan.tiles)), -1),
                focus=(picture.hw[0] / 2, picture.hw[1] / 2),
            )
            self._states[key] = state
        return state

    def _key(self, learner: ProjectLearner, image: ImageInfo) -> tuple[int, tuple[int, int]]:
        assert learner.project is not None
        return image.id, learner_hw(image.hw, learner.project.learner)

    def _move_viewport_to_click(self, state: _State, clicks: Clicks, picture: WidePicture) -> None:
        now = _places(clicks, picture)
        changed = (now ^ state.clicks) if state.clicks else now
        if changed:
            state.focus = max(now & changed, default=max(changed))
        state.clicks = now


def _next(state: _State, picture: WidePicture, revision: int) -> int:
    """The nearest tile that was not made by this revision; the nearest of all when every one was."""
    old = [index for index, made in state.made.items() if made != revision] or list(state.made)
    return min(old, key=lambda index: _away(picture, index, state.focus))


def _away(picture: WidePicture, index: int, focus: tuple[float, float]) -> float:
    """How far a tile is from a place of the working picture, 0 inside it."""
    box = picture.plan.tiles[index].inner
    down = max(box.top - focus[0], focus[0] - box.bottom + 1, 0)
    across = max(box.left - focus[1], focus[1] - box.right + 1, 0)
    return math.hypot(down, across)


def _places(clicks: Clicks, picture: WidePicture) -> frozenset[tuple[int, int]]:
    rows, cols = clicks.pixels_on(picture.hw)
    return frozenset(zip(rows.tolist(), cols.tolist(), strict=True))


def _fill(state: _State, coarse: Segmentation, boxes: Sequence[Box]) -> None:
    """Write a mask of another size into boxes of the map."""
    height, width = state.class_map.shape
    small_height, small_width = coarse.class_map.shape
    down, across = small_height / height, small_width / width
    for box in boxes:
        rows = (np.arange(box.top, box.bottom) * down).astype(np.intp)
        cols = (np.arange(box.left, box.right) * across).astype(np.intp)
        state.class_map[box.slices] = coarse.class_map[np.ix_(rows, cols)]
        to_small = np.array(
            [
                [across, 0, (box.left + 0.5) * across - 0.5],
                [0, down, (box.top + 0.5) * down - 0.5],
            ]
        )
        for whole, part in zip(state.probabilities, coarse.probabilities, strict=True):
            whole[box.slices] = cv2.warpAffine(
                part.astype(np.float32, copy=False),
                to_small,
                (box.right - box.left, box.bottom - box.top),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE,
            )


def _keep(state: _State, box: Box, segmentation: Segmentation) -> Box:
    """Write a tile into the whole mask; the box where it lies there."""
    small = _small(box, state.step)
    state.class_map[small.slices] = segmentation.class_map[:: state.step, :: state.step]
    state.probabilities[(slice(None), *small.slices)] = segmentation.probabilities[:, :: state.step, :: state.step]
    return small


def _small(box: Box, step: int) -> Box:
    """A box of the working picture on a map that holds every `step`-th pixel."""
    return Box(*(-(-side // step) for side in (box.top, box.left, box.bottom, box.right)))
