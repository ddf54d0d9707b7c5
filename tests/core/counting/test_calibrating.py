from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.counting.calibrating import HeldOut, calibrated, spread_of
from fcnlab.core.counting.counting import BLOB_THRESHOLD, count_scores
from fcnlab.core.counting.density import DENSITY_UNIT, density_target, sigma_for
from fcnlab.core.counting.marks import MarkedPoints
from fcnlab.domain.counting import Calibration, Objective
from tests.support.maps import discs, marks_of

HW = (60, 100)
SPACING = 14.0
IDS = [3, 9]
CENTRES = [(10.0, 12.0), (10.0, 40.0), (30.0, 60.0), (45.0, 20.0)]
DIRT = [(50.0, 90.0), (12.0, 80.0)]


def marked(centres: list[tuple[float, float]], *, is_complete: bool = True) -> MarkedPoints:
    return marks_of(*((row, col, 1) for row, col in centres), is_complete=is_complete)


def probabilities(*layers: tuple[NDArray[np.bool_], float]) -> NDArray[np.float32]:
    """(2, H, W): the number of each mask inside it, the later over the earlier ones."""
    objects = np.full(HW, 0.02)
    for mask, sure in layers:
        objects[mask] = sure
    return np.stack([1 - objects, objects]).astype(np.float32)


def test_the_threshold_lies_between_objects_and_what_only_looks_like_them():
    scores = probabilities((discs(HW, CENTRES, 4), 0.8), (discs(HW, DIRT, 4), 0.6))

    found = calibrated([HeldOut(scores, marked(CENTRES), HW)], Objective.BLOBS, IDS, SPACING)

    assert 0.6 < found.thresholds[9] <= 0.8
    assert count_scores(scores, Objective.BLOBS, found, IDS, HW).counts[0].count == 4


def test_faint_objects_lower_the_threshold():
    scores = probabilities((discs(HW, CENTRES, 4), 0.3))

    found = calibrated([HeldOut(scores, marked(CENTRES), HW)], Objective.BLOBS, IDS, SPACING)

    assert count_scores(scores, Objective.BLOBS, found, IDS, HW).counts[0].count == 4


def test_small_dirt_raises_the_least_size():
    scores = probabilities((discs(HW, CENTRES, 4), 0.9), (discs(HW, DIRT, 1), 0.9))

    found = calibrated([HeldOut(scores, marked(CENTRES), HW)], Objective.BLOBS, IDS, SPACING)

    assert 5 < found.min_size[9] <= 49
    assert count_scores(scores, Objective.BLOBS, found, IDS, HW).counts[0].count == 4


def test_what_is_learned_on_a_small_map_holds_at_full_size():
    scores = probabilities((discs(HW, CENTRES, 4), 0.9), (discs(HW, DIRT, 1), 0.9))
    full_hw = (3 * HW[0], 3 * HW[1])

    found = calibrated([HeldOut(scores, marked(CENTRES), full_hw)], Objective.BLOBS, IDS, 3 * SPACING)
    large = np.repeat(np.repeat(scores, 3, axis=1), 3, axis=2)

    assert found.spacing == 3 * SPACING
    assert count_scores(large, Objective.BLOBS, found, IDS, full_hw).counts[0].count == 4


def test_sums_of_a_density_get_a_factor_and_few_images_a_careful_one():
    target, _ = density_target(marked(CENTRES), 2, HW, sigma_for(SPACING))
    scores = target * np.float32(DENSITY_UNIT) / 2

    once = calibrated([HeldOut(scores, marked(CENTRES), HW)], Objective.DENSITY, IDS, SPACING)
    often = calibrated([HeldOut(scores, marked(CENTRES), HW)] * 8, Objective.DENSITY, IDS, SPACING)

    assert once.factors[9] == pytest.approx((2 + 2) / 3, abs=1e-3)
    assert often.factors[9] == pytest.approx(1.8, abs=1e-3)
    assert len(count_scores(scores, Objective.DENSITY, often, IDS, HW).objects) == 4


def test_peaks_get_a_threshold():
    target, _ = density_target(marked([*CENTRES, *DIRT]), 2, HW, sigma_for(SPACING))
    target[1, :, 72:] *= 0.6

    found = calibrated(
        [HeldOut(target * np.float32(DENSITY_UNIT), marked(CENTRES), HW)], Objective.DENSITY, IDS, SPACING
    )

    assert 0.6 <= found.thresholds[9] < 1


def test_images_not_all_marked_and_no_images_leave_the_defaults():
    scores = probabilities((discs(HW, CENTRES, 4), 0.3))
    some = HeldOut(scores, marked(CENTRES[:2], is_complete=False), HW)

    assert calibrated([], Objective.BLOBS, IDS, SPACING) == calibrated([some], Objective.BLOBS, IDS, SPACING)
    assert calibrated([], Objective.BLOBS, IDS, SPACING) == Calibration(SPACING, {9: BLOB_THRESHOLD}, {9: 0.0})


def test_empty_images_say_how_far_counts_may_be_off_but_move_no_threshold():
    found = calibrated([HeldOut(probabilities(), marked([]), HW)], Objective.BLOBS, IDS, SPACING)

    assert found.thresholds == {9: BLOB_THRESHOLD}
    assert found.spread[9] > 0


def test_the_interval_holds_the_truth_in_nine_of_ten_new_images():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(300):
        true = rng.poisson(40, 21)
        counts = np.maximum(0, true + rng.normal(0, 4, 21))
        spread = spread_of(true[:20], counts[:20])
        inside.append(abs(true[20] - counts[20]) <= spread * (counts[20] + 1) ** 0.5)

    assert 0.86 < np.mean(inside) < 0.97


def test_few_images_promise_less():
    assert spread_of([10], [10]) == 0.5
    assert spread_of([12], [8]) == pytest.approx(2 * 4 / 3)
    assert spread_of([10] * 50, [10] * 50) == pytest.approx(1 / 51)


def test_the_order_of_images_changes_nothing():
    pictures = [
        HeldOut(probabilities((discs(HW, CENTRES[:n], 4), 0.2 + 0.15 * n)), marked(CENTRES), HW) for n in range(5)
    ]

    assert calibrated(pictures, Objective.BLOBS, IDS, SPACING) == calibrated(
        pictures[::-1], Objective.BLOBS, IDS, SPACING
    )


def test_the_interval_of_a_class_never_seen_is_that_of_the_threshold_it_is_counted_with():
    """No image has an object, so the usual threshold stays: what it finds by mistake has to lie in the interval."""
    scores = probabilities((discs(HW, DIRT, 4), 0.6))

    found = calibrated([HeldOut(scores, marked([]), HW)] * 20, Objective.BLOBS, IDS, SPACING)

    (counted,) = count_scores(scores, Objective.BLOBS, found, IDS, HW).counts
    assert counted.count == 2
    assert counted.low == 0
