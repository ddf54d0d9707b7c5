"""What a network that counts says of a picture, whole or tile by tile, and the counts that follow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.counting.density import DENSITY_UNIT
from fcnlab.core.counting.objects import Blob, Detections, class_map_of, labelled_blobs, labelled_peaks
from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.tiling.tiles import Box
from fcnlab.core.training.network_model import (
    NetworkModel,
    picture_scores,
    score_tiles,
    seen_hw,
    seen_picture,
)
from fcnlab.domain.counting import GRID_SIDE, Calibration, ClassCount, FoundObject, ImageCount, Objective
from fcnlab.errors import CheckpointError, Diverged

AROUND_SPACINGS = 3.0
"""So many spacings around a tile objects are looked for, so that those on its border are found whole."""


def counting_scores(
    network: PointNetwork, seen: NDArray[np.uint8], objective: Objective, *, device: str
) -> NDArray[np.float32]:
    """Scores (K, h, w) float32, as `count_scores` takes them, of a picture (h, w, 3) uint8 at the size the network
    sees.

    Raises:
        Diverged: they are no finite numbers.
    """
    return _scores(picture_scores(network, seen, device=device), objective)


def network_count(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> ImageCount:
    """Count the objects of a picture (H, W, 3) uint8; a large one tile by tile.

    Raises:
        CheckpointError: the model does not count.
    """
    calibration, full_hw = calibration_of(model), (rgb.shape[0], rgb.shape[1])
    map_hw = seen_hw(full_hw, model.network.spec, model.training)
    seen = seen_picture(rgb, map_hw)
    reach = math.ceil(AROUND_SPACINGS * calibration.spacing * map_hw[0] / full_hw[0])
    tiles = _tiles(model, seen, reach, device)
    return count_tiles(tiles, map_hw, model.training.objective, calibration, model.class_ids, full_hw)


def network_count_with_density(
    model: NetworkModel, rgb: NDArray[np.uint8], *, device: str
) -> tuple[ImageCount, NDArray[np.float32]]:
    """The count of a picture, and its density (object classes, H, W) float32: objects per pixel of the picture.

    Raises:
        CheckpointError: the model does not count.
    """
    calibration, full_hw = calibration_of(model), (rgb.shape[0], rgb.shape[1])
    map_hw = seen_hw(full_hw, model.network.spec, model.training)
    seen = seen_picture(rgb, map_hw)
    reach = math.ceil(AROUND_SPACINGS * calibration.spacing * map_hw[0] / full_hw[0])
    density = np.empty((len(model.class_ids) - 1, *map_hw), np.float32)

    def tile_scores() -> Iterator[TileScores]:
        for tile in _tiles(model, seen, reach, device):
            inner = tile.inner.moved(-tile.outer.top, -tile.outer.left)
            density[(slice(None), *tile.inner.slices)] = tile.scores[(slice(1, None), *inner.slices)]
            yield tile

    count = count_tiles(tile_scores(), map_hw, model.training.objective, calibration, model.class_ids, full_hw)
    method = cv2.INTER_AREA if map_hw[0] > full_hw[0] else cv2.INTER_LINEAR
    maps = []
    for class_id, class_density in zip(model.class_ids[1:], density, strict=True):
        full = cv2.resize(class_density, full_hw[::-1], interpolation=method) if map_hw != full_hw else class_density
        total, wanted = float(full.sum(dtype=np.float64)), float(class_density.sum(dtype=np.float64))
        kept = wanted / total if total > 0 and wanted > 0 else 1.0
        maps.append(full * np.float32(kept * calibration.factors.get(class_id, 1.0) / DENSITY_UNIT))
    return count, np.stack(maps).astype(np.float32)


def counted_mask(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> NDArray[np.uint8]:
    """The objects of a picture (H, W, 3) uint8 as class ids (h, w) uint8, at the size the network looks at.

    Raises:
        CheckpointError: the model does not count.
    """
    calibration, full_hw = calibration_of(model), (rgb.shape[0], rgb.shape[1])
    map_hw = seen_hw(full_hw, model.network.spec, model.training)
    scores = counting_scores(model.network, seen_picture(rgb, map_hw), model.training.objective, device=device)
    detections = objects_in(scores, model.training.objective, calibration, model.class_ids, map_hw, full_hw)
    return class_map_of(detections, model.class_ids)


def calibration_of(model: NetworkModel) -> Calibration:
    """The calibration by which objects are told from the scores of a model.

    Raises:
        CheckpointError: the model does not count.
    """
    if model.calibration is None or not model.training.objective.is_counting:
        raise CheckpointError(
            f"the model {model.network.spec.network} was trained to tell pixels apart, not to count: "
            "choose one that `fcnlab count train` made"
        )
    return model.calibration


def _tiles(model: NetworkModel, seen: NDArray[np.uint8], reach: int, device: str) -> Iterator[TileScores]:
    for inner, outer, scores in score_tiles(model.network, seen, device=device, margin=reach):
        yield TileScores(inner, outer, _scores(scores, model.training.objective))


def _scores(scores: NDArray[np.float32], objective: Objective) -> NDArray[np.float32]:
    if not np.isfinite(scores).all():
        raise Diverged(
            "the scores of the network are no finite numbers, for its training diverged: train again with a lower "
            "learning rate"
        )
    return scores if objective is Objective.DENSITY else np.asarray(softmax(scores, axis=0), np.float32)


BLOB_THRESHOLD = 0.5
PEAK_THRESHOLD = 0.35
"""Scores above which pixels belong to objects, and peaks are objects, before held-out images said better."""


@dataclass(frozen=True, slots=True, eq=False)
class TileScores:
    """The scores of one tile.

    Attributes:
        inner, outer: boxes on the map: what the tile answers for, and what `scores` covers. Inner boxes cover the map
            without overlap; an object must fit between inner and outer box to be found whole.
        scores: (K, height of outer, width of outer) float32.
    """

    inner: Box
    outer: Box
    scores: NDArray[np.float32]


def default_threshold(objective: Objective) -> float:
    """The least score of an object before a calibration by held-out images."""
    return PEAK_THRESHOLD if objective is Objective.DENSITY else BLOB_THRESHOLD


def count_scores(
    scores: NDArray[np.float32],
    objective: Objective,
    calibration: Calibration,
    class_ids: Sequence[int],
    full_hw: tuple[int, int],
) -> ImageCount:
    """Count the objects of a picture.

    Args:
        scores: (K, h, w) over the whole picture. BLOBS: probabilities; DENSITY: the scores as the network gives them,
            densities in units of 1 / DENSITY_UNIT.
        class_ids: the class of each place; the first is the background.
        full_hw: size of the image, in whose pixels objects and calibration are.
    """
    hw = (scores.shape[1], scores.shape[2])
    whole = Box(0, 0, *hw)
    return count_tiles([TileScores(whole, whole, scores)], hw, objective, calibration, class_ids, full_hw)


def count_tiles(
    tiles: Iterable[TileScores],
    map_hw: tuple[int, int],
    objective: Objective,
    calibration: Calibration,
    class_ids: Sequence[int],
    full_hw: tuple[int, int],
) -> ImageCount:
    """Count the objects of a picture tile by tile: an object belongs to the tile whose inner box holds its centre.

    Args:
        map_hw: size of the map all tiles are parts of. See `count_scores` for the others.
    """
    blobs: list[Blob] = []
    grid = np.zeros((len(class_ids), GRID_SIDE, GRID_SIDE))
    for tile in tiles:
        detections = objects_in(tile.scores, objective, calibration, class_ids, map_hw, full_hw)
        inside = [_moved(blob, tile.outer) for blob in detections.blobs]
        blobs += [blob for blob in inside if _holds(tile.inner, blob)]
        if objective is Objective.DENSITY:
            grid += _sums(tile, map_hw) / DENSITY_UNIT
    if objective is Objective.DENSITY:
        factors = [calibration.factors.get(class_id, 1.0) for class_id in class_ids]
        grid *= np.array(factors)[:, None, None]
        grid[grid.sum(axis=(1, 2)) < 0] = 0
    else:
        for blob in blobs:
            grid[blob.class_index, _cell(blob.row, map_hw[0]), _cell(blob.col, map_hw[1])] += 1
    blobs.sort(key=lambda blob: (blob.row, blob.col, blob.class_index))
    indices = range(1, len(class_ids))
    return ImageCount(
        tuple(_class_count(class_ids[index], float(grid[index].sum()), calibration) for index in indices),
        tuple(_at_full_size(blob, class_ids, map_hw, full_hw) for blob in blobs),
        tuple(tuple(float(cell) for cell in grid[index].flat) for index in indices),
    )


def objects_in(
    scores: NDArray[np.float32],
    objective: Objective,
    calibration: Calibration,
    class_ids: Sequence[int],
    map_hw: tuple[int, int],
    full_hw: tuple[int, int],
) -> Detections:
    """The objects of a map or a part of it, in its own frame; those of a whole map are those of `count_scores`.

    Args:
        scores: (K, h, w), see `count_scores`.
        map_hw: size of the whole map.
    """
    ratio = math.sqrt(map_hw[0] * map_hw[1] / (full_hw[0] * full_hw[1]))
    usual = default_threshold(objective)
    thresholds = [calibration.thresholds.get(class_id, usual) for class_id in class_ids]
    spacing = calibration.spacing * ratio
    if objective is Objective.DENSITY:
        return labelled_peaks(scores / np.float32(DENSITY_UNIT), spacing, thresholds)
    min_size = [calibration.min_size.get(class_id, 0.0) * ratio**2 for class_id in class_ids]
    return labelled_blobs(scores, thresholds, min_size, spacing)


def _class_count(class_id: int, count: float, calibration: Calibration) -> ClassCount:
    spread = calibration.spread.get(class_id)
    if spread is None:
        return ClassCount(class_id, count)
    reach = spread * math.sqrt(count + 1)
    return ClassCount(class_id, count, max(0.0, count - reach), count + reach)


def _moved(blob: Blob, outer: Box) -> Blob:
    box = blob.box and (blob.box[0] + outer.top, blob.box[1] + outer.left, *blob.box[2:])
    return replace(blob, row=blob.row + outer.top, col=blob.col + outer.left, box=box)


def _holds(inner: Box, blob: Blob) -> bool:
    return inner.top <= blob.row + 0.5 < inner.bottom and inner.left <= blob.col + 0.5 < inner.right


def _cell(position: float, side: int) -> int:
    return min(GRID_SIDE - 1, max(0, int((position + 0.5) * GRID_SIDE / side)))


def _sums(tile: TileScores, map_hw: tuple[int, int]) -> NDArray[np.float64]:
    """(K, GRID_SIDE, GRID_SIDE): sums of the scores in the inner box, cell by cell."""
    inner_scores = tile.scores[(slice(None), *tile.inner.moved(-tile.outer.top, -tile.outer.left).slices)]
    down, across = (
        np.arange(GRID_SIDE)[:, None] == ((np.arange(start, stop) + 0.5) * GRID_SIDE / side).astype(np.int64)
        for start, stop, side in (
            (tile.inner.top, tile.inner.bottom, map_hw[0]),
            (tile.inner.left, tile.inner.right, map_hw[1]),
        )
    )
    return np.asarray(down.astype(np.float64) @ inner_scores @ across.astype(np.float64).T, np.float64)


def _at_full_size(
    blob: Blob, class_ids: Sequence[int], map_hw: tuple[int, int], full_hw: tuple[int, int]
) -> FoundObject:
    down, across = full_hw[0] / map_hw[0], full_hw[1] / map_hw[1]
    box = blob.box and (blob.box[0] * down, blob.box[1] * across, blob.box[2] * down, blob.box[3] * across)
    return FoundObject(
        (blob.row + 0.5) * down - 0.5,
        (blob.col + 0.5) * across - 0.5,
        class_ids[blob.class_index],
        blob.size * down * across,
        blob.score,
        box,
    )
