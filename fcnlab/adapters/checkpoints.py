"""Saved models: arrays and a plain JSON spec in one safetensors file, written whole, loaded as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from fcnlab.adapters.files import write_whole
from fcnlab.errors import CheckpointError

FORMAT = "fcnlab-model"
VERSION = 1


def save_checkpoint(path: Path, arrays: Mapping[str, NDArray[Any]], spec: Mapping[str, Any]) -> None:
    """Write arrays and spec to `path`; an existing file stays intact until the new one is complete."""
    header = {"format": FORMAT, "version": str(VERSION), "spec": json.dumps(spec, sort_keys=True)}
    contiguous = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    write_whole(path, save(contiguous, metadata=header))


def load_checkpoint(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Arrays and spec of a file written by `save_checkpoint`.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind, or of a newer version.
    """
    with _opened(path) as (file, spec):
        return {name: file.get_tensor(name) for name in file.keys()}, spec  # noqa: SIM118


def load_spec(path: Path) -> dict[str, Any]:
    """The spec alone, which costs little; raises as `load_checkpoint`."""
    with _opened(path) as (_, spec):
        return spec


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    if not path.is_file():
        raise CheckpointError(f"there is no model file {path}: check the path")
    try:
        with safe_open(path, framework="numpy") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise CheckpointError(f"{path} is not a model that fcnlab saved")
            if int(header["version"]) > VERSION:
                raise CheckpointError(f"{path} was saved by a newer fcnlab: update fcnlab to open it")
            yield file, json.loads(header["spec"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError) as failure:  # numpy's types
        raise CheckpointError(f"the model file {path} is damaged ({failure}): save or fetch it again") from failure
