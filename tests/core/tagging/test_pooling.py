from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages
from fcnlab.core.tagging.pooling import pooled_features
from fcnlab.errors import InvalidTag


def stages_of(encoder: StageEncoder, rgb: NDArray[np.uint8]) -> Stages:
    return encoder.encode(rgb, scales=(1.0, 0.5), position=True)


def test_features_are_a_finite_vector_and_the_same_each_time(encoder: StageEncoder, rgb: NDArray[np.uint8]) -> None:
    features = pooled_features(stages_of(encoder, rgb))

    assert features.shape == (2 * 2 * (112 + 320),)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    assert np.array_equal(features, pooled_features(stages_of(encoder, rgb)))


def test_padding_does_not_count(encoder: StageEncoder, rgb: NDArray[np.uint8]) -> None:
    stages = stages_of(encoder, rgb)
    loud = []
    for info, feature_map in zip(stages.infos, stages.maps, strict=True):
        changed = feature_map.clone()
        changed[:, -int(-stages.hw[0] // info.stride) :] = 1000
        loud.append(changed)

    assert np.array_equal(pooled_features(replace(stages, maps=tuple(loud))), pooled_features(stages))


def test_a_small_thing_anywhere_is_seen(encoder: StageEncoder, rgb: NDArray[np.uint8]) -> None:
    stages = stages_of(encoder, rgb)
    index = next(index for index, info in enumerate(stages.infos) if info.group == "encoder@1/16")
    maps = list(stages.maps)
    maps[index] = maps[index].clone()
    maps[index][7, 3, 4] = 300

    changed = pooled_features(replace(stages, maps=tuple(maps))) - pooled_features(stages)

    assert np.count_nonzero(changed) == 1


def test_stages_without_a_deep_map_are_explained(encoder: StageEncoder, rgb: NDArray[np.uint8]) -> None:
    stages = stages_of(encoder, rgb)
    shallow = [index for index, info in enumerate(stages.infos) if not info.group.startswith("encoder")]
    parts = [tuple(getattr(stages, name)[index] for index in shallow) for name in ("infos", "maps", "means", "scales")]

    with pytest.raises(InvalidTag, match="encoder"):
        pooled_features(Stages(*parts, stages.hw))
    assert torch.is_grad_enabled()
