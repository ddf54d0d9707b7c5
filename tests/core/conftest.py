"""Pictures and the bundled encoder, shared by the tests of the learner. No array is square."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder


@pytest.fixture(scope="session")
def encoder() -> StageEncoder:
    trained = load_encoder(BUNDLED_ENCODER)
    return StageEncoder.of(trained)


@pytest.fixture(scope="session")
def rgb() -> NDArray[np.uint8]:
    """(90, 135, 3): an orange disc and a blue bar on noisy green."""
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:90, :135]
    picture = np.full((90, 135, 3), (60, 140, 70), np.float64)
    picture[np.hypot(rows - 40, cols - 45) < 24] = (230, 120, 30)
    picture[12:80, 95:120] = (40, 60, 190)
    return np.clip(picture + rng.normal(0, 6, picture.shape), 0, 255).astype(np.uint8)
