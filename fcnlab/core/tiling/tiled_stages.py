"""The stages of a picture too large to hold them at once: encoded tile by tile, with statistics of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.encoding.encoder import StageEncoder, padding_step
from fcnlab.core.encoding.stages import RawMap, Stages, cells_inside, sample_stages, scale_of
from fcnlab.core.tiling.tiles import Box, Tile, TilePlan, tile_plan

TILE_SIDE = 1536
"""Working pixels of a tile. Larger ones encode less around them; smaller ones need less memory at once."""


class TileCache(Protocol):
    """Where encoded tiles lie between two uses; it may lose them, they are encoded again then."""

    def get(self, index: int) -> Sequence[Tensor] | None:
        """The maps of a tile, or None."""

    def put(self, index: int, maps: Sequence[Tensor]) -> None:
        """Keep the maps of a tile."""


class MemoryTileCache:
    """Tiles in memory."""

    def __init__(self) -> None:
        self._tiles: dict[int, Sequence[Tensor]] = {}

    def get(self, index: int) -> Sequence[Tensor] | None:
        """The maps of a tile, or None."""
        return self._tiles.get(index)

    def put(self, index: int, maps: Sequence[Tensor]) -> None:
        """Keep the maps of a tile."""
        self._tiles[index] = maps


@dataclass(slots=True)
class _Sums:
    """Count, mean and sum of squared deviations of one stage, gathered tile by tile (Chan et al. 1979)."""

    count: int
    mean: Tensor
    squares: Tensor

    def add(self, cells: Tensor) -> None:
        """Count in cells (C, n) float32."""
        n = cells.shape[1]
        if not n:
            return
        mean = cells.mean(dim=1)
        squares = torch.linalg.vector_norm(cells - mean[:, None], dim=1).double() ** 2
        gap = mean.double() - self.mean
        total = self.count + n
        self.squares += squares + gap * gap * (self.count * n / total)
        self.mean += gap * (n / total)
        self.count = total


class TiledStages:
    """Stages of a working picture, tile by tile. Go through `encode` to the end before anything else.

    Args:
        encoder: what encodes.
        rgb: (H, W, 3) uint8 working picture.
        scales, position: see `StageEncoder.encode`.
        tile_cache: where encoded tiles are kept.
        side: of a tile, in working pixels.
        statistics: means and scales to go by, see `Stages`, instead of those of the tiles; then `encode` is not needed.
    """

    def __init__(
        self,
        encoder: StageEncoder,
        rgb: NDArray[np.uint8],
        *,
        scales: tuple[float, ...],
        position: bool,
        tile_cache: TileCache,
        side: int = TILE_SIDE,
        statistics: tuple[tuple[Tensor, ...], tuple[Tensor, ...]] | None = None,
    ) -> None:
        self.rgb, self.hw = rgb, (rgb.shape[0], rgb.shape[1])
        self.plan: TilePlan = tile_plan(self.hw, step=padding_step(scales), side=side)
        self._encoder, self._scales, self._position, self._cache = encoder, scales, position, tile_cache
        self._given = statistics
        self._sums: list[_Sums] = []
        self._weights: list[float] = []
        self._counted: set[int] = set()

    @property
    def waiting(self) -> tuple[int, ...]:
        """Numbers of the tiles that are not encoded yet."""
        return tuple(index for index in range(len(self.plan.tiles)) if index not in self._counted)

    def encode(self) -> Iterator[float]:
        """Encode every tile that is waiting; yields how far it has come, 0 to 1."""
        for index in self.waiting:
            self.encode_tile(index)
            yield len(self._counted) / len(self.plan.tiles)

    def encode_tile(self, index: int) -> None:
        """Encode one tile, unless it is in the cache, and count it into the statistics, unless they are given."""
        if index in self._counted:
            return
        if self._given is not None:
            self._deep_maps(index)
            return
        tile = self.plan.tiles[index]
        made = self._raw_maps(index)
        if not self._sums:
            for raw in made:
                zeros = torch.zeros(len(raw.map), dtype=torch.float64, device=raw.map.device)
                self._sums.append(_Sums(0, zeros, zeros.clone()))
                self._weights.append(raw.weight)
        for sums, raw in zip(self._sums, made, strict=True):
            sums.add(_own_cells(raw, tile, self.hw))
        self._counted.add(index)

    def stages(self, index: int) -> Stages:
        """The stages of a tile's outer box, float32, standardised over the whole picture."""
        made = self._raw_maps(index)
        means, scales = self._statistics()
        outer = self.plan.tiles[index].outer.clipped(self.hw)
        return Stages(tuple(raw.info for raw in made), tuple(raw.map.float() for raw in made), means, scales, outer.hw)

    def samples(
        self, rows: NDArray[np.float64], cols: NDArray[np.float64], *, among: Mapping[int, Stages] | None = None
    ) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture.

        Args:
            rows, cols: (N,).
            among: tiles at hand, by number, that need not be fetched.
        """
        at_hand = among or {}
        indices = np.array(
            [
                self.plan.at(int(np.clip(row, 0, self.hw[0] - 1)), int(np.clip(col, 0, self.hw[1] - 1)))
                for row, col in zip(rows, cols, strict=True)
            ],
            np.int64,
        )
        features_at: NDArray[np.float32] | None = None
        for index in np.unique(indices):
            stages, outer = at_hand.get(int(index)) or self.stages(int(index)), self.plan.tiles[index].outer
            is_inside = indices == index
            positions = np.stack([rows[is_inside] - outer.top, cols[is_inside] - outer.left])
            on_device = torch.from_numpy(positions).to(stages.maps[0].device, torch.float32)
            with torch.no_grad():
                features = sample_stages(stages, on_device[0], on_device[1]).cpu().numpy()
            if features_at is None:
                features_at = np.empty((len(rows), features.shape[1]), np.float32)
            features_at[is_inside] = features
        if features_at is None:
            return np.empty((0, self.stages(0).width), np.float32)
        return features_at

    def _raw_maps(self, index: int) -> list[RawMap]:
        """Maps of a tile's outer box: those of the network from the cache if they are there, the rest made now."""
        deep, box = self._deep_maps(index), self.plan.tiles[index].outer
        self._encoder.give_way()
        shallow = self._encoder.shallow_maps(self.rgb, box, padded_hw=self.plan.padded_hw)
        self._encoder.give_way()
        return [*deep, *shallow, *self._encoder.place_maps(self.hw, box, position=self._position)]

    def _deep_maps(self, index: int) -> list[RawMap]:
        box, device = self.plan.tiles[index].outer, self._encoder.device
        cached = self._cache.get(index)
        if cached is None:
            deep = self._encoder.deep_maps(self.rgb, box, scales=self._scales)
            self._cache.put(index, [raw.map for raw in deep])
        else:
            infos = self._encoder.deep_infos(cached, self._scales)
            deep = [RawMap(info, 1.0, feature_map.to(device)) for info, feature_map in zip(infos, cached, strict=True)]
        if self._given is not None:
            self._counted.add(index)
        return deep

    def _statistics(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Mean and scale of every stage over the tiles encoded so far."""
        if self._given is not None:
            return self._given
        means = tuple(sums.mean.float() for sums in self._sums)
        scales = tuple(
            scale_of((sums.squares / max(1, sums.count)).sqrt().float(), weight)
            for sums, weight in zip(self._sums, self._weights, strict=True)
        )
        return means, scales


def _own_cells(raw: RawMap, tile: Tile, hw: tuple[int, int]) -> Tensor:
    """Cells (C, n) float32 of the tile's inner box that hold something of the picture."""
    stride, outer = raw.info.stride, tile.outer
    cells: Box = tile.inner.scaled(1 / stride).clipped(cells_inside(hw, stride))
    rows, cols = cells.moved(-round(outer.top / stride), -round(outer.left / stride)).slices
    return raw.map[:, rows, cols].float().flatten(1)
