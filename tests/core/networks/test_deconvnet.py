from __future__ import annotations

import torch

from fcnlab.core.networks.deconvnet import pooled, unpooled


def test_unpooling_puts_maxima_back_and_leaves_zeros_elsewhere():
    maps = torch.rand(2, 3, 6, 10) + 0.1

    maxima, places = pooled(maps)
    restored = unpooled(maxima, places)

    is_maximum = restored != 0
    assert restored.shape == maps.shape
    assert torch.equal(restored[is_maximum], maps[is_maximum])
    windows = is_maximum.view(2, 3, 3, 2, 5, 2)
    assert bool((windows.sum(dim=(3, 5)) == 1).all())
    assert torch.equal(restored.view(2, 3, 3, 2, 5, 2).amax(dim=(3, 5)), maps.view(2, 3, 3, 2, 5, 2).amax(dim=(3, 5)))


def test_what_was_pooled_decides_where_other_activations_go():
    maps = torch.zeros(1, 1, 2, 4)
    maps[0, 0, 1, 0] = maps[0, 0, 0, 3] = 5

    _, places = pooled(maps)
    restored = unpooled(torch.tensor([[[[7.0, -8.0]]]]), places)

    assert restored[0, 0].tolist() == [[0, 0, 0, -8], [7, 0, 0, 0]]


def test_moving_the_maps_by_the_stride_moves_what_is_unpooled():
    maps = torch.rand(1, 3, 8, 12)

    here, there = (unpooled(*pooled(one)) for one in (maps, torch.roll(maps, (2, 4), dims=(2, 3))))

    assert torch.equal(there, torch.roll(here, (2, 4), dims=(2, 3)))
