"""The larger head: what it is fitted to, when it speaks, and that it comes back from a file as it was."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from fcnlab.core.learner.samples import samples_at
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.larger_head import LargerHead
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.head_trainer import HeadTrainer, build_trainer
from fcnlab.core.training.network_model import (
    NetworkModel,
    network_from_arrays,
    network_probabilities,
    network_to_arrays,
)
from fcnlab.core.training.trainer import TrainingOutcome
from fcnlab.domain.network import NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import InvalidSetting, NoPoints
from fcnlab.storage.files.weights import load_encoder, untrained_encoder

SPEC = NetworkSpec(NetworkName.LARGER_HEAD, 3)
AS_USUAL = TrainingSpec()


def parts_of(known: object) -> EncoderParts:
    return EncoderParts(known.network, known.strides, known.channels, known.mean, known.std)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def encoder() -> EncoderParts:
    return parts_of(load_encoder("tf_efficientnet_lite0"))


def striped(number: int, per_class: int = 4) -> LabelledPicture:
    """A noisy picture, dark above and light below its middle; places 0 and 2 are labelled, 1 never."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 80, (48, 72, 3)).astype(np.uint8)
    pixels[24:] += 150
    rows = np.concatenate([rng.integers(1, 22, per_class), rng.integers(26, 47, per_class)]).astype(np.float32)
    cols = rng.integers(1, 71, 2 * per_class).astype(np.float32)
    classes = np.repeat([0, 2], per_class).astype(np.int64)
    return LabelledPicture(str(number), lambda: pixels, rows, cols, classes, np.ones(len(rows), np.float32))


def new_trainer(encoder: EncoderParts | None, training: TrainingSpec = AS_USUAL) -> HeadTrainer:
    ticks = itertools.count()
    made = build_trainer(
        SPEC, training, encoder=encoder, class_ids=(3, 5, 7), device="cpu", now=lambda: float(next(ticks))
    )
    assert isinstance(made, HeadTrainer)
    return made


def ran(
    one: HeadTrainer, learned: Sequence[LabelledPicture], held: Sequence[LabelledPicture]
) -> list[TrainingProgress]:
    return list(one.run(lambda: learned, lambda: held))


@pytest.fixture(scope="module")
def fitted(encoder: EncoderParts) -> tuple[list[TrainingProgress], TrainingOutcome]:
    """Fitted to three pictures, scored on a fourth."""
    one = new_trainer(encoder)
    steps = ran(one, [striped(number) for number in range(3)], [striped(9)])
    return steps, one.outcome([])


def test_it_learns_what_the_points_say_and_never_says_a_class_without_points(
    fitted: tuple[list[TrainingProgress], TrainingOutcome],
) -> None:
    steps, outcome = fitted

    assert [step.epoch for step in steps] == [1, 2, 3, 4]
    assert outcome.score is not None
    assert outcome.score.accuracy > 0.9
    assert set(outcome.score.per_class) == {3, 7}
    with torch.no_grad():
        picture = torch.from_numpy(striped(5).read()).permute(2, 0, 1)[None].float() / 255
        assert 1 not in outcome.network(picture).argmax(dim=1)


def test_the_head_that_does_better_on_held_out_points_speaks(
    fitted: tuple[list[TrainingProgress], TrainingOutcome],
) -> None:
    steps, outcome = fitted

    linear, larger = (step.score.accuracy for step in steps[-2:] if step.score is not None)
    assert isinstance(outcome.network, LargerHead)
    assert bool(outcome.network.is_larger) is (larger >= linear)
    assert steps[-1].is_best is (larger >= linear)


def test_without_held_out_points_a_few_points_get_a_linear_head(encoder: EncoderParts) -> None:
    one = new_trainer(encoder)

    ran(one, [striped(1), striped(2)], [])

    outcome = one.outcome([])
    assert isinstance(outcome.network, LargerHead)
    assert not bool(outcome.network.is_larger)
    assert outcome.score is None


@pytest.mark.parametrize("is_larger", [0, 1])
def test_logits_of_samples_are_those_of_the_picture_where_it_is_smooth(
    fitted: tuple[list[TrainingProgress], TrainingOutcome], is_larger: int
) -> None:
    picture, network = striped(1), copy.deepcopy(fitted[1].network)
    assert isinstance(network, LargerHead)
    network.is_larger.fill_(is_larger)
    rows, cols = picture.rows.astype(np.float64), picture.cols.astype(np.float64)

    sampled = network.logits_of(samples_at(network.encode(picture.read()), rows, cols))

    with torch.no_grad():
        rgb = torch.from_numpy(picture.read()).permute(2, 0, 1)[None].float() / 255
        dense = network(rgb)[0].numpy()
    wanted = dense[:, picture.rows.astype(int), picture.cols.astype(int)].argmax(axis=0)
    assert (sampled.argmax(axis=1) == wanted).all()


def test_it_comes_back_from_arrays_as_it_was(fitted: tuple[list[TrainingProgress], TrainingOutcome]) -> None:
    outcome = fitted[1]
    classes = ((3, "a"), (5, "b"), (7, "c"))
    model = NetworkModel(outcome.network, classes, TrainingSpec(), outcome.temperature, outcome.score)
    picture = striped(8).read()
    before = network_probabilities(model, picture, device="cpu")

    back = network_from_arrays(*network_to_arrays(model), encoder=lambda name: parts_of(untrained_encoder(name)))

    np.testing.assert_allclose(network_probabilities(back, picture, device="cpu"), before, atol=1e-5)


def test_one_class_cannot_be_learned(encoder: EncoderParts) -> None:
    one, picture = new_trainer(encoder), striped(1)
    first = slice(4)
    only = LabelledPicture(
        "1", picture.read, picture.rows[first], picture.cols[first], picture.classes[first], picture.weights[first]
    )

    with pytest.raises(NoPoints, match="second class"):
        ran(one, [only], [])


def test_it_wants_an_encoder_and_no_parent(encoder: EncoderParts) -> None:
    with pytest.raises(InvalidSetting, match="name an encoder"):
        new_trainer(None)
    with pytest.raises(InvalidSetting, match="leave the parent out"):
        new_trainer(encoder, TrainingSpec(parent="model.safetensors"))
