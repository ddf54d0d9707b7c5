"""Learning to count: both objectives, interruptions, calibration, and what the checkpoint keeps."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from fcnlab.core.counting.counting import network_count
from fcnlab.core.counting.objective import (
    CHOOSING,
    CountingObjective,
    counting_objective,
    held_out_counts,
    magnified,
    usual_spacing,
)
from fcnlab.core.training.network_model import (
    NetworkModel,
    network_from_arrays,
    network_to_arrays,
    seen_hw,
)
from fcnlab.core.training.trainer import NetworkTrainer
from fcnlab.domain.counting import CountScore, Objective
from fcnlab.domain.network import SCRATCH, NetworkName, NetworkSpec
from fcnlab.domain.training import TrainingSpec, counting_training
from fcnlab.errors import CheckpointError, InvalidSetting
from tests.support.dots import HEIGHT, SPACING, WIDTH, dot_places, dotted, marked

SMALL = NetworkSpec(NetworkName.UNET, 2, encoder=SCRATCH, width=4)
BOTH = pytest.mark.parametrize("objective", [Objective.DENSITY, Objective.BLOBS])
LEARNED = [marked(number) for number in range(8)] + [marked(20, 0)]
HELD_OUT = [marked(number) for number in range(30, 36)]


def training(objective: Objective, **changes: object) -> TrainingSpec:
    quick = {"epochs": 4, "minutes": 0.0, "learning_rate": 5e-3, "ema": 0.9, "colour": 0.0, "magnification": 1.0}
    return replace(counting_training(objective), **{**quick, **changes})  # type: ignore[arg-type]


def new_trainer(spec: TrainingSpec) -> NetworkTrainer:
    ticks = itertools.count()
    objective = counting_objective(
        SMALL, spec, class_ids=(3, 5), spacing=SPACING, image_hw=(HEIGHT, WIDTH), device="cpu"
    )
    return NetworkTrainer(
        SMALL, spec, encoder=None, class_ids=(3, 5), device="cpu", now=lambda: float(next(ticks)), objective=objective
    )


@BOTH
def test_a_network_learns_to_count(objective: Objective) -> None:
    one = new_trainer(training(objective, epochs=20))
    steps = list(one.run(lambda: LEARNED, lambda: HELD_OUT))
    outcome = one.outcome(HELD_OUT, LEARNED)

    assert isinstance(outcome.score, CountScore)
    usual = np.mean([abs(len(one.rows) - np.mean([len(each.rows) for each in LEARNED])) for one in HELD_OUT])
    assert outcome.score.mae < 0.9 * usual
    assert outcome.score.f_score > 0.8
    assert outcome.score.n_images == len(HELD_OUT)
    assert steps[-1].loss < steps[0].loss
    assert outcome.calibration is not None
    assert set(outcome.calibration.thresholds) == {5}
    assert outcome.calibration.spread[5] > 0


@BOTH
def test_an_interrupted_training_ends_like_one_that_was_not(objective: Objective) -> None:
    whole, first, second = (new_trainer(training(objective)) for _ in range(3))
    list(whole.run(lambda: LEARNED, lambda: HELD_OUT))
    for step in first.run(lambda: LEARNED, lambda: HELD_OUT):
        if step.epoch == 2:
            break
    second.restore(*first.snapshot())

    steps = list(second.run(lambda: LEARNED, lambda: HELD_OUT))

    assert [step.epoch for step in steps] == [3, 4]
    ends = (one.outcome(HELD_OUT).network.state_dict() for one in (whole, second))
    for ours, theirs in zip(*(state.values() for state in ends), strict=True):
        assert torch.equal(ours, theirs)


def test_without_held_out_images_nothing_is_said_about_how_far_counts_are_off() -> None:
    one = new_trainer(training(Objective.DENSITY))
    steps = list(one.run(lambda: LEARNED, list))
    outcome = one.outcome([], LEARNED)

    assert all(step.score is None for step in steps)
    assert outcome.score is None
    assert outcome.calibration is not None
    assert outcome.calibration.spread == {}
    assert set(outcome.calibration.factors) == {5}


def test_few_held_out_images_do_not_choose_the_weights() -> None:
    objective = aim_of(training(Objective.DENSITY))

    assert not objective.chooses(HELD_OUT)
    assert objective.chooses([marked(number) for number in range(CHOOSING)])
    assert not objective.chooses([marked(number, is_complete=False) for number in range(CHOOSING)])


def aim_of(spec: TrainingSpec) -> CountingObjective:
    return counting_objective(SMALL, spec, class_ids=(3, 5), spacing=SPACING, image_hw=(HEIGHT, WIDTH), device="cpu")


@BOTH
def test_added_borders_change_no_loss(objective: Objective) -> None:
    objective = aim_of(training(objective, flip=False))
    wide, tall = marked(3), marked(4)
    turned = replace(
        tall, read=lambda: np.ascontiguousarray(dotted(4).transpose(1, 0, 2)), rows=tall.cols, cols=tall.rows
    )
    both = objective.batch([wide, turned], np.random.default_rng(0))
    torch.manual_seed(0)
    answer = torch.randn(2, 2, WIDTH, WIDTH)
    other = answer.clone()
    other[0, :, HEIGHT:] += 9
    other[1, :, :, HEIGHT:] -= 9

    assert float(objective.loss(answer, both)) == pytest.approx(float(objective.loss(other, both)), rel=1e-6)


def test_a_checkpoint_keeps_what_counting_needs() -> None:
    spec = training(Objective.BLOBS, epochs=4)
    one = new_trainer(spec)
    list(one.run(lambda: LEARNED, lambda: HELD_OUT))
    outcome = one.outcome(HELD_OUT)
    classes = ((3, "background"), (5, "dot"))
    model = NetworkModel(outcome.network, classes, spec, score=outcome.score, calibration=outcome.calibration)

    again = network_from_arrays(*network_to_arrays(model), encoder=lambda _: pytest.fail("no encoder is needed"))

    assert again.calibration == model.calibration
    assert again.score == model.score
    assert again.training.objective is Objective.BLOBS
    counted, expected = (network_count(one, dotted(40), device="cpu") for one in (again, model))
    assert [one.count for one in counted.counts] == [one.count for one in expected.counts]
    for ours, theirs in zip(counted.objects, expected.objects, strict=True):
        assert (ours.row, ours.col) == pytest.approx((theirs.row, theirs.col), abs=0.1)


def test_a_model_that_does_not_count_is_refused_with_words() -> None:
    network = new_trainer(training(Objective.DENSITY)).started(lambda: LEARNED)
    model = NetworkModel(network, ((0, "a"), (1, "b")), TrainingSpec())

    with pytest.raises(CheckpointError, match="to tell pixels apart"):
        network_count(model, dotted(1), device="cpu")


def test_all_images_are_seen_with_the_same_magnification() -> None:
    spec = training(Objective.DENSITY, magnification=1.5, working_side=64)

    assert seen_hw((40, 60), SMALL, spec) == (60, 90)
    assert seen_hw((1000, 1600), SMALL, spec) == (1500, 2400)


def test_the_magnification_follows_from_the_spacing_unless_it_is_given() -> None:
    chosen = magnified(training(Objective.DENSITY, magnification=0.0), 8.0, (256, 320))
    given = magnified(training(Objective.DENSITY, magnification=0.5), 9.0, (256, 320))

    assert chosen.magnification == pytest.approx(2.0)
    assert given.magnification == 0.5


def test_the_spacing_is_that_of_images_that_are_all_marked() -> None:
    near = (np.array([0.0, 5.0, 10.0]), np.zeros(3))
    far = (np.array([0.0, 50.0, 100.0]), np.zeros(3))

    assert usual_spacing([near, *[far] * 4], [True, *[False] * 4], (200, 300)) == 5
    assert usual_spacing([near, *[far] * 4], [False] * 5, (200, 300)) == 50


def test_only_images_that_are_all_marked_are_held_out() -> None:
    groups = [[number] for number in range(10)]
    classes = [np.array([1, 1]) for _ in groups]
    complete = [number % 2 == 0 for number in range(10)]

    held = held_out_counts(groups, classes, complete, share=0.4, rng=np.random.default_rng(0))

    assert len(held) == 2
    assert all(complete[number] for number in held)


def test_an_objective_without_counts_has_no_aim_here() -> None:
    with pytest.raises(InvalidSetting, match="choose blobs or density"):
        aim_of(TrainingSpec())


def test_a_network_of_a_fixed_size_keeps_it() -> None:
    spec = NetworkSpec(NetworkName.FULLY_CONNECTED, 2, encoder=SCRATCH, width=4, input_hw=(64, 96))
    objective = counting_objective(
        spec, training(Objective.DENSITY), class_ids=(0, 1), spacing=SPACING, image_hw=(HEIGHT, WIDTH), device="cpu"
    )

    assert objective.training.crop == 0
    assert not objective.turns
    assert objective.magnification == pytest.approx(64 / HEIGHT)


def test_dots_lie_where_the_points_are() -> None:
    rows, cols = dot_places(7).T

    assert (dotted(7)[rows, cols, 0] == 240).all()
