from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import SHAPE_WEIGHT, StageEncoder, padding_step
from fcnlab.core.encoding.stages import regridded, score_stages
from fcnlab.core.learner.samples import samples_at


@pytest.mark.parametrize("hw", [(90, 135), (65, 33), (1, 7)])
@pytest.mark.parametrize("scales", [(1.0, 0.5), (1.0, 0.5, 1.5)])
def test_dense_scores_equal_the_samples_scored(encoder: StageEncoder, rgb, hw, scales):
    stages = encoder.encode(np.ascontiguousarray(rgb[: hw[0], : hw[1]]), scales=scales, position=True)
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(3, stages.width)).astype(np.float32)
    bias = rng.normal(size=3).astype(np.float32)
    rows, cols = (one.ravel() for one in np.mgrid[: hw[0], : hw[1]])

    dense = score_stages(stages, weights, bias)
    sparse = samples_at(stages, rows.astype(float), cols.astype(float)) @ weights.T + bias

    assert dense.shape == (3, *hw)
    assert np.abs(dense.reshape(3, -1).T - sparse).max() < 1e-4 * max(1.0, np.abs(sparse).max())


def test_scores_on_a_coarse_grid_are_near_the_mean_of_its_cells(encoder: StageEncoder, rgb):
    stages = encoder.encode(rgb, scales=(1.0,), position=True)
    weights = np.random.default_rng(1).normal(size=(1, stages.width)).astype(np.float32)
    bias = np.zeros(1, np.float32)

    coarse = score_stages(stages, weights, bias, grid=4)
    fine = score_stages(stages, weights, bias)[0, :88, :132].reshape(22, 4, 33, 4).mean(axis=(1, 3))

    assert coarse.shape == (1, 23, 34)
    assert np.corrcoef(coarse[0, :22, :33].ravel(), fine.ravel())[0, 1] > 0.97


def test_stages_say_where_their_positions_lie(encoder: StageEncoder, rgb):
    stages = encoder.encode(rgb, scales=(1.0,), position=True)
    rows = samples_at(stages, np.array([10.0, 60.0]), np.array([70.0, 70.0]))
    cols = samples_at(stages, np.array([40.0, 40.0]), np.array([20.0, 110.0]))
    position = slice(stages.width - 5, stages.width - 3)

    moved_down = rows[1, position] - rows[0, position]
    moved_right = cols[1, position] - cols[0, position]

    assert moved_down[0] > 0.05
    assert abs(moved_down[1]) < 1e-5
    assert moved_right[1] > 0.05
    assert abs(moved_right[0]) < 1e-5


def test_every_group_is_standardised_over_the_picture(encoder: StageEncoder):
    picture = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    stages = encoder.encode(picture, scales=(1.0,), position=False)

    for info, one, mean, scale in zip(stages.infos, stages.maps, stages.means, stages.scales, strict=True):
        loudness = SHAPE_WEIGHT if info.group.startswith("shape") else 1
        standard = ((one.float() - mean[:, None, None]) * scale[:, None, None]).flatten(1)
        alive = scale > 0
        assert torch.allclose(standard.mean(dim=1), torch.zeros(len(standard)), atol=1e-4)
        assert torch.allclose(
            standard[alive].var(dim=1, correction=0) * len(one), loudness**2 * torch.ones(int(alive.sum())), rtol=0.02
        )


def test_all_grids_line_up_after_padding():
    assert padding_step((1.0, 0.5)) == 64
    assert padding_step((1.0, 1.5)) % 32 == 0
    assert all((padding_step((1.0, 0.5, 1.5)) * scale) % 32 == 0 for scale in (1.0, 0.5, 1.5))


def test_regridding_keeps_constants_and_the_mean():
    ramp: NDArray[np.float32] = np.arange(24, dtype=np.float32).reshape(4, 6)

    assert np.allclose(regridded(np.ones((4, 6), np.float32), 2.0), 1)
    assert regridded(ramp, 0.5).shape == (2, 3)
    assert np.isclose(regridded(ramp, 0.5).mean(), ramp.mean())
