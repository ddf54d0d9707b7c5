from __future__ import annotations

import io
import json
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.registry import build_network
from fcnlab.domain.network import SCRATCH, NetworkSpec
from fcnlab.errors import ExportFailed
from fcnlab.storage.exports import network_files
from fcnlab.storage.exports.network_files import NOTES_FILE, onnx_bytes, pt2_bytes, with_fixed_padding
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder

CASES: list[dict[str, Any]] = [
    {"network": "fcn8s", "upsampling": "transposed"},
    {"network": "fcn2s", "upsampling": "bilinear", "encoder": SCRATCH},
    {"network": "unet", "encoder": SCRATCH},
    {"network": "deconvnet"},
    {"network": "sliding-dense"},
    {"network": "fully-connected", "input_hw": (45, 71)},
]
GRADED: list[dict[str, Any]] = [
    {"network": "fcn8s", "upsampling": "bilinear", "n_classes": 5, "order": "cumulative", "grades": (4, 0, 2, 1)},
    {"network": "fcn32s", "n_classes": 4, "order": "cumulative", "grades": (3, 1)},
    {"network": "unet", "encoder": SCRATCH, "n_classes": 5, "order": "corn", "grades": (1, 2, 3)},
]
CASES += GRADED
SIZES = [(45, 71), (64, 96), (32, 200), (1, 7)]


def built(case: dict[str, Any]) -> PointNetwork:
    """A network with random weights, also where they start at zero, in training mode."""
    spec = NetworkSpec(**{"n_classes": 3, "width": 4, **case})
    trained = load_encoder(BUNDLED_ENCODER)
    parts = EncoderParts(trained.network, trained.strides, trained.channels, trained.mean, trained.std)
    torch.manual_seed(0)
    network = build_network(spec, parts)
    for parameter in network.decoder_parameters():
        if not bool(parameter.any()):
            torch.nn.init.normal_(parameter, std=0.05)
    return network.train()


def pictures_for(network: PointNetwork) -> list[Tensor]:
    sizes = [network.spec.input_hw] if network.spec.input_hw else SIZES
    return [torch.rand(count, 3, *hw) for count, hw in enumerate(sizes, start=1)]


def agree(found: Tensor, wanted: Tensor) -> bool:
    same_mask = (found.argmax(dim=1) == wanted.argmax(dim=1)).float().mean()
    return bool(same_mask >= 0.9999) and torch.allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["network"])
def test_an_onnx_file_gives_the_mask_of_its_network_at_any_size(case):
    network = built(case)

    data = onnx_bytes(network, network.spec, notes={"classes": "sky, tree, cow"})

    assert network.training
    session = onnxruntime.InferenceSession(data)
    assert session.get_modelmeta().custom_metadata_map["classes"] == "sky, tree, cow"
    onnx.checker.check_model(onnx.load_model_from_string(data))
    network.eval()
    for picture in pictures_for(network):
        (found,) = session.run(["logits"], {"rgb": picture.numpy()})
        with torch.no_grad():
            assert agree(torch.from_numpy(found), network(picture)), picture.shape


@pytest.mark.parametrize("case", [CASES[0], *CASES[3:]], ids=lambda case: case["network"])
def test_a_pt2_file_gives_the_mask_of_its_network_at_any_size(case):
    network = built(case)

    data = pt2_bytes(network, network.spec, notes={"classes": "sky, tree, cow"})

    notes = {NOTES_FILE: ""}
    program = torch.export.load(io.BytesIO(data), extra_files=notes).module()
    assert json.loads(notes[NOTES_FILE]) == {"classes": "sky, tree, cow"}
    network.eval()
    for picture in pictures_for(network):
        with torch.no_grad():
            assert agree(program(picture), network(picture)), picture.shape


@pytest.mark.parametrize("write", [onnx_bytes, pt2_bytes])
def test_a_sliding_window_is_refused_and_its_twin_named(write):
    network = built({"network": "sliding"})

    with pytest.raises(ExportFailed, match="export sliding-dense"):
        write(network, network.spec)


def test_padding_that_is_fixed_gives_the_features_of_padding_by_size():
    encoder = load_encoder(BUNDLED_ENCODER).network
    fixed = with_fixed_padding(load_encoder(BUNDLED_ENCODER).network)
    picture = torch.rand(1, 3, 64, 96)

    with torch.no_grad():
        assert all(torch.equal(one, other) for one, other in zip(fixed(picture), encoder(picture), strict=True))


def test_a_file_that_does_not_give_the_scores_of_its_network_is_never_handed_out(monkeypatch):
    network = built({"network": "sliding-dense"})
    exported = network_files.exported_program

    def of_another(network: PointNetwork, spec: NetworkSpec) -> Any:
        with torch.no_grad():
            network.score.weight.add_(1)
        program = exported(network, spec)
        with torch.no_grad():
            network.score.weight.sub_(1)
        return program

    monkeypatch.setattr(network_files, "exported_program", of_another)

    with pytest.raises(ExportFailed, match="of pixels only"):
        pt2_bytes(network, network.spec)


class Fickle(torch.nn.Module):
    """An encoder whose path depends on what it sees, which no graph holds."""

    def forward(self, rgb: Tensor) -> list[Tensor]:
        maps = [torch.nn.functional.avg_pool2d(rgb, stride) for stride in (2, 4, 8, 16, 32)]
        return maps if float(rgb.mean()) > 0 else [-one for one in maps]


def test_an_encoder_that_cannot_be_traced_is_explained():
    parts = EncoderParts(Fickle(), (2, 4, 8, 16, 32), (3,) * 5, (0.5,) * 3, (0.5,) * 3)
    spec = NetworkSpec(network="fcn8s", n_classes=2, encoder="fickle")  # type: ignore[arg-type]

    with pytest.raises(ExportFailed, match="'fickle' cannot be exported"):
        pt2_bytes(build_network(spec, parts), spec)
