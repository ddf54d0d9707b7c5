"""Weight files of encoders, made from what is installed."""

from __future__ import annotations

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from fcnlab.storage.files.weights import bundled_classifier

SMALL = "mobilenetv3_small_050"
OTHER = "resnet18"


def bundled_file(folder: Path, *, factor: float = 1.0) -> Path:
    """The bundled encoder with its classifier in timm's naming, its last layer times a factor."""
    state = bundled_classifier().state_dict()
    state["blocks.6.0.conv_pwl.weight"] *= factor
    return _saved(state, folder / "bundled.safetensors")


def random_file(folder: Path, name: str = SMALL, *, suffix: str = ".safetensors") -> Path:
    """Random weights of a timm network, always the same ones."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = timm.create_model(name, pretrained=False).state_dict()
    return _saved(state, folder / f"{name}{suffix}")


def _saved(state: dict[str, torch.Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    else:
        torch.save(state, path)
    return path
