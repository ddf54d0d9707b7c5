"""The learner on a picture too large to hold its stages: the same path as `learner.segment`, tile by tile.

Only what is small is held for the whole picture: scores and the walker's graph at stride 4, opinions at half size,
class ids at full size. Walker, guided filter, object mode and clicks then see the assembled picture, so that no border
of a tile shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.learner.encoder import lab_image
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.image_adaptation import (
    LOCAL_STRIDES,
    EncoderMap,
    edge_features,
    encoder_maps,
    looks_at,
    moments_of,
    raw_features,
    similarity,
    standard_features,
    strongest_directions,
    unit_maps,
)
from fcnlab.core.learner.learner import (
    SIMILARITY_STRIDES,
    SIMILARITY_WEIGHT,
    WALKER_STRIDE,
    Segmentation,
    grid_hw,
    has_two_classes,
    obeyed,
    spread,
)
from fcnlab.core.learner.opinions import margins, opinions_of, probabilities_of, winner_of
from fcnlab.core.learner.refine import small_hw
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.learner.stages import score_stages
from fcnlab.core.learner.walker import OFFSETS, edge_weights, graph_of
from fcnlab.core.tiling.large_rows import STRIP_ROWS, grown_rows, reduced, refined_rows
from fcnlab.core.tiling.strips import area_rows
from fcnlab.core.tiling.tiled_stages import TiledStages
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.project import LearnerSpec

LARGE_PIXELS = 8_000_000
"""Working pictures above are worked on in tiles: their stages would take a gigabyte."""


def is_large(hw: tuple[int, int]) -> bool:
    """Whether a working picture of that size is worked on in tiles."""
    return hw[0] * hw[1] > LARGE_PIXELS


class LazyLab:
    """CIELAB of single pixels of a picture (H, W, 3) uint8, without holding it for all of them."""

    def __init__(self, rgb: NDArray[np.uint8]) -> None:
        self._rgb = rgb

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return self._rgb.shape

    def __getitem__(self, places: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float32]:
        """Colours (..., 3) float32 at (rows, cols)."""
        found = self._rgb[places]
        if not found.size:
            return np.zeros(found.shape, np.float32)
        return lab_image(found.reshape(-1, 1, 3)).reshape(found.shape)


@dataclass(frozen=True, slots=True)
class LargePicture:
    """A working picture in tiles, every one of which was encoded."""

    stages: TiledStages

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""
        return self.stages.hw

    @property
    def lab(self) -> LazyLab:
        """CIELAB of its pixels."""
        return LazyLab(self.stages.rgb)

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture."""
        return self.stages.samples(rows, cols)


@dataclass(slots=True)
class _Seen:
    """What one look at every tile leaves: all of it on coarse grids.

    Attributes:
        weights: (4, h, w) of the walker's edges.
        scores: (M, h, w) on the walker's grid, with what looks like the clicks.
        plain: (M, h', w') opinions of the head alone at half size with `refine`, at full size without; None where the
            walker alone decides.
    """

    weights: NDArray[np.float32]
    scores: NDArray[np.float32]
    plain: NDArray[np.float16] | None
    moments: dict[int, Tensor] = field(default_factory=dict)


def segment_large(
    picture: LargePicture, head: Head, clicks: Clicks, spec: LearnerSpec, *, background: int | None
) -> Segmentation:
    """As `learner.segment`; probabilities are float16."""
    hw = picture.hw
    belongs = np.asarray(head.class_ids)[:, None] == clicks.class_ids
    small_lab = reduced(picture.stages.rgb, grid_hw(hw), lab_image)
    seen = _look(picture, head, clicks, spec, belongs, small_lab)
    features = _own_features(picture, seen.moments, small_lab) if has_two_classes(clicks, head) else None
    del small_lab
    graph = graph_of(seen.weights)
    seen.weights = seen.weights[:0]
    opinions = spread(graph, seen.scores, clicks, belongs, hw, features)
    del graph, features
    seen.scores = seen.scores[:0]
    class_ids = np.asarray(head.class_ids, np.uint8)
    class_map = np.empty(hw, np.uint8)
    probabilities = np.empty((len(class_ids), *hw), np.float16)
    finish = refined_rows if spec.refine else grown_rows
    rows_of = finish(picture.stages.rgb, opinions, seen.plain)
    del opinions
    for start in range(0, hw[0], STRIP_ROWS):
        stop = min(start + STRIP_ROWS, hw[0])
        found = probabilities_of(rows_of(start, stop))
        probabilities[:, start:stop] = found
        class_map[start:stop] = class_ids[winner_of(found)]
    del rows_of
    class_map = obeyed(class_map, clicks, picture.lab, spec, background=background)
    return Segmentation(head.class_ids, probabilities, class_map)


def plain_large(picture: LargePicture, head: Head) -> NDArray[np.float32]:
    """What the head alone thinks, (K, h, w) float32 at stride WALKER_STRIDE."""
    decisive = margins(head)
    scores = np.empty((len(decisive[0]), *grid_hw(picture.hw)), np.float32)
    for number, tile in enumerate(picture.stages.plan.tiles):
        around, nodes = (_nodes(one.clipped(picture.hw), picture.hw) for one in (tile.outer, tile.inner))
        kept = nodes.moved(-around.top, -around.left).slices
        found = score_stages(picture.stages.stages(number), *decisive, grid=WALKER_STRIDE)
        scores[(slice(None), *nodes.slices)] = found[(slice(None), *kept)]
    return probabilities_of(opinions_of(scores))


def _look(
    picture: LargePicture,
    head: Head,
    clicks: Clicks,
    spec: LearnerSpec,
    belongs: NDArray[np.bool_],
    small_lab: NDArray[np.float32],
) -> _Seen:
    """Go through the tiles once, row by row."""
    stages, hw, plan = picture.stages, picture.hw, picture.stages.plan
    decisive = margins(head)
    n_maps = len(decisive[0])
    height, width = grid_hw(hw)
    seen = _Seen(
        np.empty((len(OFFSETS), height, width), np.float32), np.empty((n_maps, height, width), np.float32), None
    )
    is_two = has_two_classes(clicks, head)
    if not is_two:
        seen.plain = np.empty((n_maps, *(small_hw(hw) if spec.refine else hw)), np.float16)
    clicked = _clicked_looks(picture, clicks)
    for row in plan.rows:
        top, bottom = plan.tiles[row[0]].outer.top, min(hw[0], plan.tiles[row[0]].outer.bottom)
        strip = None if is_two else np.empty((n_maps, bottom - top, hw[1]), np.float32)
        for number in row:
            tile = plan.tiles[number]
            inner, outer = tile.inner.clipped(hw), tile.outer.clipped(hw)
            own = stages.stages(number)
            maps = encoder_maps(own)
            around, nodes = _nodes(outer, hw), _nodes(inner, hw)
            kept = nodes.moved(-around.top, -around.left).slices
            edges = edge_weights(small_lab[around.slices], edge_features(maps, around.hw, WALKER_STRIDE))
            seen.weights[(slice(None), *nodes.slices)] = edges[(slice(None), *kept)]
            scores = score_stages(own, *decisive, grid=WALKER_STRIDE)
            looks = unit_maps(maps, SIMILARITY_STRIDES)
            alike = SIMILARITY_WEIGHT * similarity(looks, clicked, belongs, grid=WALKER_STRIDE, grid_hw=around.hw)
            scores += alike[1:] - alike[:1] if n_maps == 1 else alike
            seen.scores[(slice(None), *nodes.slices)] = scores[(slice(None), *kept)]
            if is_two:
                _add_moments(seen.moments, maps, tile.inner.moved(-tile.outer.top, -tile.outer.left))
            if strip is not None:
                plain = opinions_of(score_stages(own, *decisive))
                strip[:, :, inner.left : inner.right] = plain[:, :, inner.left - outer.left : inner.right - outer.left]
        if strip is not None and seen.plain is not None:
            inner_rows = plan.tiles[row[0]].inner.clipped(hw)
            _keep_plain(seen.plain, strip, top, (inner_rows.top, inner_rows.bottom), hw)
    return seen


def _keep_plain(
    plain: NDArray[np.float16], strip: NDArray[np.float32], first: int, rows: tuple[int, int], hw: tuple[int, int]
) -> None:
    """Write the opinions of a strip, whose first row is row `first` of the picture, where `rows` belong."""
    out_hw = (plain.shape[1], plain.shape[2])
    if out_hw == hw:
        plain[:, rows[0] : rows[1]] = strip[:, rows[0] - first : rows[1] - first]
        return
    start, stop = (min(out_hw[0], int(np.ceil(side * out_hw[0] / hw[0] - 1e-9))) for side in rows)
    for one, kept in zip(strip, plain, strict=True):
        kept[start:stop] = area_rows(one, first, hw[0], out_hw, start, stop)


def _clicked_looks(picture: LargePicture, clicks: Clicks) -> tuple[Tensor, ...]:
    """What the maps for similarity hold at the clicks, (N, C) each."""
    plan = picture.stages.plan
    rows, cols = clicks.pixels_on(picture.hw)
    numbers = np.array([plan.at(int(row), int(col)) for row, col in zip(rows, cols, strict=True)], np.int64)
    found: list[Tensor] = []
    for number in np.unique(numbers):
        own, outer = numbers == number, plan.tiles[number].outer
        looks = unit_maps(encoder_maps(picture.stages.stages(int(number))), SIMILARITY_STRIDES)
        parts = looks_at(looks, rows[own] - outer.top, cols[own] - outer.left)
        if not found:
            found = [torch.empty(len(rows), part.shape[1]) for part in parts]
        for whole, part in zip(found, parts, strict=True):
            whole[torch.from_numpy(own)] = part
    return tuple(found)


def _add_moments(moments: dict[int, Tensor], maps: dict[int, EncoderMap], own: Box) -> None:
    """Count the cells of a tile's own box, in pixels of the tile, into the moments of each map."""
    for stride in LOCAL_STRIDES:
        if stride in maps:
            rows, cols = own.scaled(1 / maps[stride].stride).slices
            added = moments_of(maps[stride].map[:, rows, cols].flatten(1))
            moments[stride] = moments[stride] + added if stride in moments else added


def _own_features(
    picture: LargePicture, moments: dict[int, Tensor], small_lab: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Features for the picture's own head on the whole grid, float16; see `evidence.local_features`."""
    directions = {stride: strongest_directions(one) for stride, one in moments.items()}
    height, width = grid_hw(picture.hw)
    features: NDArray[np.float16] | None = None
    for number, tile in enumerate(picture.stages.plan.tiles):
        around, nodes = (_nodes(one.clipped(picture.hw), picture.hw) for one in (tile.outer, tile.inner))
        maps = encoder_maps(picture.stages.stages(number))
        raw = raw_features(maps, directions, small_lab[around.slices], WALKER_STRIDE)
        if features is None:
            features = np.empty((len(raw), height, width), np.float16)
        rows, cols = nodes.moved(-around.top, -around.left).slices
        features[(slice(None), *nodes.slices)] = raw.reshape(len(raw), *around.hw)[:, rows, cols]
    assert features is not None
    return standard_features(features.reshape(len(features), -1))


def _nodes(box: Box, hw: tuple[int, int]) -> Box:
    """The walker's nodes in a box of the picture."""
    below = -(-box.bottom // WALKER_STRIDE), -(-box.right // WALKER_STRIDE)
    return Box(box.top // WALKER_STRIDE, box.left // WALKER_STRIDE, *below).clipped(grid_hw(hw))
