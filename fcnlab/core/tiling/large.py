"""Pictures of any size: whole where their stages fit into memory, else in tiles, by the same path.

Only what is small is held for the whole picture: scores and the walker's graph at stride 4, signed scores at half size,
class ids at full size. Walker, guided filter, object mode and clicks then see the assembled picture, so that no border
of a tile shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.encoding.encoder import StageEncoder, lab_image
from fcnlab.core.encoding.stages import Stages, regridded, score_stages
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.image_adaptation import (
    LOCAL_STRIDES,
    EncoderMap,
    descriptors_at,
    edge_features,
    encoder_maps,
    moments_of,
    raw_features,
    similarity,
    standard_features,
    strongest_directions,
    unit_maps,
)
from fcnlab.core.learner.learner import (
    GRADES_WALKED,
    SIMILARITY_STRIDES,
    SIMILARITY_WEIGHT,
    WALKER_SHARE,
    WALKER_STRIDE,
    Mark,
    Picture,
    Segmentation,
    grid_hw,
    has_two_classes,
    obeyed,
    prepare,
    segment,
    spread,
    unmarked,
)
from fcnlab.core.learner.queries import likeliest
from fcnlab.core.learner.refine import Guide, guide_of, local_lines, small_hw
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.learner.signed_scores import (
    class_scores,
    margins,
    n_scores,
    probabilities_of,
    scored,
    signed_scores_of,
    winning_class,
)
from fcnlab.core.learner.walker import OFFSETS, edge_weights, graph_of
from fcnlab.core.tiling.strips import area_rows, covered_rows, linear_rows, neighbour_rows
from fcnlab.core.tiling.tiled_stages import TileCache, TiledStages
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.project import LearnerSpec


def unrefined_probabilities(stages: Stages, head: Head) -> NDArray[np.float32]:
    """Probabilities by the head alone, (K, h, w) float32 at stride WALKER_STRIDE: rough, quick for many pictures."""
    return probabilities_of(signed_scores_of(scored(stages, head, grid=WALKER_STRIDE)))


def unrefined_segmentation(stages: Stages, head: Head) -> Segmentation:
    """What the head alone makes of a picture nobody clicked, at its working size: no walker, no sharpened borders.

    Scored at stride WALKER_STRIDE and brought to working size in one step, which takes a fraction of the time.
    """
    height, width = stages.hw
    scores = score_stages(stages, *margins(head), grid=WALKER_STRIDE)
    linear = np.stack([regridded(score_map, WALKER_STRIDE)[:height, :width] for score_map in scores])
    grown = torch.from_numpy(class_scores(linear, head))
    if len(grown) == 1:
        share = grown[0].sigmoid()
        probabilities = torch.stack([1 - share, share])
    else:
        probabilities = grown.softmax(dim=0)
    probability_maps = probabilities.numpy()
    return Segmentation(
        head.class_ids, probability_maps, np.asarray(head.class_ids, np.uint8)[likeliest(probability_maps)]
    )


STRIP_ROWS = 512
"""Rows that are made at once."""


def reduced(
    rgb: NDArray[np.uint8], out_hw: tuple[int, int], made: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> NDArray[np.float32]:
    """What `made` makes of every pixel of a picture, averaged onto a smaller grid, strip by strip."""
    height = rgb.shape[0]
    rows = max(1, STRIP_ROWS * out_hw[0] // height)
    parts = []
    for start in range(0, out_hw[0], rows):
        stop = min(start + rows, out_hw[0])
        low, high = covered_rows(height, out_hw[0], start, stop)
        parts.append(area_rows(made(rgb[low:high]), low, height, out_hw, start, stop))
    return np.concatenate(parts)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)


def refined_rows(
    rgb: NDArray[np.uint8], walked: NDArray[np.float32], unrefined: NDArray[np.float16] | None
) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows of signed scores (M, n, W) whose borders follow the picture: the guided filter, its last step in strips."""
    hw = (rgb.shape[0], rgb.shape[1])
    half = small_hw(hw)
    guide: Guide = guide_of(np.empty((0, 0), np.float32), reduced(rgb, half, _grey))
    lines = []
    method = cv2.INTER_LINEAR if walked.shape[1] < half[0] else cv2.INTER_AREA
    for k, walked_map in enumerate(walked):
        score_map = np.asarray(cv2.resize(walked_map, half[::-1], interpolation=method), np.float32)
        if unrefined is not None:
            score_map = WALKER_SHARE * score_map + np.float32(1 - WALKER_SHARE) * unrefined[k].astype(np.float32)
        lines.append(local_lines(score_map, guide))

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        first, last = neighbour_rows(half[0], hw[0], start, stop)
        grey = _grey(rgb[start:stop])
        signed_scores = np.empty((len(lines), *grey.shape), np.float32)
        for k, (slope, level) in enumerate(lines):
            np.multiply(linear_rows(slope[first:last], first, half[0], hw, start, stop), grey, out=signed_scores[k])
            signed_scores[k] += linear_rows(level[first:last], first, half[0], hw, start, stop)
        return signed_scores

    return rows_of


def enlarged_rows(hw: tuple[int, int], maps: NDArray[np.float32]) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows (M, n, W) of maps (M, h, w) over the same field of view as a picture of size `hw`."""
    height = maps.shape[1]

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        first, last = neighbour_rows(height, hw[0], start, stop)
        return np.stack([linear_rows(small_map[first:last], first, height, hw, start, stop) for small_map in maps])

    return rows_of


def grown_rows(
    rgb: NDArray[np.uint8], walked: NDArray[np.float32], unrefined: NDArray[np.float16] | None
) -> Callable[[int, int], NDArray[np.float32]]:
    """Rows of signed scores (M, n, W) without sharpened borders."""
    enlarged = enlarged_rows((walked.shape[1] * WALKER_STRIDE, walked.shape[2] * WALKER_STRIDE), walked)
    width = rgb.shape[1]

    def rows_of(start: int, stop: int) -> NDArray[np.float32]:
        signed_scores = enlarged(start, stop)[:, :, :width]
        if unrefined is None:
            return signed_scores
        return np.asarray(
            WALKER_SHARE * signed_scores + np.float32(1 - WALKER_SHARE) * unrefined[:, start:stop], np.float32
        )

    return rows_of


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

    def __getitem__(self, pixels: tuple[NDArray[np.int64], NDArray[np.int64]]) -> NDArray[np.float32]:
        """Colours (..., 3) float32 at (rows, cols)."""
        colours = self._rgb[pixels]
        if not colours.size:
            return np.zeros(colours.shape, np.float32)
        return lab_image(colours.reshape(-1, 1, 3)).reshape(colours.shape)


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
class _TileScan:
    """What one pass over all tiles leaves: all of it on coarse grids.

    Attributes:
        weights: (4, h, w) of the walker's edges.
        scores: (M, h, w) on the walker's grid, with what looks like the clicks.
        unrefined: (M, h', w') signed scores of the head alone at half size with `refine`, at full size without; None
            where the walker alone decides.
    """

    weights: NDArray[np.float32]
    scores: NDArray[np.float32]
    unrefined: NDArray[np.float16] | None
    moments: dict[int, Tensor] = field(default_factory=dict)


def segment_large(
    picture: LargePicture,
    head: Head,
    clicks: Clicks,
    spec: LearnerSpec,
    *,
    background: int | None,
    mark: Mark = unmarked,
) -> Segmentation:
    """As `learner.segment`; probabilities are float16."""
    hw = picture.hw
    belongs = np.asarray(head.class_ids)[:, None] == clicks.class_ids
    small_lab = reduced(picture.stages.rgb, grid_hw(hw), lab_image)
    scan = _scan_tiles(picture, head, clicks, spec, belongs, small_lab)
    features = _own_features(picture, scan.moments, small_lab) if has_two_classes(clicks, head) else None
    del small_lab
    graph = graph_of(scan.weights)
    scan.weights = scan.weights[:0]
    mark("score")
    signed_scores = spread(graph, scan.scores, clicks, belongs, hw, features)
    del graph, features
    mark("walk")
    scan.scores = scan.scores[:0]
    class_map = np.empty(hw, np.uint8)
    probabilities = np.empty((len(head.class_ids), *hw), np.float16)
    finish = refined_rows if spec.refine else grown_rows
    rows_of = finish(picture.stages.rgb, signed_scores, scan.unrefined)
    del signed_scores
    for start in range(0, hw[0], STRIP_ROWS):
        stop = min(start + STRIP_ROWS, hw[0])
        strip_probabilities = probabilities_of(rows_of(start, stop))
        probabilities[:, start:stop] = strip_probabilities
        class_map[start:stop] = winning_class(head.class_ids, strip_probabilities)
    del rows_of
    class_map = obeyed(class_map, clicks, picture.lab, spec, background=background)
    mark("refine")
    return Segmentation(head.class_ids, probabilities, class_map)


def unrefined_large(picture: LargePicture, head: Head) -> NDArray[np.float32]:
    """Probabilities by the head alone, (K, h, w) float32 at stride WALKER_STRIDE."""
    scores = np.empty((n_scores(head), *grid_hw(picture.hw)), np.float32)
    for index, tile in enumerate(picture.stages.plan.tiles):
        around, nodes = (_nodes(box.clipped(picture.hw), picture.hw) for box in (tile.outer, tile.inner))
        kept = nodes.moved(-around.top, -around.left).slices
        tile_scores = scored(picture.stages.stages(index), head, grid=WALKER_STRIDE)
        scores[(slice(None), *nodes.slices)] = tile_scores[(slice(None), *kept)]
    return probabilities_of(signed_scores_of(scores))


def _scan_tiles(
    picture: LargePicture,
    head: Head,
    clicks: Clicks,
    spec: LearnerSpec,
    belongs: NDArray[np.bool_],
    small_lab: NDArray[np.float32],
) -> _TileScan:
    """Go through the tiles once, row by row."""
    stages, hw, plan = picture.stages, picture.hw, picture.stages.plan
    n_maps = n_scores(head)
    height, width = grid_hw(hw)
    scan = _TileScan(
        np.empty((len(OFFSETS), height, width), np.float32), np.empty((n_maps, height, width), np.float32), None
    )
    is_two = has_two_classes(clicks, head)
    if not is_two:
        scan.unrefined = np.empty((n_maps, *(small_hw(hw) if spec.refine else hw)), np.float16)
    clicked = _clicked_descriptors(picture, clicks)
    for row in plan.rows:
        top, bottom = plan.tiles[row[0]].outer.top, min(hw[0], plan.tiles[row[0]].outer.bottom)
        strip = None if is_two else np.empty((n_maps, bottom - top, hw[1]), np.float32)
        for index in row:
            tile = plan.tiles[index]
            inner, outer = tile.inner.clipped(hw), tile.outer.clipped(hw)
            tile_stages = stages.stages(index)
            maps = encoder_maps(tile_stages)
            around, nodes = _nodes(outer, hw), _nodes(inner, hw)
            kept = nodes.moved(-around.top, -around.left).slices
            edges = edge_weights(small_lab[around.slices], edge_features(maps, around.hw, WALKER_STRIDE))
            scan.weights[(slice(None), *nodes.slices)] = edges[(slice(None), *kept)]
            scores = scored(tile_stages, head, grid=WALKER_STRIDE, grade_weight=GRADES_WALKED)
            descriptors = unit_maps(maps, SIMILARITY_STRIDES)
            alike = SIMILARITY_WEIGHT * similarity(descriptors, clicked, belongs, grid=WALKER_STRIDE, grid_hw=around.hw)
            scores += alike[1:] - alike[:1] if n_maps == 1 else alike
            scan.scores[(slice(None), *nodes.slices)] = scores[(slice(None), *kept)]
            if is_two:
                _add_moments(scan.moments, maps, tile.inner.moved(-tile.outer.top, -tile.outer.left))
            if strip is not None:
                unrefined = signed_scores_of(scored(tile_stages, head))
                strip[:, :, inner.left : inner.right] = unrefined[
                    :, :, inner.left - outer.left : inner.right - outer.left
                ]
        if strip is not None and scan.unrefined is not None:
            inner_rows = plan.tiles[row[0]].inner.clipped(hw)
            _keep_unrefined(scan.unrefined, strip, top, (inner_rows.top, inner_rows.bottom), hw)
    return scan


def _keep_unrefined(
    unrefined: NDArray[np.float16], strip: NDArray[np.float32], first: int, rows: tuple[int, int], hw: tuple[int, int]
) -> None:
    """Write the signed scores of a strip, whose first row is row `first` of the picture, where `rows` belong."""
    out_hw = (unrefined.shape[1], unrefined.shape[2])
    if out_hw == hw:
        unrefined[:, rows[0] : rows[1]] = strip[:, rows[0] - first : rows[1] - first]
        return
    start, stop = (min(out_hw[0], int(np.ceil(side * out_hw[0] / hw[0] - 1e-9))) for side in rows)
    for score_map, kept in zip(strip, unrefined, strict=True):
        kept[start:stop] = area_rows(score_map, first, hw[0], out_hw, start, stop)


def _clicked_descriptors(picture: LargePicture, clicks: Clicks) -> tuple[Tensor, ...]:
    """What the maps for similarity hold at the clicks, (N, C) each."""
    plan = picture.stages.plan
    rows, cols = clicks.pixels_on(picture.hw)
    tile_indices = np.array([plan.at(int(row), int(col)) for row, col in zip(rows, cols, strict=True)], np.int64)
    at_clicks: list[Tensor] = []
    for index in np.unique(tile_indices):
        is_inside, outer = tile_indices == index, plan.tiles[index].outer
        descriptors = unit_maps(encoder_maps(picture.stages.stages(int(index))), SIMILARITY_STRIDES)
        parts = descriptors_at(descriptors, rows[is_inside] - outer.top, cols[is_inside] - outer.left)
        if not at_clicks:
            at_clicks = [torch.empty(len(rows), part.shape[1]) for part in parts]
        for whole, part in zip(at_clicks, parts, strict=True):
            whole[torch.from_numpy(is_inside)] = part
    return tuple(at_clicks)


def _add_moments(moments: dict[int, Tensor], maps: dict[int, EncoderMap], inner: Box) -> None:
    """Count the cells of a tile's own box, in pixels of the tile, into the moments of each map."""
    for stride in LOCAL_STRIDES:
        if stride in maps:
            rows, cols = inner.scaled(1 / maps[stride].stride).slices
            added = moments_of(maps[stride].map[:, rows, cols].flatten(1))
            moments[stride] = moments[stride] + added if stride in moments else added


def _own_features(
    picture: LargePicture, moments: dict[int, Tensor], small_lab: NDArray[np.float32]
) -> NDArray[np.floating]:
    """Features for the picture's own head on the whole grid, float16; see `image_adaptation.local_features`."""
    directions = {stride: strongest_directions(stride_moments) for stride, stride_moments in moments.items()}
    height, width = grid_hw(picture.hw)
    features: NDArray[np.float16] | None = None
    for index, tile in enumerate(picture.stages.plan.tiles):
        around, nodes = (_nodes(box.clipped(picture.hw), picture.hw) for box in (tile.outer, tile.inner))
        maps = encoder_maps(picture.stages.stages(index))
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


AnyPicture = Picture | LargePicture


def open_picture(
    encoder: StageEncoder, rgb: NDArray[np.uint8], spec: LearnerSpec, *, tile_cache: TileCache
) -> AnyPicture:
    """Encode a working picture (H, W, 3) uint8 and make it ready for clicks; tiles of a large one go to the cache."""
    if not is_large((rgb.shape[0], rgb.shape[1])):
        return prepare(rgb, encoder.encode(rgb, scales=spec.scales, position=spec.position))
    stages = TiledStages(encoder, rgb, scales=spec.scales, position=spec.position, tile_cache=tile_cache)
    for _ in stages.encode():
        pass
    return LargePicture(stages)


def segment_any(
    picture: AnyPicture,
    head: Head,
    clicks: Clicks,
    spec: LearnerSpec,
    *,
    background: int | None,
    mark: Mark = unmarked,
) -> Segmentation:
    """The mask of a picture of any size; see `learner.segment`."""
    if isinstance(picture, LargePicture):
        return segment_large(picture, head, clicks, spec, background=background, mark=mark)
    return segment(picture, head, clicks, spec, background=background, mark=mark)


def unrefined_of(picture: AnyPicture, head: Head) -> NDArray[np.float32]:
    """Probabilities by the head alone, (K, h, w) float32 at stride WALKER_STRIDE; see `unrefined_probabilities`."""
    if isinstance(picture, LargePicture):
        return unrefined_large(picture, head)
    return unrefined_probabilities(picture.stages, head)
