"""Laws of points drawn from masks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from fcnlab.core.training.expert_points import CLEARANCE_PX, sampled_points
from fcnlab.domain.project import IGNORE


def mask_of(hw: tuple[int, int] = (60, 90)) -> np.ndarray:
    mask = np.zeros(hw, np.uint8)
    mask[10:40, 20:70], mask[50:53, 5:9], mask[:, -10:] = 1, 2, IGNORE
    return mask


def drawn(mask: np.ndarray, count: int, seed: int = 0):
    return sampled_points(mask, count, rng=np.random.default_rng(seed))


def test_every_point_has_the_class_of_its_pixel_and_none_is_unknown():
    mask = mask_of()

    points = drawn(mask, 90)

    assert len(points) == len({(one.row, one.col) for one in points}) == 90
    assert all(mask[one.row, one.col] == one.class_id != IGNORE for one in points)


def test_classes_have_equal_shares_and_small_ones_give_all_they_have():
    counts = Counter(one.class_id for one in drawn(mask_of(), 90))

    assert counts == {0: 39, 1: 39, 2: 12}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 100, 100_000])
def test_there_are_as_many_as_wanted_or_all_there_are(count):
    mask = mask_of()

    points = drawn(mask, count)

    assert len(points) == min(count, int((mask != IGNORE).sum()))
    if count <= 10:
        counts = Counter(one.class_id for one in points)
        assert max(counts.values()) - min(counts.values()) <= 1


def test_points_keep_away_from_where_the_class_changes_while_there_is_room():
    mask = mask_of()

    for one in drawn(mask, 60):
        near = mask[
            max(0, one.row - CLEARANCE_PX) : one.row + CLEARANCE_PX + 1,
            max(0, one.col - CLEARANCE_PX) : one.col + CLEARANCE_PX + 1,
        ]
        assert one.class_id == 2 or (near == one.class_id).all()


def test_the_same_seed_gives_the_same_points_and_another_one_others():
    assert drawn(mask_of(), 40) == drawn(mask_of(), 40)
    assert drawn(mask_of(), 40) != drawn(mask_of(), 40, seed=1)


def test_large_masks_are_sampled_alike():
    mask = np.kron(mask_of(), np.ones((30, 40), np.uint8))

    points = drawn(mask, 90)

    assert Counter(one.class_id for one in points) == {0: 30, 1: 30, 2: 30}
    assert all(mask[one.row, one.col] == one.class_id for one in points)


@pytest.mark.parametrize("mask", [np.full((4, 7), IGNORE, np.uint8), np.zeros((1, 1), np.uint8)])
def test_masks_that_say_little_give_few_points(mask):
    assert len(drawn(mask, 10)) == int((mask != IGNORE).sum())
    assert drawn(mask, 0) == []
