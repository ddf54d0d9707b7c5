from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.learner.queries import STRATEGIES, ask_pixels, expected_gain, uncertainty
from fcnlab.errors import InvalidSetting

OF_ONE = ("margin", "entropy", "least-confidence")
OF_MANY = ("vote-entropy", "mutual-information")
HW = (60, 91)


def drawn_probabilities(n_classes: int, hw: tuple[int, int] = HW, seed: int = 0) -> NDArray[np.float32]:
    """(K, H, W) of any shape of doubt."""
    scores = np.random.default_rng(seed).normal(0, 2, (n_classes, *hw))
    shares = np.exp(scores) / np.exp(scores).sum(axis=0)
    return shares.astype(np.float32)


def ensemble(n_members: int, n_classes: int) -> NDArray[np.float32]:
    return np.stack([drawn_probabilities(n_classes, seed=member) for member in range(n_members)])


def doubtful(places: NDArray[np.bool_], n_classes: int = 3) -> NDArray[np.float32]:
    """Sure of class 0, but torn between the last two classes at some places."""
    probabilities = np.full((n_classes, *places.shape), 0.01 / (n_classes - 1), np.float32)
    probabilities[0] = 0.99
    probabilities[:, places] = 0
    probabilities[-2:, places] = 0.5
    return probabilities


def ask(probabilities: NDArray[np.float32], seed: int = 0, **options: object) -> list[tuple[int, int]]:
    rows, cols = ask_pixels(probabilities, rng=np.random.default_rng(seed), **options)  # type: ignore[arg-type]
    return list(zip(rows.tolist(), cols.tolist(), strict=True))


def are_neighbours(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return max(abs(one[0] - other[0]), abs(one[1] - other[1])) <= 1


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("strategy", OF_ONE)
def test_uncertainty_is_one_where_all_classes_are_alike_and_zero_where_one_is_sure(strategy, n_classes):
    probabilities = np.zeros((n_classes, 2, 3), np.float32)
    probabilities[:, 0] = 1 / n_classes
    probabilities[1, 1] = 1

    doubts = uncertainty(probabilities, strategy)

    assert doubts.dtype == np.float32
    assert doubts.shape == (2, 3)
    assert doubts[0] == pytest.approx(1)
    assert doubts[1] == pytest.approx(0)


@pytest.mark.parametrize("strategy", OF_ONE)
def test_with_two_classes_every_measure_ranks_pixels_alike(strategy):
    probabilities = drawn_probabilities(2)

    doubts = uncertainty(probabilities, strategy)

    in_order = doubts.ravel()[np.argsort(np.abs(probabilities[0] - 0.5), axis=None)]
    assert (np.diff(in_order) <= 1e-6).all()


def test_the_margin_looks_at_the_two_likeliest_classes_only():
    probabilities = drawn_probabilities(7)

    two = np.sort(probabilities, axis=0)[-2:]

    assert uncertainty(probabilities, "margin") == pytest.approx(1 - (two[1] - two[0]), abs=1e-6)


@pytest.mark.parametrize("strategy", OF_MANY)
def test_members_that_agree_leave_no_doubt_however_unsure_they_are(strategy):
    same = np.repeat(drawn_probabilities(4)[None], 3, axis=0)

    assert uncertainty(same, strategy) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("strategy", OF_MANY)
@pytest.mark.parametrize(("n_members", "n_classes"), [(2, 5), (4, 2), (3, 3)])
def test_sure_members_that_contradict_each_other_leave_the_most_doubt(strategy, n_members, n_classes):
    split = np.zeros((n_members, n_classes, 2, 3), np.float32)
    for member in range(n_members):
        split[member, member % n_classes] = 1

    assert uncertainty(split, strategy) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_uncertainty_lies_between_zero_and_one(strategy):
    doubts = uncertainty(ensemble(3, 4), strategy)

    assert doubts.shape == HW
    assert doubts.min() >= 0
    assert doubts.max() <= 1


@pytest.mark.parametrize("strategy", OF_ONE)
def test_one_class_leaves_no_doubt(strategy):
    assert uncertainty(np.ones((1, 2, 3), np.float32), strategy) == pytest.approx(0)


@pytest.mark.parametrize("strategy", OF_MANY)
def test_disagreement_needs_an_ensemble(strategy):
    with pytest.raises(InvalidSetting, match="ensemble"):
        uncertainty(drawn_probabilities(3), strategy)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InvalidSetting, match="margin"):
        uncertainty(drawn_probabilities(3), "guess")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("strategy", OF_ONE)
def test_asked_pixels_come_from_the_five_per_cent_most_uncertain(strategy, seed):
    probabilities = drawn_probabilities(4, seed=seed)
    doubts = uncertainty(probabilities, strategy)

    asked = ask(probabilities, seed, strategy=strategy)

    limit = np.sort(doubts, axis=None)[-int(np.ceil(0.05 * doubts.size))]
    assert len(asked) == 10
    assert all(doubts[pixel] >= limit for pixel in asked)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_asked_pixel_is_next_to_a_point_or_to_another(strategy):
    probabilities = ensemble(3, 4)
    taken = np.divmod(np.random.default_rng(1).choice(HW[0] * HW[1], 400, replace=False), HW[1])

    asked = ask(probabilities, count=60, strategy=strategy, taken=taken)

    assert len(asked) == 60
    for number, pixel in enumerate(asked):
        others = [*asked[:number], *zip(*taken, strict=True)]
        assert not any(are_neighbours(pixel, other) for other in others)


@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_only_valid_pixels_are_asked_about(strategy):
    valid = np.zeros(HW, bool)
    valid[3:30, 50:88] = True

    asked = ask(drawn_probabilities(3), count=40, strategy=strategy, valid=valid)

    assert len(asked) == 40
    assert all(valid[pixel] for pixel in asked)


def test_the_five_per_cent_are_counted_among_the_pixels_that_may_be_asked_about():
    probabilities, valid = drawn_probabilities(3), np.zeros(HW, bool)
    valid[3:30, 50:88] = True
    doubts = uncertainty(probabilities)

    asked = ask(probabilities, valid=valid)

    limit = np.sort(doubts[valid])[-int(np.ceil(0.05 * valid.sum()))]
    assert all(doubts[pixel] >= limit for pixel in asked)


def test_the_caller_s_mask_is_left_alone():
    valid = np.ones(HW, bool)

    ask(drawn_probabilities(3), valid=valid, taken=(np.array([4]), np.array([7])))

    assert valid.all()


@pytest.mark.parametrize("seed", range(5))
def test_asked_pixels_lie_far_apart_where_there_is_room(seed):
    asked = np.array(ask(doubtful(np.ones(HW, bool)), seed, share=1.0))

    apart = np.hypot(*(asked[:, None] - asked[None]).transpose(2, 0, 1))
    assert apart[np.triu_indices(10, 1)].min() >= 0.5 * np.sqrt(HW[0] * HW[1] / 10) * 0.7


def test_the_distance_shrinks_when_all_doubt_is_in_one_place():
    places = np.zeros(HW, bool)
    places[20:36, 40:58] = True

    asked = ask(doubtful(places))

    assert len(asked) == 10
    assert all(places[pixel] for pixel in asked)


def test_every_predicted_class_is_asked_about_as_often_as_the_doubts_allow():
    probabilities = np.full((4, *HW), 0.02, np.float32)
    probabilities[3] = 0.47
    probabilities[0, :, :70] = 0.49
    probabilities[1, :, 70:85] = 0.49
    probabilities[2, :, 85:] = 0.49

    asked = ask(probabilities, count=9, share=1.0)

    predicted = [int(probabilities[:, row, col].argmax()) for row, col in asked]
    assert [predicted.count(one) for one in (0, 1, 2)] == [3, 3, 3]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_one_seed_asks_one_way_and_another_seed_another(strategy):
    probabilities = ensemble(3, 4)

    first, again, other = (ask(probabilities, seed, strategy=strategy) for seed in (5, 5, 6))

    assert first == again
    assert first != other


def test_among_equals_chance_decides_and_favours_no_side():
    same = np.full((3, *HW), 1 / 3, np.float32)

    asked = np.array([pixel for seed in range(40) for pixel in ask(same, seed)])

    assert np.abs(asked.mean(axis=0) / HW - 0.5).max() < 0.06


def test_random_pixels_are_drawn_evenly_whatever_the_learner_thinks():
    places = np.zeros(HW, bool)
    places[:, :45] = True

    asked = np.array([pixel for seed in range(60) for pixel in ask(doubtful(places), seed, strategy="random")])

    assert np.abs(asked.mean(axis=0) / HW - 0.5).max() < 0.06
    assert 0.4 < places[tuple(asked.T)].mean() < 0.6


@pytest.mark.parametrize("strategy", ["margin", "random"])
@pytest.mark.parametrize(("hw", "most"), [((1, 1), 1), ((1, 7), 4), ((2, 3), 2), ((3, 5), 6)])
def test_a_tiny_image_is_asked_about_as_far_as_it_goes(strategy, hw, most):
    asked = ask(drawn_probabilities(3, hw), strategy=strategy)

    assert 1 <= len(asked) <= most
    assert all(row < hw[0] and col < hw[1] for row, col in asked)


@pytest.mark.parametrize("strategy", ["margin", "random"])
def test_fewer_candidates_than_asked_for_are_all_there_is(strategy):
    valid = np.zeros(HW, bool)
    places = [(4, 7), (50, 11), (30, 90)]
    valid[tuple(np.transpose(places))] = True

    assert sorted(ask(drawn_probabilities(3), strategy=strategy, valid=valid)) == sorted(places)
    assert ask(drawn_probabilities(3), strategy=strategy, valid=np.zeros(HW, bool)) == []


def test_more_than_five_per_cent_are_looked_at_when_these_are_too_few():
    hw = (12, 19)

    asked = ask(drawn_probabilities(3, hw), count=20)

    assert len(asked) == 20


@pytest.mark.parametrize("strategy", OF_ONE)
def test_an_image_promises_as_much_as_its_most_doubtful_part(strategy):
    places = np.zeros(HW, bool)
    sure, little, much = (
        expected_gain(doubtful(places | (np.arange(HW[1]) < width)), strategy=strategy) for width in (0, 2, 6)
    )

    assert 0 <= sure < little < much <= 1
