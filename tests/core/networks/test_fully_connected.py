from __future__ import annotations

import pytest
import torch

from fcnlab.errors import InvalidSetting, NetworkSizeMismatch


@pytest.mark.parametrize("hw", [(45, 71), (64, 96), (33, 150)])
def test_it_takes_the_size_it_was_built_for(build, hw):
    network = build("fully-connected", width=4, input_hw=hw)

    assert network(torch.rand(2, 3, *hw)).shape == (2, 3, *hw)


def test_it_refuses_other_sizes_and_says_what_to_do(build):
    network = build("fully-connected", width=4, input_hw=(45, 71))

    with pytest.raises(NetworkSizeMismatch, match=r"45 x 71 pixels, got 71 x 45: scale or crop"):
        network(torch.rand(1, 3, 71, 45))
    with pytest.raises(InvalidSetting, match="set input_hw"):
        build("fully-connected", input_hw=None)


def test_every_score_depends_on_every_place_of_the_picture(build):
    network = build("fully-connected", width=8)
    rgb = torch.rand(1, 3, 45, 71, requires_grad=True)

    network(rgb)[0, :, 0, 0].sum().backward()

    assert rgb.grad.abs().sum(dim=1)[0, -8:, -8:].sum() > 0
