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


@pytest.fixture
def graded(tmp_path: Path) -> Path:
    """Two pictures of three rising greys from left to right on a blue ground, and the names of their classes."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        truth[8:48] = np.repeat([3, 1, 2, 0], WIDTH // 4)
        grey = np.take([0, 70, 140, 210], truth)
        pixels = np.stack([grey, grey, np.where(truth == 0, 200, grey)], axis=-1) + rng.integers(0, 12, (56, 88, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(truth).save(tmp_path / "masks" / f"{number}.png")
    (tmp_path / "list.txt").write_text("0.png\n1.png\n2.png\n", "utf-8")
    (tmp_path / "train.txt").write_text("0.png\n1.png\n", "utf-8")
    (tmp_path / "val.txt").write_text("2.png\n", "utf-8")
    (tmp_path / "classes.txt").write_text("ground\nlow\nmiddle\nhigh\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize("grades", ["1,2,3", "low, middle, high"])
def test_grades_are_scored_after_every_number_of_clicks(graded: Path, grades: str) -> None:
    out = graded / "out.json"

    done = CliRunner().invoke(
        main, ["simulate", "--data", str(graded), "--clicks", "5", "--grades", grades, "--json", str(out)]
    )

    assert done.exit_code == 0, done.output
    result = json.loads(out.read_text("utf-8"))
    assert set(result["summary"]["grades"]) == {"2", "3", "5"} & set(result["summary"]["iou"])
    last = result["summary"]["grades"]["5"]
    assert last["mae"] < 0.5
    assert last["kappa"] > 0.7
    assert (last["n_images"], last["low"]) == (3, None)
    assert "5 clicks, MAE" in done.stderr
    assert all("confusions" not in image for image in result["images"])


def test_grades_are_scored_in_every_round_and_for_every_seed(graded: Path) -> None:
    out = graded / "out.json"

    dataset = simulated(graded, "--learner", "fcn8s", "--minutes", "0.02", "--grades", "1,2,3", "--json", str(out))
    rounds = json.loads(out.read_text("utf-8"))["rounds"]
    fixed = ("simulate", "--data", str(graded), "--protocol", "images", "--train", "2", "--seeds", "1")
    across = CliRunner().invoke(main, [*fixed, "--grades", "1,2,3", "--json", str(out)])

    assert dataset.exit_code == 0, dataset.output
    assert across.exit_code == 0, across.output
    assert all({"mae", "kappa", "lost"} <= set(one["grades"]) for one in rounds)
    result = json.loads(out.read_text("utf-8"))
    assert result["summary"]["grades"]["mae"] == pytest.approx(result["runs"][0]["grades"]["mae"])


@pytest.mark.parametrize(
    ("grades", "words"), [("1,huge", "'huge'"), ("1,2,7", "grade 7 occurs in no mask"), ("1,1", "each once")]
)
def test_grades_that_are_not_there_are_refused(graded: Path, grades: str, words: str) -> None:
    done = CliRunner().invoke(main, ["simulate", "--data", str(graded), "--clicks", "3", "--grades", grades])

    assert done.exit_code == 1
    assert words in done.output


def test_without_grades_nothing_is_said_of_them(folder: Path) -> None:
    out = folder / "out.json"

    done = simulated(folder, "--learner", "linear", "--json", str(out))

    result = json.loads(out.read_text("utf-8"))
    assert done.exit_code == 0
    assert all("grades" not in one for one in result["rounds"])
    assert "grades" not in result["summary"]
