"""`fcnlab simulate --protocol dataset`, with every name it documents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from fcnlab.cli import main
from fcnlab.core.learner.queries import Strategy

HEIGHT, WIDTH = 56, 88


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, dark on the left and light on the right, with lists of what to learn from and to score on."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number, edge in enumerate((30, 44, 58)):
        pixels = rng.integers(0, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        pixels[:, edge:] += 170
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        truth[:, edge:] = 1
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(truth).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "train.txt").write_text("0.png\n1.png\n", "utf-8")
    (tmp_path / "val.txt").write_text("2.png\n", "utf-8")
    return tmp_path


def simulated(folder: Path, *arguments: str) -> Result:
    fixed = ("--data", str(folder), "--protocol", "dataset", "--train", "train.txt", "--test", "val.txt")
    return CliRunner().invoke(main, ["simulate", *fixed, "--pixels", "6,8", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("learner", ["instant", "linear", "forest", "fcn8s", "larger-head"])
def test_a_learner_is_called_by_its_name_on_every_other_door(folder: Path, learner: str) -> None:
    out = folder / "out.json"

    done = simulated(folder, "--learner", learner, "--minutes", "0.02", "--json", str(out))

    assert done.exit_code == 0, done.output
    rounds = json.loads(out.read_text("utf-8"))["rounds"]
    assert [one["pixels"] for one in rounds] == [6, 8]
    assert all(0 <= one["mean_iou"] <= 1 for one in rounds)


@pytest.mark.parametrize("pick", ["margin", "entropy", "least-confidence"])
def test_pixels_are_picked_by_any_uncertainty(folder: Path, pick: Strategy) -> None:
    done = simulated(folder, "--learner", "linear", "--pick", pick)

    assert done.exit_code == 0, done.output


def test_an_unknown_learner_is_refused_with_those_there_are(folder: Path) -> None:
    done = simulated(folder, "--learner", "fcn7s")

    assert done.exit_code == 2
    assert "'fcn8s'" in done.output
