"""A wide picture while somebody labels it: learned from and answered tile by tile, so that a click waits for one tile.

Its stages are standardised by the statistics of the picture made coarse, which are there at once; masks that leave the
project are made with those of the whole (`large.segment_large`).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import on_grid
from fcnlab.core.images.coords import learner_hw, working_picture
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.learner import (
    WALKER_STRIDE,
    Mark,
    Picture,
    Segmentation,
    extract_samples,
    fit,
    prepare,
    segment,
    unmarked,
)
from fcnlab.core.learner.samples import Clicks, FeaturesByPosition, samples_by_position
from fcnlab.core.tiling.large import LazyLab
from fcnlab.core.tiling.tiled_stages import TileCache, TiledStages
from fcnlab.core.tiling.tiles import Box
from fcnlab.domain.project import LearnerSpec

WIDE_PIXELS = 3_200_000
"""Working pictures above are labelled tile by tile: a click on the whole would take a second."""

TILE_SIDE = 768
COARSE_SIDE = 1024
TILES_READY = 12
"""Tiles held ready for clicks, about 50 MB each: all of 7 megapixels."""


def is_wide(hw: tuple[int, int]) -> bool:
    """Whether a working picture of that size is labelled tile by tile."""
    return hw[0] * hw[1] > WIDE_PIXELS


def counting_spec(image_hw: tuple[int, int], spec: LearnerSpec) -> LearnerSpec:
    """The learner's settings for an image that is counted in: a wide one is counted on a coarser working picture."""
    height, width = learner_hw(image_hw, spec)
    if not is_wide((height, width)):
        return spec
    side = math.floor(max(height, width) * math.sqrt(WIDE_PIXELS / (height * width))) - 1
    return replace(spec, resolution=None, working_side=max(64, side))


class WidePicture:
    """A working picture in tiles, any of which can be asked for at any time.

    Args:
        encoder: what encodes.
        rgb: (H, W, 3) uint8, the working picture.
        spec: scales and position.
        tile_cache: where encoded tiles are kept.
        side: of a tile, in working pixels.
    """

    def __init__(
        self,
        encoder: StageEncoder,
        rgb: NDArray[np.uint8],
        spec: LearnerSpec,
        *,
        tile_cache: TileCache,
        side: int = TILE_SIDE,
    ) -> None:
        small = working_picture(rgb, COARSE_SIDE)
        coarse = encoder.encode(small, scales=spec.scales, position=spec.position)
        self._encoder = encoder
        self._coarse = prepare(small, coarse)
        self._coarse_head: Head | None = None
        self._stages = TiledStages(
            encoder,
            rgb,
            scales=spec.scales,
            position=spec.position,
            tile_cache=tile_cache,
            side=side,
            statistics=(coarse.means, coarse.scales),
        )
        self.plan = self._stages.plan
        self._ready: LRUCache[int, Picture] = LRUCache(TILES_READY)
        self._samples: FeaturesByPosition = {}

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""
        return self._stages.hw

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The working picture."""
        return self._stages.rgb

    @property
    def lab(self) -> LazyLab:
        """CIELAB of its pixels."""
        return LazyLab(self._stages.rgb)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Numbers of the tiles that nobody asked to encode."""
        return self._stages.waiting

    def encode(self, index: int) -> None:
        """Encode a tile ahead, unless it is in the cache, and make it ready while there is room."""
        if len(self._ready) < TILES_READY:
            self.tile(index)
        else:
            self._stages.encode_tile(index)

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture; each is looked up once."""
        return samples_by_position(self._samples, self._extracted, rows, cols)

    def _extracted(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """The features at new positions, of tiles that are at hand or encoded now."""
        indices = sorted({self.plan.at(*self._pixel(position)) for position in zip(rows, cols, strict=True)})
        at_hand = {index: self.tile(index).stages for index in indices[:TILES_READY]}
        return self._stages.samples(rows, cols, among=at_hand)

    def tile(self, index: int) -> Picture:
        """A tile with what is around it, ready for clicks; encoded now if it never was."""
        ready = self._ready.get(index)
        if ready is None:
            rows, cols = self.plan.tiles[index].outer.clipped(self.hw).slices
            rgb = np.ascontiguousarray(self.rgb[rows, cols])
            stages = self._stages.stages(index)
            ready = _lighter(prepare(rgb, stages, between=self._encoder.give_way), rgb)
            self._ready[index] = ready
        return ready

    def _pixel(self, position: tuple[float, float]) -> tuple[int, int]:
        """The pixel that holds a position, the nearest of the picture."""
        row, col = (int(np.clip(at, 0, side - 1)) for at, side in zip(position, self.hw, strict=True))
        return row, col

    def missing(self, clicks: Clicks) -> tuple[int, ...]:
        """Numbers of the tiles that hold a click and that nobody asked to encode."""
        rows, cols = clicks.pixels_on(self.hw)
        held = {self.plan.at(row, col) for row, col in zip(rows.tolist(), cols.tolist(), strict=True)}
        return tuple(sorted(held & set(self.waiting)))

    def coarse_segmentation(
        self, clicks: Clicks, spec: LearnerSpec, *, background: int | None, mark: Mark = unmarked
    ) -> Segmentation:
        """The segmentation of the picture made coarse, at that size: ready at once, whatever is encoded.

        Raises:
            NoPoints: fewer than two classes have clicks.
        """
        seen = replace(spec, object_mode=False)
        samples = [extract_samples(self._coarse, clicks, seen, background=background)]
        mark("samples")
        self._coarse_head = fit(samples, seen, start=self._coarse_head)
        mark("fit")
        return segment(self._coarse, self._coarse_head, clicks, seen, background=background, mark=mark)

    def segment(
        self,
        index: int,
        head: Head,
        clicks: Clicks,
        spec: LearnerSpec,
        *,
        background: int | None,
        mark: Mark = unmarked,
    ) -> tuple[Box, Segmentation]:
        """The inner box of a tile and its mask; objects are kept whole by whoever sees the whole."""
        inner, outer = (box.clipped(self.hw) for box in (self.plan.tiles[index].inner, self.plan.tiles[index].outer))
        rows, cols = clicks.pixels_on(self.hw)
        inside = (rows >= outer.top) & (rows < outer.bottom) & (cols >= outer.left) & (cols < outer.right)
        tile_clicks = Clicks(
            rows[inside] - outer.top,
            cols[inside] - outer.left,
            clicks.class_ids[inside],
            outer.hw,
            clicks.weights[inside],
        )
        tile = self.tile(index)
        mark("encode")
        segmentation = segment(
            tile, head, tile_clicks, replace(spec, object_mode=False), background=background, mark=mark
        )
        kept = inner.moved(-outer.top, -outer.left).slices
        return inner, replace(
            segmentation,
            probabilities=segmentation.probabilities[(slice(None), *kept)],
            class_map=segmentation.class_map[kept],
        )


def _lighter(picture: Picture, rgb: NDArray[np.uint8]) -> Picture:
    """The same in half the memory: its maps were rounded to float16 before, and colours are made again from `rgb`."""
    stages = picture.stages.to(picture.stages.maps[0].device, torch.float16)
    return replace(picture, stages=stages, grid_stages=on_grid(stages, WALKER_STRIDE), lab=LazyLab(rgb))
