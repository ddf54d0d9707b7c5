"""Training: what it may change, what it must not, and that interruptions leave no trace."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fcnlab.core.learner.head import Samples, fit_head
from fcnlab.core.networks.base import EncoderParts, PointNetwork
from fcnlab.core.networks.fcn import Fcn
from fcnlab.core.networks.registry import build_network
from fcnlab.core.training.batches import LabelledPicture, collated, weighted
from fcnlab.core.training.loop import rate_factor
from fcnlab.core.training.objectives import PointObjective
from fcnlab.core.training.scores import logits_of, score_of, temperature_of
from fcnlab.core.training.trainer import NetworkTrainer, start_from_head
from fcnlab.domain.counting import KeptEpoch
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.scores import PointScore
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.storage.files.weights import load_encoder

SMALL = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
QUICK = TrainingSpec(epochs=4, batch_size=2, learning_rate=3e-3, colour=0.1, rotate=5, scale=1.1, ema=0.9)


def striped(number: int) -> LabelledPicture:
    """A picture, dark above and light below its middle, with a point of either class in each of four columns."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 80, (48, 72, 3)).astype(np.uint8)
    pixels[24:] += 150
    cols = rng.integers(4, 68, 8).astype(np.float32)
    rows = np.array([6, 12, 18, 21, 27, 33, 39, 44], np.float32)
    return LabelledPicture(
        str(number), lambda: pixels, rows, cols, np.repeat([0, 1], 4).astype(np.int64), np.ones(8, np.float32)
    )


PICTURES = [striped(number) for number in range(4)]
HELD_OUT = [striped(9)]


def new_trainer(
    spec: NetworkSpec = SMALL, training: TrainingSpec = QUICK, encoder: EncoderParts | None = None
) -> NetworkTrainer:
    ticks = itertools.count()
    return NetworkTrainer(
        spec, training, encoder=encoder, class_ids=(3, 5), device="cpu", now=lambda: float(next(ticks))
    )


def trained(one: NetworkTrainer, held_out: Sequence[LabelledPicture] = HELD_OUT) -> list[TrainingProgress]:
    return list(one.run(lambda: PICTURES, lambda: held_out))


@pytest.fixture(scope="module")
def encoder() -> EncoderParts:
    known = load_encoder("tf_efficientnet_lite0")
    return EncoderParts(known.network, known.strides, known.channels, known.mean, known.std)


def test_a_network_learns_what_the_points_say() -> None:
    one = new_trainer(training=TrainingSpec(epochs=25, batch_size=2, learning_rate=5e-3, ema=0.9))

    steps = trained(one)

    score = one.outcome(HELD_OUT).score
    assert steps[-1].loss < steps[0].loss / 2
    assert score is not None
    assert score.accuracy > 0.9
    assert set(score.per_class) == {3, 5}


def test_an_interrupted_training_ends_like_one_that_was_not() -> None:
    whole, first, second = new_trainer(), new_trainer(), new_trainer()
    trained(whole)
    for step in first.run(lambda: PICTURES, lambda: HELD_OUT):
        if step.epoch == 2:
            break
    second.restore(*first.snapshot())

    steps = trained(second)

    assert [step.epoch for step in steps] == [3, 4]
    ends = (one.outcome(HELD_OUT).network.state_dict() for one in (whole, second))
    for ours, theirs in zip(*(state.values() for state in ends), strict=True):
        assert torch.equal(ours, theirs)


def test_what_is_kept_is_never_worse_than_the_start_on_held_out_points(encoder: EncoderParts) -> None:
    wild = TrainingSpec(epochs=2, batch_size=4, learning_rate=0.5, clip=1000, ema=0, warmup=0)
    spec = NetworkSpec(NetworkName.FCN2S, 2, upsampling="bilinear")
    start = build_network(spec, encoder)
    assert isinstance(start, Fcn)
    start_from_head(start, PICTURES, device="cpu")
    logits, classes = logits_of(start, HELD_OUT, device="cpu")
    before = score_of(logits.argmax(axis=1), classes, class_ids=(3, 5))

    one = new_trainer(spec, wild, encoder)
    trained(one)

    score = one.outcome(HELD_OUT).score
    assert score is not None
    assert score.accuracy >= before.accuracy


def test_fcn2s_starts_with_the_scores_of_the_linear_head_on_its_features(encoder: EncoderParts) -> None:
    network = build_network(NetworkSpec(NetworkName.FCN2S, 2, upsampling="bilinear"), encoder)
    assert isinstance(network, Fcn)
    start_from_head(network, PICTURES, device="cpu")

    network.eval()
    features, classes = [], []
    with torch.no_grad():
        for picture in PICTURES:
            batch = collated([picture], QUICK, None, device="cpu")
            features.append(network.features_at(batch.rgb, batch.images, batch.rows, batch.cols).numpy())
            classes.append(picture.classes)
    table = np.concatenate(features)
    deviation = table.std(axis=0)
    loud = np.concatenate([np.full(channels, channels**-0.5) for _, channels in network.feature_order])
    seen = ((table - table.mean(axis=0)) / deviation * loud).astype(np.float32)
    head = fit_head(Samples(seen, np.concatenate(classes), np.ones(len(seen), np.float32)), regularisation=0.015)
    dense = []
    with torch.no_grad():
        for picture in PICTURES:
            batch = collated([picture], QUICK, None, device="cpu")
            scores = network(batch.rgb)[0]
            dense.append(scores[:, batch.rows.long(), batch.cols.long()].T.numpy())

    np.testing.assert_allclose(np.concatenate(dense), seen @ head.weights.T + head.bias, atol=2e-3)


def test_a_frozen_encoder_stays_and_batch_norm_statistics_stay_in_any_case(encoder: EncoderParts) -> None:
    spec = NetworkSpec(NetworkName.FCN2S, 2, upsampling="bilinear")
    for freeze in (True, False):
        one = new_trainer(spec, TrainingSpec(epochs=1, batch_size=2, freeze_encoder=freeze), encoder)
        trained(one, held_out=[])

        state = one.outcome([]).network.state_dict()
        for name, tensor in encoder.module.state_dict().items():
            if freeze or "running" in name:
                assert torch.equal(state[f"encoder.{name}"], tensor), name
    assert any(not torch.equal(state[f"encoder.{name}"], one) for name, one in encoder.module.state_dict().items())


def test_staged_training_goes_coarse_to_fine_in_one_count_of_epochs(encoder: EncoderParts) -> None:
    one = new_trainer(NetworkSpec(NetworkName.FCN8S, 2), TrainingSpec(epochs=5, batch_size=4), encoder)

    steps = trained(one)

    names = [step.network for step in steps]
    assert list(dict.fromkeys(names)) == [NetworkName.FCN32S, NetworkName.FCN16S, NetworkName.FCN8S]
    assert [step.epoch for step in steps] == list(range(1, len(steps) + 1))
    assert steps[-1].epoch == steps[-1].epochs
    assert one.outcome(HELD_OUT).network.spec.network is NetworkName.FCN8S


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [rate_factor(done / 100, 0.1) for done in range(101)]

    assert max(rates) == rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(0)


def test_training_stops_when_its_time_is_up() -> None:
    one = new_trainer(training=TrainingSpec(epochs=10_000, minutes=0.5, batch_size=2))

    steps = trained(one)

    assert 1 <= len(steps) < 40
    assert steps[-1].seconds_left == 0


def test_new_points_join_the_next_epoch() -> None:
    seen: list[int] = []

    def growing() -> list[LabelledPicture]:
        seen.append(min(len(PICTURES), len(seen) + 1))
        return PICTURES[: seen[-1]]

    list(new_trainer().run(growing, lambda: []))

    assert seen == [1, 2, 3, 4]


def test_few_points_never_look_certain() -> None:
    classes = np.array([0, 1, 1])

    score = score_of(classes, classes, class_ids=(0, 1))

    assert score.accuracy == 1
    assert score.low < 0.8


def test_every_class_counts_alike() -> None:
    classes = np.array([0] * 98 + [1] * 2)

    score = score_of(np.zeros(100, np.intp), classes, class_ids=(4, 7))

    assert score.accuracy == 0.5
    assert score.per_class == {4: 1.0, 7: 0.0}


def test_the_temperature_undoes_a_factor_on_the_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3)).astype(np.float32)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = (rng.random((4000, 1)) > shares.cumsum(axis=1)).sum(axis=1)

    assert temperature_of(logits, classes) == pytest.approx(1, abs=0.1)
    assert temperature_of(logits * 5, classes) == pytest.approx(5, rel=0.1)


def test_a_few_points_that_are_all_right_make_no_network_sure_of_everything() -> None:
    classes = np.repeat([0, 1], 6)
    logits = np.where(np.arange(2) == classes[:, None], 0.25, -0.25).astype(np.float32)

    temperature = temperature_of(logits, classes)

    at_the_margin = 1 / (1 + np.exp(-0.5 / temperature))
    assert at_the_margin < 0.95


def test_a_rare_class_weighs_as_much_as_the_others_over_all_steps_and_not_in_each() -> None:
    rare = replace(PICTURES[0], classes=np.array([1] + [0] * 7))
    common = [replace(one, classes=np.zeros(8, np.int64)) for one in PICTURES[1:]]
    still = replace(QUICK, epochs=1, batch_size=1, learning_rate=1e-9, flip=False, scale=1, rotate=0, colour=0)
    pictures = [rare, *common]
    one = new_trainer(training=still)

    steps = list(one.run(lambda: pictures, lambda: []))

    batch = collated(weighted(pictures, "balanced"), still, None, device="cpu")
    logits = one.averaged().logits_at(batch.rgb, batch.images, batch.rows, batch.cols)
    losses = F.cross_entropy(logits, batch.classes, reduction="none").detach()
    wanted = (losses[batch.classes == 1].mean() + losses[batch.classes == 0].mean()) / 2
    assert steps[0].loss == pytest.approx(float(wanted), rel=1e-3)


def test_a_step_without_weight_changes_nothing_and_ends_nothing() -> None:
    weightless = [replace(one, weights=np.zeros(8, np.float32)) for one in PICTURES[:1]]
    one = new_trainer(training=replace(QUICK, batch_size=1, epochs=1))

    steps = list(one.run(lambda: [*weightless, *PICTURES[1:]], lambda: []))

    assert len(steps) == 1
    assert np.isfinite(steps[0].loss)


def test_a_better_score_on_other_points_is_not_taken_for_a_better_network() -> None:
    first = HELD_OUT[0]
    easy = [
        replace(
            first,
            image="easy",
            rows=first.rows[:1],
            cols=first.cols[:1],
            classes=first.classes[:1],
            weights=first.weights[:1],
        )
    ]
    held_out_sets = iter([easy, easy, HELD_OUT, HELD_OUT, HELD_OUT])
    one = new_trainer(training=TrainingSpec(epochs=4, batch_size=2, learning_rate=5e-3, ema=0.5))

    steps = list(one.run(lambda: PICTURES, lambda: next(held_out_sets)))

    assert any(step.is_best for step in steps[1:])


class Scripted(PointObjective):
    """Held-out accuracies as a test wants them, by the network that is scored and in the order in which it asks."""

    def __init__(self, script: dict[NetworkName, list[float]], training: TrainingSpec = QUICK) -> None:
        super().__init__(training, (3, 5), "cpu")
        object.__setattr__(self, "script", {name: list(values) for name, values in script.items()})

    def score(self, network: PointNetwork, pictures: Sequence[LabelledPicture]) -> PointScore | None:
        values = self.script[network.spec.network]  # type: ignore[attr-defined]
        accuracy = values.pop(0) if len(values) > 1 else values[0]
        return PointScore(accuracy, 0, 1, 8) if pictures else None


def kept_of(
    one: NetworkTrainer, held_out: Sequence[LabelledPicture] = HELD_OUT
) -> tuple[KeptEpoch, list[TrainingProgress], dict[int, dict[str, torch.Tensor]]]:
    """What a training says it keeps, its epochs, and the averaged weights after each of them."""
    steps, weights = [], {}
    for step in one.run(lambda: PICTURES, lambda: held_out):
        steps.append(step)
        weights[step.epoch] = {name: value.clone() for name, value in one.averaged().state_dict().items()}
    score = one.outcome(held_out).score
    assert score is not None
    assert score.kept is not None
    return score.kept, steps, weights


def scripted(
    script: dict[NetworkName, list[float]],
    spec: NetworkSpec,
    training: TrainingSpec,
    encoder: EncoderParts | None = None,
) -> NetworkTrainer:
    ticks = itertools.count()
    return NetworkTrainer(
        spec,
        training,
        encoder=encoder,
        class_ids=(3, 5),
        device="cpu",
        now=lambda: float(next(ticks)),
        objective=Scripted(script, training),
    )


@pytest.mark.parametrize("network", [NetworkName.FCN16S, NetworkName.FCN8S])
def test_what_is_kept_of_a_staged_network_is_the_best_epoch_of_its_own_stage(
    encoder: EncoderParts, network: NetworkName
) -> None:
    script = {NetworkName.FCN32S: [0.9], NetworkName.FCN16S: [0.95], network: [0.95, 0.5, 0.7, 0.6, 0.55, 0.5]}
    training = TrainingSpec(epochs=10, batch_size=4, crop=0)
    one = scripted(script, NetworkSpec(network, 2), training, encoder)

    kept, steps, weights = kept_of(one)

    own = [step for step in steps if step.network is network]
    best = max(own, key=lambda step: step.score.accuracy if isinstance(step.score, PointScore) else 0)
    assert (kept.epoch, kept.network) == (best.epoch, network)
    assert kept.epochs == steps[-1].epoch
    assert kept.n_compared == len(own)
    assert [step.epoch for step in own if step.is_best][-1] == kept.epoch
    for name, value in one.outcome(HELD_OUT).network.state_dict().items():
        assert torch.equal(value, weights[kept.epoch][name]), name


def test_random_weights_are_never_kept_and_a_network_no_better_than_them_says_so() -> None:
    training = replace(QUICK, epochs=3)
    one = scripted({NetworkName.UNET: [0.8, 0.5, 0.7, 0.6]}, SMALL, training)

    kept, steps, weights = kept_of(one)

    assert (kept.epoch, kept.start, kept.is_better, kept.is_untrained) == (2, "random", False, True)
    assert [step.is_best for step in steps] == [True, True, False]
    network = one.outcome(HELD_OUT).network
    assert all(torch.equal(value, weights[2][name]) for name, value in network.state_dict().items())


def test_of_a_staged_network_the_random_weights_are_those_of_its_first_stage(encoder: EncoderParts) -> None:
    training = TrainingSpec(epochs=4, batch_size=4, crop=0)
    script = {NetworkName.FCN32S: [0.5, 0.9], NetworkName.FCN16S: [0.7]}

    kept, *_ = kept_of(scripted(script, NetworkSpec(NetworkName.FCN16S, 2), training, encoder))

    assert (kept.is_better, kept.is_untrained) == (True, False)


def test_a_fitted_head_is_kept_when_no_epoch_is_better_and_is_no_untrained_network(encoder: EncoderParts) -> None:
    spec = NetworkSpec(NetworkName.FCN2S, 2, upsampling="bilinear")
    script = {NetworkName.FCN2S: [0.8, 0.5, 0.6]}

    kept, *_ = kept_of(scripted(script, spec, TrainingSpec(epochs=2, batch_size=4, crop=0), encoder))

    assert (kept.epoch, kept.start, kept.is_untrained) == (0, "fitted", False)


def test_an_interrupted_training_says_the_same_of_what_it_keeps() -> None:
    script = {NetworkName.UNET: [0.5, 0.6, 0.9, 0.7, 0.8]}
    whole = kept_of(scripted(script, SMALL, QUICK))[0]
    first = scripted(script, SMALL, QUICK)
    for step in first.run(lambda: PICTURES, lambda: HELD_OUT):
        if step.epoch == 3:
            break
    second = scripted({NetworkName.UNET: [0.8, 0.9]}, SMALL, QUICK)  # epoch 4, then the best so far once more
    second.restore(*first.snapshot())

    assert kept_of(second)[0] == whole == KeptEpoch(2, 4, "unet", "random", True, 4)
