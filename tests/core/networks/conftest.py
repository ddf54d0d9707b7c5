"""The bundled encoder as the networks take it, and ways to build networks that have something to say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.registry import NETWORKS, build_network
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder

Build = Callable[..., PointNetwork]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def parts() -> EncoderParts:
    trained = load_encoder(BUNDLED_ENCODER)
    return EncoderParts(trained.network, trained.strides, trained.channels, trained.mean, trained.std)


@pytest.fixture
def build(parts: EncoderParts) -> Build:
    """A network of three classes whose weights that start at zero are random too, so that every part counts."""

    def built(name: str, *, fresh: bool = False, **settings: Any) -> PointNetwork:
        if not NETWORKS[NetworkName(name)].any_size:
            settings = {"input_hw": (45, 71), **settings}
        spec = NetworkSpec(network=name, **{"n_classes": 3, **settings})  # type: ignore[arg-type]
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = build_network(spec, None if spec.encoder == SCRATCH else parts)
            for parameter in () if fresh else network.decoder_parameters():
                if not bool(parameter.any()):
                    torch.nn.init.normal_(parameter, std=0.05)
        return network.eval()

    return built


@pytest.fixture
def pictures() -> Tensor:
    """(2, 3, 45, 71) RGB in 0..1: smooth shapes under noise."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 5, 7, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(45, 71), mode="bicubic", align_corners=False)
    return (smooth + 0.05 * torch.randn(2, 3, 45, 71, generator=generator)).clamp(0, 1)


@pytest.fixture
def places() -> tuple[Tensor, Tensor, Tensor]:
    """images, rows, cols of nine pixels of `pictures`: corners, borders and some between."""
    images = torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 1])
    rows = torch.tensor([0.0, 0, 44, 44, 7, 22, 31, 44, 13])
    cols = torch.tensor([0.0, 70, 0, 70, 70, 33, 8, 41, 12])
    return images, rows, cols
