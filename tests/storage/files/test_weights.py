from __future__ import annotations

from pathlib import Path

import pytest
import skimage.data
import torch
from torch.nn import functional as F

from fcnlab.errors import UnknownEncoder, WeightsUnavailable
from fcnlab.storage.files.weights import (
    BUNDLED_ENCODER,
    bundled_classifier,
    bundled_weights,
    load_encoder,
    read_state,
    renamed_in_order,
)


@pytest.mark.parametrize(("name", "wanted"), [("chelsea", range(281, 286)), ("coffee", (967, 968))])
def test_the_bundled_weights_know_a_cat_and_a_cup_of_coffee(name, wanted):
    picture = torch.from_numpy(getattr(skimage.data, name)().copy()).permute(2, 0, 1)[None].float() / 255
    side = min(picture.shape[2:])
    top, left = (picture.shape[2] - side) // 2, (picture.shape[3] - side) // 2
    square = F.interpolate(
        picture[:, :, top : top + side, left : left + side], size=(224, 224), mode="bilinear", antialias=True
    )

    with torch.no_grad():
        found = int(bundled_classifier()((square - 0.5) / 0.5).argmax())

    assert found in wanted


def test_the_bundled_encoder_has_five_strides():
    trained = load_encoder(BUNDLED_ENCODER)

    assert trained.strides == (2, 4, 8, 16, 32)
    assert len(trained.channels) == 5


def test_an_unknown_encoder_is_refused_with_names_near_it():
    with pytest.raises(UnknownEncoder, match="efficientnet"):
        load_encoder("efficientnet_banana")


def test_a_missing_weight_file_is_named(tmp_path: Path):
    with pytest.raises(WeightsUnavailable, match=r"nowhere\.pth"):
        load_encoder("resnet18", str(tmp_path / "nowhere.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_weight_file_is_explained(tmp_path: Path, suffix: str):
    path = tmp_path / f"half{suffix}"
    path.write_bytes(bundled_weights().read_bytes()[:5000])

    with pytest.raises(WeightsUnavailable, match="cannot be read"):
        read_state(path)


def test_weights_of_another_network_are_refused():
    wanted = {"one": torch.zeros(2, 3), "two": torch.zeros(4)}

    with pytest.raises(WeightsUnavailable, match="holds 1 tensors, the network has 2"):
        renamed_in_order({"a": torch.zeros(2, 3)}, {**wanted})
    with pytest.raises(WeightsUnavailable, match=r"shape \(5,\)"):
        renamed_in_order({"a": torch.zeros(2, 3), "b": torch.zeros(5)}, wanted)
