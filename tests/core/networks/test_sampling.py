from __future__ import annotations

import pytest
import torch

from fcnlab.core.encoding.stages import sample_map
from fcnlab.core.networks.sampling import padded, sample_maps, upsampled


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("stride", [1, 2, 8])
def test_samples_at_pixels_are_those_of_the_enlarged_map(mode, stride):
    maps = torch.randn(2, 5, 3, 4)
    images, rows, cols = (
        one.flatten() for one in torch.meshgrid(*(torch.arange(n) for n in (2, 3 * stride, 4 * stride)), indexing="ij")
    )

    sampled = sample_maps(maps, stride, images, rows.float(), cols.float(), mode)
    dense = upsampled(maps, stride, mode)

    assert dense.shape == (2, 5, 3 * stride, 4 * stride)
    assert torch.allclose(sampled, dense[images, :, rows, cols], atol=1e-5)


def test_positions_between_pixels_lie_where_the_instant_learner_finds_them():
    maps = torch.randn(2, 5, 3, 4)
    rows, cols = torch.rand(20) * 26 - 1, torch.rand(20) * 34 - 1

    ours = sample_maps(maps, 8, torch.ones(20, dtype=torch.long), rows, cols)

    assert torch.allclose(ours, sample_map(maps[1], 8, rows, cols), atol=1e-5)


def test_samples_have_the_gradient_of_the_enlarged_map():
    maps = torch.randn(1, 3, 3, 4, requires_grad=True)
    rows, cols = torch.tensor([0.0, 9, 23]), torch.tensor([31.0, 9, 0])
    weights = torch.randn(3, 3)

    (sample_maps(maps, 8, torch.zeros(3, dtype=torch.long), rows, cols) * weights).sum().backward()
    sparse, maps.grad = maps.grad, None
    (upsampled(maps, 8, "bilinear")[0, :, rows.long(), cols.long()].T * weights).sum().backward()

    assert sparse is not None
    assert maps.grad is not None
    assert torch.allclose(sparse, maps.grad, atol=1e-6)


@pytest.mark.parametrize(("hw", "wanted"), [((45, 71), (64, 96)), ((64, 32), (64, 32)), ((1, 33), (32, 64))])
def test_padding_repeats_the_last_rows_and_columns(hw, wanted):
    rgb = torch.rand(2, 3, *hw)

    larger = padded(rgb, 32)

    assert larger.shape == (2, 3, *wanted)
    assert torch.equal(larger[:, :, : hw[0], : hw[1]], rgb)
    assert torch.equal(larger[:, :, -1, -1], rgb[:, :, -1, -1])
    assert torch.equal(larger[:, :, -1, : hw[1]], rgb[:, :, -1])
