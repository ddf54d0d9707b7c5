"""One vector for a whole image: what the deeper stages of the encoder see on average, and at most."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.stages import StageInfo, Stages, cells_inside
from fcnlab.errors import InvalidTag
from fcnlab.threads import on_one_thread

POOLING_VERSION = 1
"""Rises when the same stages would be pooled to other features, so that caches can tell."""

ENCODER_GROUP = "encoder@"
LEAST_STRIDE = 16
"""Of the maps that are pooled, in pixels of the network's own input: finer ones bring nothing."""


@on_one_thread
def pooled_features(stages: Stages) -> NDArray[np.float32]:
    """Features (F,) float32 of an encoded picture: mean and maximum of each channel of the deep maps, at every scale.

    Means are those that the stages were standardised by; they say what the standardised maps no longer do. The maximum
    sees a thing wherever it is, and however small. The part of the maps that is padding does not count.

    Raises:
        InvalidTag: no stage is a deep map of an encoder.
    """
    pooled = [index for index, info in enumerate(stages.infos) if _is_pooled(info)]
    if not pooled:
        raise InvalidTag(
            f"no stage of the encoder has a stride of {LEAST_STRIDE} pixels or more: "
            "choose an encoder with features at strides up to 32"
        )
    means = [stages.means[index].float() for index in pooled]
    return torch.cat([*means, *(_largest(stages, index) for index in pooled)]).cpu().numpy()


def _is_pooled(info: StageInfo) -> bool:
    """Whether a stage is a map of the network that is coarse for the network itself, at whatever scale it runs."""
    scale, _, stride = info.group.removeprefix(ENCODER_GROUP).partition("/")
    return info.group.startswith(ENCODER_GROUP) and bool(scale) and int(stride) >= LEAST_STRIDE


def _largest(stages: Stages, index: int) -> torch.Tensor:
    """(C,) float32 largest value of each channel of a map."""
    height, width = cells_inside(stages.hw, stages.infos[index].stride)
    return stages.maps[index][:, :height, :width].float().amax(dim=(1, 2))
