from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.tiling.tiles import SEEN_PX, seen_margin, tile_plan


@pytest.mark.parametrize("hw", [(1, 1), (64, 65), (1000, 333), (2049, 4100)])
@pytest.mark.parametrize("side", [64, 200, 1024])
def test_inner_boxes_cover_the_padded_picture_once(hw, side):
    plan = tile_plan(hw, step=64, side=side)
    counted = np.zeros(plan.padded_hw, int)

    for number, tile in enumerate(plan.tiles):
        counted[tile.inner.slices] += 1
        assert plan.at(tile.inner.top, tile.inner.right - 1) == number
        assert [number in row for row in plan.rows].count(True) == 1

    assert (counted == 1).all()
    assert all(0 <= padded - own < 64 for padded, own in zip(plan.padded_hw, hw, strict=True))


def test_all_boxes_start_at_multiples_of_the_step():
    for tile in tile_plan((3000, 1700), step=64, side=500).tiles:
        for box in (tile.inner, tile.outer):
            assert (box.top % 64, box.left % 64, box.bottom % 64, box.right % 64) == (0, 0, 0, 0)


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5, 2.0])
def test_the_encoder_looks_at_least_384_scaled_pixels_around(scale):
    assert seen_margin(scale, 64) * scale >= SEEN_PX
    assert seen_margin(scale, 64) % 64 == 0
