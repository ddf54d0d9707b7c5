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

from fcnlab.domain.project import IGNORE
from fcnlab.errors import CheckpointError
from fcnlab.storage.files.whole_files import write_whole

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
            spec = json.loads(header["spec"])
            if not isinstance(spec, dict):
                raise ValueError("its description is no table of names and values")
            refuse_bad_classes(spec, path)  # before anything as large as they say is made
            yield file, spec
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as failure:
        raise CheckpointError(f"the model file {path} is damaged ({failure}): save or fetch it again") from failure


def refuse_bad_classes(spec: Mapping[str, Any], path: Path) -> None:
    """Raises CheckpointError: a model's spec names classes that no mask can hold, or the same one twice.

    Ids are pixel values of masks: whole numbers from 0 to 254.
    """
    if "classes" not in spec:
        return
    classes = spec["classes"]
    if not isinstance(classes, list) or not all(isinstance(entry, list) and len(entry) == 2 for entry in classes):
        raise CheckpointError(f"the model file {path} names no classes by id and name: fetch it again")
    ids = [class_id for class_id, _ in classes]
    if bad := [class_id for class_id in ids if not _is_class_id(class_id)]:
        raise CheckpointError(
            f"the model file {path} has a class of id {str(bad[0])[:40]}, which no mask can hold (0 to {IGNORE - 1}): "
            "fetch it again"
        )
    if len(set(ids)) != len(ids) or not all(isinstance(name, str) for _, name in classes):
        raise CheckpointError(f"the model file {path} names a class twice, or gives it no name: fetch it again")
    network = spec.get("network")
    if isinstance(network, dict) and network.get("n_classes", len(ids)) != len(ids):
        raise CheckpointError(
            f"the model file {path} scores {network['n_classes']!r} classes and names {len(ids)}: fetch it again"
        )
    scored = spec.get("head_class_ids", [])
    if not isinstance(scored, list) or len({str(class_id) for class_id in scored}) != len(scored):
        raise CheckpointError(f"the model file {path} scores a class twice: fetch it again")
    background = spec.get("background")
    for class_id in (*scored, *([] if background is None else [background])):
        if not _is_class_id(class_id) or class_id not in ids:
            raise CheckpointError(f"the model file {path} uses class {class_id!r}, which it does not name")


def _is_class_id(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < IGNORE
