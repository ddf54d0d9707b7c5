"""What a network makes of a picture is the same whether its working picture is large or not."""

from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.tiling import large
from fcnlab.core.training.network_output import output_from_probabilities
from fcnlab.domain.project import LearnerSpec


@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("map_hw", [(45, 67), (90, 135), (23, 34)])
def test_a_look_in_rows_is_that_of_one_piece(rgb, refine, n_classes, map_hw, monkeypatch):
    known = np.random.default_rng(5).dirichlet(np.ones(n_classes), map_hw).transpose(2, 0, 1).astype(np.float32)
    ids, spec = tuple(range(n_classes)), LearnerSpec(refine=refine)
    whole = output_from_probabilities(rgb, known, ids, spec, used=ids)

    monkeypatch.setattr(large, "LARGE_PIXELS", 100)
    rows = output_from_probabilities(rgb, known, ids, spec, used=ids)

    assert rows.class_ids == whole.class_ids
    assert rows.probabilities.shape == whole.probabilities.shape == (n_classes, 90, 135)
    assert np.abs(rows.probabilities.astype(np.float32) - whole.probabilities).max() < 2e-3
    places = np.array([3, 80]), np.array([100, 7])
    assert np.allclose(rows.lab[places], whole.lab[places], atol=1e-3)
