"""A frozen encoder in onnxruntime says what torch says, on any number of threads; what it cannot run stays in torch."""

from __future__ import annotations

import copy

import torch
from torch import nn

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.onnx_network import in_onnxruntime
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder


class ByANumber(nn.Module):
    """Divides by a number that tracing takes for a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [self.conv(x) / float(x.abs().max())]


class ByItsOwnSize(nn.Module):
    """Works out a size in Python, which tracing takes for a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = self.conv(x)
        return [maps * (int(maps.shape[2]) / 100)]


class WithoutCounterpart(nn.Module):
    """Has a step that ONNX has not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [torch.special.i0(self.conv(x))]


def test_the_maps_are_those_of_torch() -> None:
    network = load_encoder(BUNDLED_ENCODER).network
    before = copy.deepcopy(network.state_dict())

    runner = in_onnxruntime(network)

    assert runner is not None
    for height, width in ((64, 96), (160, 32)):
        picture = torch.rand(1, 3, height, width) * 2 - 1
        with torch.no_grad():
            wanted = network(picture)
        for ours, theirs in zip(runner(picture), wanted, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_the_number_of_threads_changes_no_bit() -> None:
    runner = in_onnxruntime(load_encoder(BUNDLED_ENCODER).network)
    assert runner is not None
    picture = torch.rand(1, 3, 192, 160) * 2 - 1
    n_threads = torch.get_num_threads()
    maps = []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            maps.append(runner(picture))
    finally:
        torch.set_num_threads(n_threads)

    for others in maps[1:]:
        assert all(torch.equal(*pair) for pair in zip(maps[0], others, strict=True))


def test_who_asks_in_the_middle_of_a_run_is_answered_first_and_both_get_what_they_asked_for() -> None:
    network = load_encoder(BUNDLED_ENCODER).network
    long, short = torch.rand(1, 3, 768, 1024) * 2 - 1, torch.rand(1, 3, 64, 96) * 2 - 1
    answers: list[tuple[str, list[torch.Tensor]]] = []

    def meanwhile() -> None:
        if not answers:
            answers.append(("asked", []))
            answers.append(("short", runner(short)))

    runner = in_onnxruntime(network, between=meanwhile)
    quiet = in_onnxruntime(network)
    assert runner is not None
    assert quiet is not None

    answers.append(("long", runner(long)))

    assert [name for name, _ in answers] == ["asked", "short", "long"]
    for (_, maps), picture in zip(answers[1:], (short, long), strict=True):
        assert all(torch.equal(*pair) for pair in zip(maps, quiet(picture), strict=True))


def test_what_onnx_cannot_say_runs_in_torch() -> None:
    for network in (WithoutCounterpart().eval(), ByANumber().eval(), ByItsOwnSize().eval()):
        encoder = StageEncoder(network, strides=(2,), mean=(0.5,) * 3, std=(0.5,) * 3)

        picture = torch.rand(96, 64, 3).mul(255).to(torch.uint8).numpy()
        deep, *_ = encoder.encode(picture, scales=(1.0,), position=False).maps
        with torch.no_grad():
            wanted = network((torch.from_numpy(picture).permute(2, 0, 1)[None] / 255 - 0.5) / 0.5)[0][0]

        assert torch.allclose(deep.float(), wanted, rtol=2e-3, atol=2e-3)
