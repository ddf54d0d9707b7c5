from __future__ import annotations

import pytest
import torch

from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.registry import build_network
from fcnlab.core.networks.unet import UpStep
from fcnlab.domain.network import SCRATCH, NetworkSpec


@pytest.mark.parametrize("encoder", [SCRATCH, "tf_efficientnet_lite0"])
def test_every_step_up_is_joined_by_the_map_of_its_stride(build, encoder):
    network = build("unet", encoder=encoder, width=8)

    joined = {stride: step.blocks[0][0].in_channels - step.rise.out_channels for stride, step in network.steps.items()}

    of_encoder = {"16": 112, "8": 40, "4": 24, "2": 16, "1": 0}
    assert joined == (of_encoder if encoder else {"8": 64, "4": 32, "2": 16, "1": 8})


def test_an_encoder_without_fine_stages_will_do(parts: EncoderParts, pictures):
    class Coarse(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = parts.module

        def forward(self, rgb):
            return self.whole(rgb)[1:]

    coarse = EncoderParts(Coarse(), parts.strides[1:], parts.channels[1:], parts.mean, parts.std)
    spec = NetworkSpec(network="unet", n_classes=3, width=8)  # type: ignore[arg-type]

    network = build_network(spec, coarse)

    assert network(pictures).shape == (2, 3, 45, 71)


def test_a_step_up_looks_at_both_that_it_joins():
    step = UpStep(6, 4, 8)
    coarse, skip = torch.randn(1, 6, 3, 5, requires_grad=True), torch.randn(1, 4, 6, 10, requires_grad=True)

    step(coarse, skip).square().sum().backward()

    assert coarse.grad is not None
    assert skip.grad is not None
    assert bool(coarse.grad.any())
    assert bool(skip.grad.any())


def test_moving_the_picture_by_the_stride_moves_the_scores(build):
    network = build("unet", encoder=SCRATCH, width=8)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.padding_mode = "circular"  # a picture without a border: then the law holds everywhere
    rgb = torch.rand(1, 3, 64, 96)

    with torch.no_grad():
        here, there = network(rgb), network(torch.roll(rgb, (16, 32), dims=(2, 3)))

    assert torch.allclose(there, torch.roll(here, (16, 32), dims=(2, 3)), atol=1e-4)
    assert not torch.allclose(there, here, atol=0.1)
