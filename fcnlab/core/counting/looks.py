"""What a network that counts says about a picture: scores whole, or tile by tile with enough around each."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.counting.counting import TileScores, count_tiles, objects_in
from fcnlab.core.counting.density import DENSITY_UNIT
from fcnlab.core.counting.objects import class_map_of
from fcnlab.core.networks.base import PointNetwork
from fcnlab.core.training.network_model import (
    NetworkModel,
    picture_scores,
    score_tiles,
    seen_hw,
    seen_picture,
)
from fcnlab.domain.counting import Calibration, ImageCount, Objective
from fcnlab.errors import CheckpointError, Diverged

AROUND_SPACINGS = 3.0
"""So many spacings around a tile objects are looked for, so that those on its border are found whole."""


def counting_scores(
    network: PointNetwork, seen: NDArray[np.uint8], objective: Objective, *, device: str
) -> NDArray[np.float32]:
    """Scores (K, h, w) float32, as `count_scores` takes them, of a picture (h, w, 3) uint8 at the size looked at.

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

    def looked_at() -> Iterator[TileScores]:
        for tile in _tiles(model, seen, reach, device):
            own = tile.inner.moved(-tile.outer.top, -tile.outer.left)
            density[(slice(None), *tile.inner.slices)] = tile.scores[(slice(1, None), *own.slices)]
            yield tile

    count = count_tiles(looked_at(), map_hw, model.training.objective, calibration, model.class_ids, full_hw)
    method = cv2.INTER_AREA if map_hw[0] > full_hw[0] else cv2.INTER_LINEAR
    maps = []
    for class_id, own in zip(model.class_ids[1:], density, strict=True):
        full = cv2.resize(own, full_hw[::-1], interpolation=method) if map_hw != full_hw else own
        total, wanted = float(full.sum(dtype=np.float64)), float(own.sum(dtype=np.float64))
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
    found = objects_in(scores, model.training.objective, calibration, model.class_ids, map_hw, full_hw)
    return class_map_of(found, model.class_ids)


def calibration_of(model: NetworkModel) -> Calibration:
    """How objects are told from the scores of a model.

    Raises:
        CheckpointError: the model does not count.
    """
    if model.calibration is None or not model.training.objective.counts:
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
