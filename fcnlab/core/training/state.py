"""A training in the middle, as arrays and plain values: what a resume file holds, and back."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fcnlab.core.training.loop import FineTuning, Tally

MERITS, MINUS_INFINITY = ("best", "start"), "-inf"


def snapshot(training: FineTuning) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, plain values) of a training between two epochs."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, module in (("network", training.network), ("average", training.average), ("best", training.best)):
        arrays |= {f"{name}.{key}": _array(one) for key, one in module.state_dict().items()}
    optimiser = training.optimiser.state_dict()
    for number, state in optimiser["state"].items():
        arrays |= {f"adam.{number}.{key}": _array(torch.as_tensor(one)) for key, one in state.items()}
    tally = asdict(training.tally)
    for name in MERITS:
        if not np.isfinite(tally[name]):
            tally[name] = MINUS_INFINITY  # JSON knows no infinity
    return arrays, {"tally": tally, "network": training.network.spec.to_dict()}


def restore(training: FineTuning, arrays: dict[str, NDArray[Any]], values: dict[str, Any]) -> None:
    """Put a training of the same network and settings where the snapshot was taken.

    Raises:
        KeyError, RuntimeError, ValueError: the snapshot is of another network.
    """
    if values["network"] != training.network.spec.to_dict():
        raise ValueError("it is of another network")
    for name, module in (("network", training.network), ("average", training.average), ("best", training.best)):
        module.load_state_dict({key: torch.from_numpy(one) for key, one in _below(arrays, name).items()})
    state = training.optimiser.state_dict()
    state["state"] = {}
    for key, one in _below(arrays, "adam").items():
        number, _, field = key.partition(".")
        state["state"].setdefault(int(number), {})[field] = torch.from_numpy(one)
    training.optimiser.load_state_dict(state)
    tally = {"kept": values["tally"]["epoch"], **values["tally"]}  # of versions that did not say which is kept
    training.tally = Tally(**tally | {name: float(tally[name]) for name in MERITS if name in tally})


def _below(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    start = f"{name}."
    return {key.removeprefix(start): one for key, one in arrays.items() if key.startswith(start)}


def _array(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().contiguous().numpy())
