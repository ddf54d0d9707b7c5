from __future__ import annotations

import numpy as np
import pytest

from fcnlab.core.learner.head import Samples
from fcnlab.core.learner.samples import (
    SampleTable,
    border_positions,
    canonical_clicks,
    join_samples,
    neighbour_positions,
    samples_by_position,
)
from fcnlab.domain.events import Point
from fcnlab.errors import ClickOutsideImage

POINTS = [Point(20, 5, 1), Point(3, 33, 0), Point(3, 4, 2), Point(3, 4, 0)]


def test_the_order_of_clicking_is_forgotten():
    one, other = canonical_clicks(POINTS, (24, 37)), canonical_clicks(POINTS[::-1], (24, 37))

    assert np.array_equal(one.rows, other.rows)
    assert np.array_equal(one.cols, other.cols)
    assert np.array_equal(one.class_ids, other.class_ids)


def test_a_click_outside_the_image_is_refused():
    with pytest.raises(ClickOutsideImage):
        canonical_clicks([Point(24, 0, 0)], (24, 37))


def test_no_clicks_are_clicks_too():
    assert len(canonical_clicks([], (24, 37))) == 0


def test_neighbours_lie_inside_and_look_like_their_click():
    lab = np.full((24, 37, 3), 50, np.float32)
    lab[:, 8:] = 90
    clicks = canonical_clicks([Point(20, 5, 1), Point(3, 33, 2)], (24, 37))

    rows, cols, owners = neighbour_positions(clicks, lab)
    class_ids = clicks.class_ids[owners]

    assert ((np.rint(rows) >= 0) & (np.rint(rows) < 24) & (np.rint(cols) >= 0) & (np.rint(cols) < 37)).all()
    assert {1, 2} == set(class_ids.tolist())
    assert (np.rint(cols[class_ids == 1]) < 8).all()
    assert (np.rint(cols[class_ids == 2]) >= 8).all()


def test_the_border_stays_away_from_clicks_on_an_object():
    clicks = canonical_clicks([Point(0, 60, 1)], (50, 100))

    rows, cols = border_positions(clicks, (50, 100), background=0)

    assert (np.hypot(rows, cols - 60) > 8).all()
    assert {0.0, 49.0} <= set(rows.tolist())
    assert {0.0, 99.0} <= set(cols.tolist())


def test_the_border_of_a_turned_picture_is_the_turned_border():
    rows, cols = border_positions(canonical_clicks([], (50, 80)), (50, 80), background=0)
    turned_rows, turned_cols = border_positions(canonical_clicks([], (80, 50)), (80, 50), background=0)

    assert set(zip(rows, cols, strict=True)) == set(zip(turned_cols, turned_rows, strict=True))


def test_weights_stay_with_their_points():
    points, weights = [Point(20, 5, 1), Point(3, 33, 2), Point(3, 8, 1)], [0.5, 2.0, 1.0]

    clicks = canonical_clicks(points, (24, 37), weights)

    assert clicks.rows.tolist() == [3, 3, 20]
    assert clicks.weights.tolist() == [1.0, 2.0, 0.5]
    assert clicks.are_weighted
    assert not canonical_clicks(points, (24, 37)).are_weighted


def test_a_position_is_looked_up_once(monkeypatch: pytest.MonkeyPatch):
    remembered, asked = {}, []

    def extract(rows, cols):
        asked.extend(zip(rows.tolist(), cols.tolist(), strict=True))
        return np.stack([rows, cols, rows * cols], axis=1).astype(np.float32)

    def samples(positions):
        return samples_by_position(remembered, extract, *np.array(positions, float).reshape(-1, 2).T)

    first, more = [(1.5, 2), (3, 4), (1.5, 2)], [(3, 4), (9, 9), (1.5, 2)]
    assert np.array_equal(samples(first)[:, 2], [3, 12, 3])
    assert np.array_equal(samples(more)[:, 2], [12, 81, 3])
    assert asked == [(1.5, 2), (3, 4), (9, 9)]
    monkeypatch.setattr("fcnlab.core.learner.samples.POSITIONS_REMEMBERED", 3)
    assert np.array_equal(samples([(5, 5), (6, 6)])[:, 2], [25, 36])
    assert len(remembered) <= 3, "memory is bounded"
    assert all(row.base is None for row in remembered.values()), "no row keeps a whole table"


def test_a_table_holds_what_joining_would_give_whatever_changed():
    rng, table = np.random.default_rng(0), SampleTable()

    def part(count: int) -> Samples:
        features = rng.normal(size=(count, 4)).astype(np.float32)
        return Samples(features, rng.integers(0, 2, count), np.ones(count, np.float32))

    parts = [part(3), part(1), part(2)]
    for changed in (parts, [*parts, part(5)], [parts[0], part(2), parts[2]], [parts[2]], [part(40)], parts):
        joined, wanted = table.joined(changed), join_samples(changed)
        assert np.array_equal(joined.features, wanted.features)
        assert np.array_equal(joined.class_ids, wanted.class_ids)
