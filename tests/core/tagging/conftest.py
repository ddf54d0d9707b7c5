"""Images as features, and answers about them, with a known rule behind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

CLASS_IDS = (3, 7, 11)


@dataclass(frozen=True, eq=False)
class TaggedImages:
    """Features (N, F) and true answers (N, 3) of images: each tag is the sign of a direction, plus noise."""

    features: NDArray[np.float32]
    answers: NDArray[np.int8]


@pytest.fixture(scope="session")
def images() -> TaggedImages:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(400, 30)).astype(np.float32) * 5 + 2
    scores = (features - 2) @ rng.normal(size=(30, 3)) / 25 + rng.logistic(size=(400, 3)) * 0.2
    return TaggedImages(features, (scores > [0, 0.5, -0.5]).astype(np.int8))
