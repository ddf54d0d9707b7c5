"""What counters see, and counting in it. No array is square."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.counting import count_maps
from fcnlab.core.counting.count_maps import CountMaps, count_maps_of, depths_of
from fcnlab.core.counting.counted import count_on_maps, with_intervals
from fcnlab.core.counting.objects import labelled_blobs
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.domain.counting import ClassCount, FoundObject, ImageCount
from fcnlab.domain.events import Point

IMAGE_HW = (60, 100)
CENTRES = [(8, 9), (15, 30), (22, 44)]
"""On the map, each of whose pixels is two pixels of the image wide."""


def bumps(centres: list[tuple[int, int]] = CENTRES) -> NDArray[np.float32]:
    rows, cols = np.mgrid[:30, :50]
    heights = np.zeros((2, 30, 50), np.float32)
    for row, col in centres:
        heights[1] = np.maximum(heights[1], np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 8))
    return heights


def some_maps(**values: object) -> CountMaps:
    parts = {
        "class_ids": (4, 7),
        "heights": bumps(),
        "thresholds": np.full(2, 0.35, np.float32),
        "spacing": 8.0,
        "cell": (2.0, 2.0),
        **values,
    }
    return CountMaps(**parts)  # type: ignore[arg-type]


def test_objects_lie_where_the_map_says_in_pixels_of_the_image() -> None:
    found = count_on_maps(some_maps(), canonical_clicks([], IMAGE_HW), is_complete=False, out_hw=IMAGE_HW)

    expected = [(2 * row + 0.5, 2 * col + 0.5) for row, col in CENTRES]
    places = [(one.row, one.col) for one in found.count.objects]
    np.testing.assert_allclose(places, expected, atol=0.1)
    assert {one.class_id for one in found.count.objects} == {7}
    for row, col in expected:
        assert found.class_map[round(row), round(col)] == 7
    assert found.class_map[0, 99] == 4


def test_a_density_counts_its_sum_and_never_less_than_is_marked() -> None:
    some = canonical_clicks([Point(17, 19, 7), Point(30, 60, 7), Point(45, 89, 7)], IMAGE_HW)
    none = canonical_clicks([], IMAGE_HW)

    by_sum = count_on_maps(some_maps(sums={7: 4.3}), none, is_complete=False, out_hw=IMAGE_HW)
    marked = count_on_maps(some_maps(sums={7: 1.2}), some, is_complete=False, out_hw=IMAGE_HW)
    exact = count_on_maps(some_maps(sums={7: 9.0}), some, is_complete=True, out_hw=IMAGE_HW)

    assert [one.count for found in (by_sum, marked, exact) for one in found.count.counts] == [4.3, 3.0, 3.0]


def test_boxes_hold_the_blobs() -> None:
    found = count_on_maps(some_maps(), canonical_clicks([], IMAGE_HW), is_complete=False, out_hw=IMAGE_HW)

    for one in found.count.objects:
        assert one.box is not None
        top, left, height, width = one.box
        assert top <= one.row <= top + height
        assert left <= one.col <= left + width
        assert 0 < height * width < 400


def test_blobs_become_one_peak_each() -> None:
    probabilities = np.zeros((2, 30, 50), np.float32)
    probabilities[1, 3:11, 4:16] = 0.9
    probabilities[1, 15:26, 30:39] = 0.8
    blobs = labelled_blobs(probabilities, [0.5, 0.5])

    heights = depths_of(blobs, 2)

    assert ((heights[1] > 0) == (probabilities[1] > 0)).all()
    found = count_on_maps(
        some_maps(heights=heights), canonical_clicks([], IMAGE_HW), is_complete=False, out_hw=IMAGE_HW
    )
    assert len(found.count.objects) == 2


def test_peaks_with_hardly_a_dip_between_them_are_one_object_where_objects_are_larger() -> None:
    close = bumps([(15, 20), (15, 25), (8, 42)])
    none = canonical_clicks([], IMAGE_HW)
    on_one = canonical_clicks([Point(31, 41, 7)], IMAGE_HW)

    apart = count_on_maps(some_maps(heights=close), none, is_complete=False, out_hw=IMAGE_HW)
    joined = count_on_maps(some_maps(heights=close, neck=0.4), none, is_complete=False, out_hw=IMAGE_HW)
    marked = count_on_maps(some_maps(heights=close, neck=0.4), on_one, is_complete=False, out_hw=IMAGE_HW)

    assert [len(one.count.objects) for one in (apart, joined, marked)] == [3, 2, 2]
    assert [one.is_marked for one in marked.count.objects].count(True) == 1


def test_a_count_made_tile_by_tile_is_seen_again_on_a_coarser_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_maps, "MAP_PIXELS", 1500)
    objects = tuple(FoundObject(float(row), float(col), 7, 40.0, 0.9) for row, col in ((12, 15), (30, 60), (50, 88)))
    count = ImageCount((ClassCount(7, 3.0),), objects)

    coarse = count_maps_of(count, class_ids=(4, 7), image_hw=IMAGE_HW, spacing=16.0)
    found = count_on_maps(coarse, canonical_clicks([], IMAGE_HW), is_complete=False, out_hw=IMAGE_HW)

    assert coarse.heights.shape == (2, 30, 50)
    assert [one.count for one in found.count.counts] == [3.0]
    np.testing.assert_allclose(
        [(one.row, one.col) for one in found.count.objects], [(12, 15), (30, 60), (50, 88)], atol=1
    )


def test_probabilities_of_a_pixel_sum_to_one() -> None:
    found = count_on_maps(some_maps(), canonical_clicks([], IMAGE_HW), is_complete=False, out_hw=(45, 75))

    assert found.class_map.shape == (45, 75)
    assert found.probabilities.shape == (2, 45, 75)
    np.testing.assert_allclose(found.probabilities.sum(axis=0), 1, rtol=1e-6)


def test_intervals_hold_the_count_and_nothing_below_what_is_marked() -> None:
    some = canonical_clicks([Point(17, 19, 7)], IMAGE_HW)
    count = count_on_maps(some_maps(), some, is_complete=False, out_hw=IMAGE_HW).count

    (one,) = with_intervals(count, {7: 1.5}).counts

    assert (one.count, one.low, one.high) == (3.0, 1.0, 6.0)
