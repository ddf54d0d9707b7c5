"""The simulated labeller, on a tiny data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from click.testing import CliRunner
from numpy.typing import NDArray
from PIL import Image

from fcnlab.cli import main
from fcnlab.core.training.scores import mask_score
from fcnlab.domain.events import Point
from fcnlab.domain.project import IGNORE
from fcnlab.errors import InvalidImage, InvalidSetting
from fcnlab.evaluation.images import (
    Example,
    ForestLearner,
    instant_learners,
    label_across,
    label_image,
    label_images,
    read_example,
    read_names,
    summary_of_clicks,
)

HEIGHT, WIDTH = 60, 90


def truth_of(seed: int) -> NDArray[np.uint8]:
    """A disc in an undecided ring."""
    rng = np.random.default_rng(seed)
    row, col = rng.integers(25, 35), rng.integers(30, 60)
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(rows - row, cols - col)
    return np.where(distance < 14, 1, np.where(distance < 17, IGNORE, 0)).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    names = []
    for seed in range(4):
        truth = truth_of(seed)
        noise = np.random.default_rng(seed).integers(0, 30, (HEIGHT, WIDTH, 3))
        rgb = (np.where((truth == 1)[..., None], (190, 80, 60), (50, 70, 120)) + noise).astype(np.uint8)
        names.append(f"{seed}.png")
        Image.fromarray(rgb).save(tmp_path / "images" / names[-1])
        Image.fromarray(truth).save(tmp_path / "masks" / names[-1])
    (tmp_path / "list.txt").write_text("\n".join(names) + "\n")
    return tmp_path


class Stub:
    """A learner that answers with a mask of its own."""

    def __init__(self, answer: Callable[[int], NDArray[np.uint8]]) -> None:
        self.answer, self.points = answer, list[Point]()

    def prepare(self, rgb: NDArray[np.uint8]) -> Any:  # noqa: ARG002
        return 0

    def learn(self, image: Any, points: Sequence[Point]) -> None:  # noqa: ARG002
        self.points += points

    def fit(self) -> None:
        pass

    def predict(self, image: Any) -> NDArray[np.uint8]:  # noqa: ARG002
        return self.answer(len(self.points))


def example(seed: int = 0) -> Example:
    return Example("one", np.zeros((HEIGHT, WIDTH, 3), np.uint8), truth_of(seed))


def run(stub: Stub, *, clicks: int = 5) -> Any:
    rng = np.random.default_rng(0)
    return label_image(example(), lambda _: stub, n_classes=2, clicks=clicks, style="centre", rng=rng)


def test_a_perfect_learner_has_iou_one_after_the_first_clicks() -> None:
    perfect = Stub(lambda _: np.where(truth_of(0) == 1, 1, 0).astype(np.uint8))

    found = run(perfect)

    assert found.ious == dict.fromkeys(range(2, 6), 1.0)
    assert [point.class_id for point in perfect.points] == [1, 0]
    assert summary_of_clicks([found], clicks=5)["clicks_to"] == {"80%": 2.0, "85%": 2.0, "90%": 2.0}


def test_what_nobody_knows_is_neither_scored_nor_clicked() -> None:
    truth = truth_of(0)
    stub = Stub(lambda _: np.where(truth == IGNORE, 1, np.where(truth == 1, 1, 0)).astype(np.uint8))

    assert run(stub).ious[2] == 1.0
    blind = Stub(lambda _: np.zeros_like(truth))
    run(blind)
    assert all(truth[point.row, point.col] != IGNORE for point in blind.points)


def test_a_learner_that_never_gets_there_counts_every_click() -> None:
    blind = Stub(lambda _: np.zeros((HEIGHT, WIDTH), np.uint8))

    found = run(blind, clicks=7)

    assert len(blind.points) == 7
    assert len({(point.row, point.col) for point in blind.points}) == 7
    assert summary_of_clicks([found], clicks=7)["clicks_to"]["80%"] == 7.0
    assert len(found.milliseconds) == 6


def test_more_than_two_classes_are_scored_by_their_mean() -> None:
    truth = np.repeat(np.array([[0, 1, 2, 2]], np.uint8), 3, axis=0)
    prediction = np.repeat(np.array([[0, 1, 1, 2]], np.uint8), 3, axis=0)

    assert mask_score(truth, prediction, n_classes=3) == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_both_learners_find_a_disc_of_another_colour(data: Path) -> None:
    examples = [read_example(data, name) for name in read_names(data / "list.txt")[:2]]
    instant = instant_learners(device="cpu", working_side=128, object_mode=True)

    for make in (instant, lambda _: ForestLearner()):
        runs = list(label_images(examples, make, n_classes=2, clicks=6, style="centre", seed=0))
        assert all(one.ious[6] > 0.7 for one in runs)


def test_a_photograph_is_segmented_with_ten_clicks() -> None:
    rgb = skimage.data.astronaut()[::4, ::4]
    rows, cols = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    truth = (((rows - 28) / 24) ** 2 + ((cols - 55) / 17) ** 2 < 1).astype(np.uint8)
    shown = Example("face", rgb, truth)
    make = instant_learners(device="cpu", working_side=128, object_mode=True)

    found = label_image(shown, make, n_classes=2, clicks=10, style="centre", rng=np.random.default_rng(0))

    assert found.ious[10] > 0.6


def test_the_same_seed_gives_the_same_run(data: Path) -> None:
    names = read_names(data / "list.txt")
    make = instant_learners(device="cpu", working_side=128)

    first, second = (label_across(data, names, make, n_train=2, pixels=6, seed=3) for _ in range(2))

    assert first == second
    assert not set(first.trained_on) & set(first.scored_on)
    assert first.mean_iou > 0.6


def test_too_few_pictures_and_a_missing_mask_are_explained(data: Path) -> None:
    names = read_names(data / "list.txt")
    with pytest.raises(InvalidSetting, match="4 images"):
        label_across(data, names, lambda _: ForestLearner(), n_train=4, pixels=5, seed=0)
    (data / "masks" / "0.png").unlink()
    with pytest.raises(InvalidImage, match=r"0\.png is missing"):
        read_example(data, "0.png")

    with pytest.raises(InvalidSetting, match="cannot be read"):
        read_names(data / "nolist.txt")


def test_the_command_writes_what_it_measured(data: Path, tmp_path: Path) -> None:
    common = ["simulate", "--data", str(data), "--working-side", "128", "--limit", "4"]
    clicks = CliRunner().invoke(main, [*common, "--limit", "1", "--clicks", "5", "--json", str(tmp_path / "a.json")])
    images = CliRunner().invoke(main, [*common, "--protocol", "images", "--train", "2", "--seeds", "2", "--json", "-"])

    assert (clicks.exit_code, images.exit_code) == (0, 0)
    told = json.loads((tmp_path / "a.json").read_text())
    assert set(told) == {"settings", "summary", "images"}
    assert set(told["summary"]) == {"images", "iou", "clicks_to", "milliseconds"}
    assert list(told["summary"]["iou"]) == ["2", "3", "5"]
    assert told["settings"]["style"] == "centre"
    across = json.loads(images.stdout)
    assert len(across["runs"]) == 2
    assert 0 < across["summary"]["mean_iou"] <= 1


def test_a_list_is_found_by_its_name_inside_the_data(data: Path, tmp_path: Path) -> None:
    (data / "half.txt").write_text("0.png\n")
    arguments = ["simulate", "--data", str(data), "--list", "half.txt", "--clicks", "2", "--working-side", "128"]

    result = CliRunner().invoke(main, [*arguments, "--json", str(tmp_path / "half.json")])

    assert result.exit_code == 0, result.output
    assert json.loads((tmp_path / "half.json").read_text())["summary"]["images"] == 1
