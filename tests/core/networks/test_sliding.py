from __future__ import annotations

import pytest
import torch

from fcnlab.core.networks.sliding import PATCH, PATCHES_AT_ONCE


@pytest.mark.parametrize("hw", [(45, 71), (1, 7), (34, 20)])
def test_one_pass_per_pixel_and_one_pass_over_the_picture_agree(build, hw):
    slow, fast = build("sliding", width=8), build("sliding-dense", width=8)
    rgb = torch.rand(2, 3, *hw)

    fast.load_state_dict(slow.state_dict())

    with torch.no_grad():
        slowly, quickly = slow(rgb), fast(rgb)
    assert slowly.std() > 0.01
    assert torch.allclose(slowly, quickly, atol=1e-4)


def test_points_and_whole_pictures_agree_when_there_are_many(build):
    network = build("sliding-dense", width=8)
    rgb = torch.rand(1, 3, 24, 31)
    rows, cols = (one.flatten() for one in torch.meshgrid(torch.arange(24), torch.arange(31), indexing="ij"))

    with torch.no_grad():
        sampled = network.logits_at(rgb, torch.zeros_like(rows), rows.float(), cols.float())
        dense = network(rgb)

    assert len(rows) > PATCHES_AT_ONCE
    assert torch.allclose(sampled.T.view(3, 24, 31), dense[0], atol=1e-4)


def test_a_pixel_sees_its_patch_and_nothing_else(build):
    network = build("sliding-dense", width=8)
    rgb = torch.rand(1, 3, 61, 70, requires_grad=True)

    network(rgb)[0, :, 30, 40].sum().backward()

    seen = rgb.grad.abs().sum(dim=(0, 1)) > 0
    reach = PATCH // 2
    assert bool(seen[30 - reach : 31 + reach, 40 - reach : 41 + reach].float().mean() > 0.3)
    seen[30 - reach : 31 + reach, 40 - reach : 41 + reach] = False
    assert not bool(seen.any())


@pytest.mark.parametrize("name", ["sliding", "sliding-dense"])
def test_moving_the_picture_by_a_pixel_moves_the_scores(build, name):
    network = build(name, width=8)
    rgb = torch.rand(1, 3, 45, 50)

    with torch.no_grad():
        here, there = network(rgb), network(torch.roll(rgb, (1, 2), dims=(2, 3)))

    inside = torch.roll(here, (1, 2), dims=(2, 3))[:, :, 18:-17, 19:-17]
    assert torch.allclose(there[:, :, 18:-17, 19:-17], inside, atol=1e-4)
