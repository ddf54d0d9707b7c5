from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.training.scores import confusion, gain_of, iou_per_class, object_iou
from fcnlab.domain.project import IGNORE

TRUTH = np.array([[0, 0, 1, 1, IGNORE], [0, 1, 1, 2, IGNORE]], np.uint8)


def test_the_truth_predicts_itself_perfectly():
    prediction = np.where(TRUTH == IGNORE, 0, TRUTH).astype(np.uint8)

    assert np.allclose(iou_per_class(confusion(TRUTH, prediction, 3)), 1)
    assert object_iou(TRUTH, prediction) == 1


def test_what_nobody_knows_counts_nowhere():
    one, other = TRUTH.copy(), TRUTH.copy()
    one[TRUTH == IGNORE], other[TRUTH == IGNORE] = 0, 2

    assert np.array_equal(confusion(TRUTH, one, 3), confusion(TRUTH, other, 3))
    assert object_iou(TRUTH, one) == object_iou(TRUTH, other)
    assert confusion(TRUTH, one, 3).sum() == 8


def test_confusion_is_truth_by_prediction():
    counts = confusion(np.array([[0, 0, 1]], np.uint8), np.array([[1, 1, 1]], np.uint8), 2)

    assert counts.tolist() == [[0, 2], [0, 1]]


def test_a_class_nobody_has_is_not_a_number():
    assert np.isnan(iou_per_class(confusion(TRUTH[:, :2], TRUTH[:, :2], 4))[3])


def test_large_masks_are_counted_in_parts_as_small_ones_are(monkeypatch):
    rng = np.random.default_rng(0)
    truth, found = rng.choice([0, 1, 2, 255], (37, 53)).astype(np.uint8), rng.integers(0, 3, (37, 53), np.uint8)
    whole = confusion(truth, found, 3)

    monkeypatch.setattr("fcnlab.core.training.scores.COUNTED_AT_ONCE", 200)

    assert np.array_equal(confusion(truth, found, 3), whole)
    assert whole.sum() == (truth != 255).sum()


@pytest.mark.parametrize(
    ("better", "worse", "n", "sign"), [(30, 0, 40, 1), (0, 30, 40, -1), (6, 5, 40, 0), (2, 0, 2, 0)]
)
def test_a_gain_is_certain_only_where_many_points_say_so(better: int, worse: int, n: int, sign: int) -> None:
    network, instant = np.zeros(n, bool), np.zeros(n, bool)
    network[:better], instant[better : better + worse] = True, True

    gain = gain_of(network, instant, np.zeros(n, np.int64))

    assert gain.gain == pytest.approx((better - worse) / n)
    assert (gain.low > 0) - (gain.high < 0) == sign
    assert -1 <= gain.low <= gain.high <= 1


def test_every_class_counts_alike_in_a_gain() -> None:
    classes = np.array([0] * 90 + [1] * 10)
    network, instant = classes == 1, classes == 0

    assert gain_of(network, instant, classes).gain == pytest.approx(0.0)
    assert gain_of(network, instant, classes).instant == pytest.approx(0.5)
    assert gain_of(network, ~network & ~instant, classes).gain == pytest.approx(0.5)


@pytest.mark.parametrize("counts", [(40,), (5, 5, 5, 5), (5, 35), (100, 100)])
@pytest.mark.parametrize(("won", "lost"), [(0.1, 0.1), (0.25, 0.05), (0.55, 0.05)])
def test_the_interval_of_a_gain_holds_the_true_one(counts: tuple[int, ...], won: float, lost: float) -> None:
    rng = np.random.default_rng(sum(counts))
    classes = np.repeat(np.arange(len(counts)), counts)
    n_runs, n_held = 1000, 0

    for _ in range(n_runs):
        fate = rng.random(len(classes))
        network, instant = fate < won, (won <= fate) & (fate < won + lost)
        gain = gain_of(network, instant, classes)
        n_held += gain.low <= won - lost <= gain.high

    assert n_held / n_runs >= 0.91
