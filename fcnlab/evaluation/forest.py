"""The peer of every measurement: a random forest on filter features, as in scikit-image's trainable segmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOREST_TREES = 100


def forest_features(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    """Multiscale filter features (H, W, F) of a picture (H, W, 3)."""
    from skimage.feature import multiscale_basic_features

    filters: Any = multiscale_basic_features
    found: NDArray[Any] = filters(rgb, sigma_min=1, sigma_max=16, channel_axis=-1)
    return found


def grown_forest(features: NDArray[Any], class_ids: Sequence[int]) -> Any:
    """A balanced forest of FOREST_TREES trees on samples (N, F)."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(FOREST_TREES, n_jobs=-1, class_weight="balanced", random_state=0)
    return forest.fit(features, class_ids)
