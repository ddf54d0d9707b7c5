"""Model files of strangers: what their description says of classes is checked before anything is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from fcnlab.cli import main
from fcnlab.errors import CheckpointError
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint

SOUND: dict[str, Any] = {
    "kind": "instant",
    "classes": [[0, "ground"], [200, "bar"]],
    "head_class_ids": [0, 200],
    "background": 0,
}
BAD_CLASSES = [
    [[0, "a"], [1_000_000_000, "b"]],
    [[0, "a"], [255, "b"]],
    [[0, "a"], [-1, "b"]],
    [[0, "a"], [0, "b"]],
    [[0, "a"], [1.0, "b"]],
    [[0, "a"], [True, "b"]],
    [[0, "a"], ["1", "b"]],
    [[0, "a"], [None, "b"]],
    [[0, "a"], [[1], "b"]],
    [[0, "a"], [10**400, "b"]],
    [[0, "a"], [1, 7]],
    [[0, "a"], [1]],
    {"0": "a"},
    "ab",
    None,
]


def saved(folder: Path, **changed: object) -> Path:
    path = folder / "model.safetensors"
    save_checkpoint(path, {"head.weights": np.zeros((2, 4), np.float32)}, SOUND | changed)
    return path


def test_ids_far_apart_that_masks_can_hold_are_read(tmp_path: Path) -> None:
    assert load_checkpoint(saved(tmp_path))[1] == SOUND


@pytest.mark.parametrize("kind", ["instant", "network"])
@pytest.mark.parametrize("classes", BAD_CLASSES, ids=lambda classes: str(classes)[:40])
def test_classes_that_no_mask_can_hold_are_refused(tmp_path: Path, classes: object, kind: str) -> None:
    path = saved(tmp_path, classes=classes, kind=kind, head_class_ids=[], background=None)

    with pytest.raises(CheckpointError, match="class") as refused:
        load_checkpoint(path)
    with pytest.raises(CheckpointError):
        PointSegmenter.load(path)

    assert len(str(refused.value)) < 400 + len(str(path))


@pytest.mark.parametrize(
    "changed",
    [
        {"head_class_ids": [0, 1]},
        {"head_class_ids": [0, 0]},
        {"head_class_ids": [0, 1_000_000_000]},
        {"head_class_ids": [0, -1]},
        {"head_class_ids": [0, [1]]},
        {"head_class_ids": 3},
        {"background": 7},
        {"background": [0]},
        {"background": "a"},
        {"kind": "network", "network": {"n_classes": 1_000_000_000}},
    ],
    ids=str,
)
def test_a_class_that_is_used_and_not_named_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    path = saved(tmp_path, **changed)

    with pytest.raises(CheckpointError):
        load_checkpoint(path)
    with pytest.raises(CheckpointError):
        PointSegmenter.load(path)


@pytest.mark.parametrize("command", [["models", "import"], ["predict", "--model"]], ids=" ".join)
def test_every_door_refuses_such_a_file_in_one_line(tmp_path: Path, command: list[str]) -> None:
    path = saved(tmp_path, classes=BAD_CLASSES[0])
    data = ["--data-dir", str(tmp_path / "data")]
    CliRunner().invoke(main, [*data, "projects", "create", "bars"])
    rest = ["-p", "bars"] if command[0] == "models" else [str(tmp_path), "--output", str(tmp_path / "out")]

    done = CliRunner().invoke(main, [*data, *command, str(path), *rest])

    assert done.exit_code == 1, done.output
    assert "no mask can hold" in done.output
