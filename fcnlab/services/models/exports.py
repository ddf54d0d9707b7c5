"""Files of models for others: the checkpoint as it is, and networks as ONNX or .pt2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

from fcnlab.core.training.network_model import NetworkModel
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.services.export.target import new_download
from fcnlab.services.models.files import SUFFIX, open_model
from fcnlab.services.models.models import download_name, model, model_file, offer_model
from fcnlab.services.training.workers import process_environment
from fcnlab.storage.exports.network_files import onnx_bytes, pt2_bytes
from fcnlab.storage.files.whole_files import write_whole

ModelFormat = Literal["checkpoint", "onnx", "pt2"]

FORMAT_WORDS: dict[ModelFormat, str] = {
    "checkpoint": "Checkpoint, for fcnlab (.safetensors)",
    "onnx": "ONNX, for other runtimes (.onnx)",
    "pt2": "torch.export, for PyTorch (.pt2)",
}
SUFFIXES: dict[ModelFormat, str] = {"checkpoint": SUFFIX, "onnx": ".onnx", "pt2": ".pt2"}

AT_MOST_S = 900


def export_network(lab: Lab, *, model_id: int, as_format: ModelFormat, to: Path) -> Path:
    """Write a model for others; a network's file is checked to give the same scores. Takes seconds of computing.

    Raises:
        UnknownModel, CheckpointError: there is no such model, or its file cannot be used.
        ExportFailed: the instant learner is no network, the network cannot be exported, or the file not be written.
    """
    record, source = model(lab, model_id=model_id), model_file(lab, model_id=model_id)
    if as_format == "checkpoint":
        data = source.read_bytes()
    else:
        content = open_model(source, device="cpu")
        if not isinstance(content, NetworkModel):
            raise ExportFailed(
                f"{record.name!r} is a version of the instant learner, which is no network of its own: fetch its "
                "checkpoint, or train a network"
            )
        notes = {
            "name": record.name,
            "classes": json.dumps([[class_id, name] for class_id, name, _ in record.classes], ensure_ascii=False),
            "working_side": str(content.training.working_side),
            "temperature": str(content.temperature),
        }
        write = onnx_bytes if as_format == "onnx" else pt2_bytes
        data = write(content.network, content.network.spec, notes=notes)
    return _written(data, to)


def copy_checkpoint(lab: Lab, *, checkpoint: str, to: Path) -> Path:
    """Write a copy of what the instant learner saved, whole. Raises ExportFailed: it cannot be written."""
    return _written((lab.folders.checkpoints / checkpoint).read_bytes(), to)


def _written(data: bytes, to: Path) -> Path:
    try:
        write_whole(to, data)
    except OSError as failure:
        raise ExportFailed(f"{to} cannot be written ({failure.strerror}); choose another folder") from failure
    return to


def offer_export(lab: Lab, *, model_id: int, as_format: ModelFormat) -> Path:
    """A model's file for one browser to fetch, made by a process of its own so that no click waits for it.

    Raises as `export_network`.
    """
    record = model(lab, model_id=model_id)
    if as_format == "checkpoint":
        return offer_model(lab, model_id=model_id)
    path = new_download(lab, name=download_name(record, SUFFIXES[as_format]))
    command = [sys.executable, "-m", "fcnlab", "models", "export", str(model_id), "--format", as_format]
    try:
        done = subprocess.run(
            [*command, "--output", str(path)],
            env=process_environment(lab),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=AT_MOST_S,
        )
    except subprocess.TimeoutExpired as failure:
        raise ExportFailed(f"{record.name!r} was not exported within {AT_MOST_S // 60} minutes; try again") from failure
    if done.returncode:
        last = (done.stderr.strip() or "no reason was given").splitlines()[-1]
        raise ExportFailed(last.removeprefix("Error: "))
    return path
