from __future__ import annotations

import numpy as np

from fcnlab.core.learner.refine import (
    OBEYED_PX,
    clicked_regions,
    guided_filter,
    make_guide,
    obey_clicks,
    obey_nearby,
)
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.domain.events import Point


def flat_lab(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 50, np.float32)


def test_a_constant_stays_constant_whatever_the_picture():
    grey = np.random.default_rng(0).random((31, 46), dtype=np.float32)

    filtered = guided_filter(np.full((2, 31, 46), 0.7, np.float32), make_guide(grey))

    assert np.allclose(filtered, 0.7, atol=1e-4)


def test_a_blurred_edge_snaps_to_the_edge_of_the_picture():
    grey = np.zeros((40, 60), np.float32)
    grey[:, 30:] = 1
    blurred = np.broadcast_to(np.clip((np.arange(60) - 24) / 11, 0, 1), (1, 40, 60)).astype(np.float32)

    filtered = guided_filter(blurred, make_guide(grey))[0, 20]

    assert filtered[30] - filtered[29] > 0.4
    assert (blurred[0, 20, 30] - blurred[0, 20, 29]) < 0.1


def test_an_edge_shared_with_the_picture_stays_where_it_is():
    grey = np.zeros((40, 60), np.float32)
    grey[:, 30:] = 1

    filtered = guided_filter(grey[None], make_guide(grey))[0]

    assert np.array_equal(filtered > 0.5, grey > 0.5)


def test_a_coarse_map_comes_out_at_the_size_of_the_picture():
    filtered = guided_filter(np.ones((3, 8, 12), np.float32), make_guide(np.zeros((31, 47), np.float32)))

    assert filtered.shape == (3, 31, 47)


def test_only_clicked_regions_stay_and_unclicked_holes_are_filled():
    shown = np.zeros((20, 30), np.uint8)
    shown[2:12, 2:14] = 1  # clicked, with two holes
    shown[4:6, 4:6] = 0  # nobody clicked it
    shown[8:10, 8:10] = 0  # clicked as background
    shown[15:18, 20:28] = 1  # not clicked
    clicks = canonical_clicks([Point(3, 3, 1), Point(8, 8, 0)], (20, 30))

    kept = clicked_regions(shown, clicks, background=0)

    assert (kept[4:6, 4:6] == 1).all()
    assert (kept[8:10, 8:10] == 0).all()
    assert (kept[15:18, 20:28] == 0).all()
    assert kept.sum() == 10 * 12 - 4


def test_a_bay_open_to_the_border_is_no_hole():
    shown = np.ones((9, 13), np.uint8)
    shown[4:, 6] = 0

    kept = clicked_regions(shown, canonical_clicks([Point(0, 0, 1)], (9, 13)), background=0)

    assert np.array_equal(kept, shown)


def test_without_an_object_click_nothing_is_removed():
    shown = np.eye(5, 8, dtype=np.uint8)

    assert np.array_equal(clicked_regions(shown, canonical_clicks([], (5, 8)), background=0), shown)


def test_a_click_is_obeyed_on_its_pixel():
    shown = np.zeros((4, 7), np.uint8)
    points = [Point(3, 6, 2), Point(0, 0, 1), Point(0, 1, 2)]

    obey_clicks(shown, canonical_clicks(points, (4, 7)))

    assert [shown[p.row, p.col] for p in points] == [2, 1, 2]


def test_what_looks_like_the_click_and_touches_it_obeys_too():
    lab = flat_lab(20, 31)
    lab[:, 17] = 0  # a wall of another colour
    shown = np.zeros((20, 31), np.uint8)

    obey_nearby(shown, canonical_clicks([Point(10, 15, 1)], (20, 31)), lab)

    assert shown[10, 15] == shown[10, 16] == shown[10 - OBEYED_PX, 15] == 1
    assert (shown[:, 17:] == 0).all()
    assert shown[10 - OBEYED_PX - 1, 15] == 0


def test_between_two_clicks_the_nearer_one_decides():
    shown = np.full((9, 15), 5, np.uint8)
    clicks = canonical_clicks([Point(4, 5, 1), Point(4, 8, 2)], (9, 15))

    obey_nearby(shown, clicks, flat_lab(9, 15))

    assert shown[4].tolist() == [5, 5, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 5, 5, 5]


def test_clicks_at_the_very_border_are_obeyed():
    shown = np.zeros((1, 9), np.uint8)

    obey_nearby(shown, canonical_clicks([Point(0, 8, 3), Point(0, 0, 1)], (1, 9)), flat_lab(1, 9))

    assert shown[0, 8] == 3
    assert shown[0, 0] == 1
