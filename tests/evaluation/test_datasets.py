"""The simulated labeller on a whole data set, and the larger head it trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.learner.ensemble import GRID, ensemble_at, ensemble_probabilities, fit_ensemble
from fcnlab.core.learner.head import Samples
from fcnlab.core.learner.samples import samples_at
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.project import IGNORE
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting, NoPoints
from fcnlab.evaluation.datasets import DatasetRun, Labels
from fcnlab.evaluation.images import read_example
from fcnlab.evaluation.learners import ForestDatasetLearner, InstantDatasetLearner, NetworkDatasetLearner
from fcnlab.storage.files.weights import load_encoder

HEIGHT, WIDTH = 64, 96


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four pictures, red on the left of a line, blue on its right, a strip of unknown pixels below."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        pixels = rng.integers(0, 40, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        edge = int(rng.integers(30, 66))
        pixels[:, :edge, 0] += 180
        pixels[:, edge:, 2] += 180
        truth = np.zeros((HEIGHT, WIDTH), np.uint8)
        truth[:, edge:] = 1
        truth[-8:] = IGNORE
        Image.fromarray(pixels).save(tmp_path / "images" / f"{number}.png")
        Image.fromarray(truth).save(tmp_path / "masks" / f"{number}.png")
    return tmp_path


def run_of(folder: Path) -> DatasetRun:
    return DatasetRun(folder, ["0.png", "1.png", "2.png"], ["3.png"], 2)


def test_each_round_adds_pixels_that_are_known_and_never_asks_one_twice(folder: Path) -> None:
    run = run_of(folder)
    learner = InstantDatasetLearner(device="cpu", members=1, scales=(1.0,))

    rounds = list(run.rounds(learner, pixels=[4, 7], pick="margin", rng=np.random.default_rng(0)))

    assert [one.pixels for one in rounds] == [4, 7]
    assert rounds[-1].mean_iou > 0.9
    for name, labels in run.labels.items():
        truth = read_example(folder, name).truth
        assert len(set(zip(labels.rows.tolist(), labels.cols.tolist(), strict=True))) == 7
        assert (truth[labels.rows, labels.cols] == labels.class_ids).all()
        assert IGNORE not in labels.class_ids


@pytest.mark.parametrize("learner", ["linear", "forest", "network"])
def test_every_learner_gives_the_probability_of_every_class(folder: Path, learner: str) -> None:
    training = TrainingSpec(epochs=1, holdout=0)
    made = {
        "linear": lambda: InstantDatasetLearner(device="cpu", linear=True, scales=(1.0,)),
        "forest": ForestDatasetLearner,
        "network": lambda: NetworkDatasetLearner(
            NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4), training, device="cpu"
        ),
    }[learner]()
    example = read_example(folder, "0.png")
    made.prepare(example)
    labels = {"0.png": Labels(np.array([3, 40, 50]), np.array([2, 90, 5]), np.array([0, 2, 0]))}

    made.learn(labels, 3)
    found = made.probabilities(example)

    assert found.shape == (3, HEIGHT, WIDTH)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-4)


def test_pixels_must_rise_from_round_to_round(folder: Path) -> None:
    learner = ForestDatasetLearner()

    with pytest.raises(InvalidSetting, match="must rise"):
        next(run_of(folder).rounds(learner, pixels=[5, 5], pick="random", rng=np.random.default_rng(0)))


def test_the_larger_head_says_the_same_at_samples_and_on_its_grid(folder: Path) -> None:
    trained = load_encoder("tf_efficientnet_lite0")
    encoder = StageEncoder.of(trained)
    example = read_example(folder, "0.png")
    stages = encoder.encode(example.rgb, scales=(1.0,), position=True)
    centres = np.arange(0, HEIGHT // GRID) * GRID + (GRID - 1) / 2
    across = np.arange(0, WIDTH // GRID) * GRID + (GRID - 1) / 2
    rows, cols = (one.ravel() for one in np.meshgrid(centres, across, indexing="ij"))
    features = samples_at(stages, rows, cols)
    ids = np.where(cols < 40, 2, 5).astype(np.int64)
    samples = Samples(features, ids, np.ones(len(ids), np.float32))

    head = fit_ensemble(samples, members=2, hidden=16, steps=30)

    dense = ensemble_probabilities(stages, head).reshape(2, 2, -1).transpose(0, 2, 1)
    sparse = ensemble_at(features, head)
    assert head.class_ids == (2, 5)
    # fine stages are averaged onto the grid, samples are taken between their pixels: alike, not equal
    assert np.abs(dense - sparse).mean() < 0.02
    assert (dense.argmax(axis=2) == sparse.argmax(axis=2)).mean() > 0.97


def test_equal_seeds_give_equal_heads_and_leave_the_generator_alone() -> None:
    rng = np.random.default_rng(0)
    ids = np.repeat([0, 1], 20)
    samples = Samples(rng.normal(ids[:, None], 1, (40, 6)).astype(np.float32) / 30, ids, np.ones(40, np.float32))
    before = torch.get_rng_state()

    one, other = (fit_ensemble(samples, members=1, hidden=8, steps=20, seed=3) for _ in range(2))

    np.testing.assert_array_equal(one.members[0].inner, other.members[0].inner)
    assert torch.equal(before, torch.get_rng_state())


def test_the_larger_head_needs_two_classes() -> None:
    samples = Samples(np.zeros((2, 6), np.float32), np.zeros(2, np.int64), np.ones(2, np.float32))

    with pytest.raises(NoPoints):
        fit_ensemble(samples)
