from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage.feature import peak_local_max

from fcnlab.core.counting.density import density_target
from fcnlab.core.counting.objects import Blob, class_map_of, labelled_blobs, labelled_peaks, local_maxima, split
from tests.support.maps import discs, marks_of

HW = (40, 66)


def blobs_of(*arguments: Any) -> list[Blob]:
    return list(labelled_blobs(*arguments).blobs)


def peaks_of(*arguments: Any) -> list[Blob]:
    return list(labelled_peaks(*arguments).blobs)


def probabilities(*masks: NDArray[np.bool_], sure: float = 0.9) -> NDArray[np.float32]:
    """(K, H, W): `sure` of the class of each mask inside it."""
    objects = np.stack([np.where(mask, sure, 0.02) for mask in masks])
    return np.concatenate([1 - objects.sum(axis=0, keepdims=True), objects]).astype(np.float32)


def test_every_connected_part_of_a_class_is_one_blob_in_reading_order():
    one = discs(HW, [(30, 10), (8, 50)], 4)
    two = discs(HW, [(20, 30)], 5)

    blobs = blobs_of(probabilities(one, two), [0.5, 0.5, 0.5])

    assert [(blob.row, blob.col, blob.class_index) for blob in blobs] == [(8, 50, 1), (20, 30, 2), (30, 10, 1)]
    assert [blob.size for blob in blobs] == [49, 81, 49]
    assert blobs[0].score == pytest.approx(0.9)


def test_labels_say_which_pixel_belongs_to_which_object():
    mask = discs(HW, [(30, 10), (8, 50)], 4)

    found = labelled_blobs(probabilities(mask), [0.5, 0.5])

    assert ((found.labels > 0) == mask).all()
    for number, blob in enumerate(found.blobs, start=1):
        assert (found.labels == number).sum() == blob.size
        assert found.labels[round(blob.row), round(blob.col)] == number


def test_a_threshold_per_class_decides_and_small_blobs_are_none():
    weak = probabilities(discs(HW, [(8, 50)], 4), discs(HW, [(20, 30)], 1), sure=0.4)

    assert blobs_of(weak, [0.5, 0.5, 0.5]) == []
    assert [blob.class_index for blob in blobs_of(weak, [0.5, 0.3, 0.5])] == [1]
    assert [blob.class_index for blob in blobs_of(weak, [0.5, 0.3, 0.3])] == [1, 2]
    assert [blob.class_index for blob in blobs_of(weak, [0.5, 0.3, 0.3], 6)] == [1]
    assert [blob.class_index for blob in blobs_of(weak, [0.5, 0.3, 0.3], [0, 60, 5])] == [2]


def test_touching_discs_are_split_and_a_single_one_is_not():
    centres = [(12.0, 14.0), (12.0, 24.0), (28.0, 40.0)]

    together = blobs_of(probabilities(discs(HW, centres, 6)), [0.5, 0.5])
    apart = blobs_of(probabilities(discs(HW, centres, 6)), [0.5, 0.5], 1, 11.0)

    assert len(together) == 2
    assert len(apart) == 3
    for blob, (row, col) in zip(apart, centres, strict=True):
        assert np.hypot(blob.row - row, blob.col - col) < 1.5


def test_a_long_object_stays_one():
    rows, cols = np.mgrid[: HW[0], : HW[1]]
    bar = (abs(rows - 20) <= 4) & (abs(cols - 33) <= 25)
    ellipse = ((rows - 20) / 6) ** 2 + ((cols - 33) / 22) ** 2 <= 1

    assert len(blobs_of(probabilities(bar), [0.5, 0.5], 1, 9.0)) == 1
    assert len(blobs_of(probabilities(ellipse), [0.5, 0.5], 1, 9.0)) == 1


def test_splitting_loses_no_pixel_and_joins_no_parts():
    parts = np.zeros(HW, np.int32)
    parts[discs(HW, [(12, 14), (12, 24)], 6)] = 1
    parts[discs(HW, [(28, 40)], 6)] = 2

    divided = split(parts, 11.0)

    assert ((divided > 0) == (parts > 0)).all()
    assert len(np.unique(divided[parts == 1])) == 2
    assert len(np.unique(divided[parts == 2])) == 1
    assert not set(divided[parts == 1]) & set(divided[parts == 2])


def test_small_parts_near_large_ones_keep_their_numbers():
    parts = np.zeros(HW, np.int32)
    parts[discs(HW, [(12, 14), (12, 24)], 6)] = 1
    parts[12, 32] = 2

    divided = split(parts, 11.0)

    assert divided[12, 32] > 0
    assert (divided == divided[12, 32]).sum() == 1


def test_peaks_of_a_density_are_its_objects():
    points = [(8.0, 50.0, 1), (12.25, 14.0, 1), (12.0, 24.5, 1), (30.0, 40.0, 2)]
    density, _ = density_target(marks_of(*points), 3, HW, 2.8)

    found = peaks_of(density, 10.0, [0.3] * 3)

    assert [blob.class_index for blob in found] == [1, 1, 1, 2]
    places = {(round(blob.row), round(blob.col)) for blob in found}
    assert places == {(8, 50), (12, 14), (12, 24), (30, 40)} or places == {(8, 50), (12, 14), (12, 25), (30, 40)}
    assert all(blob.score > 0.9 for blob in found)


def test_a_low_peak_is_an_object_only_below_its_threshold():
    density, _ = density_target(marks_of((12, 14, 1), (30, 40, 1)), 2, HW, 2.8)
    density[1, :, 30:] *= 0.4

    assert len(peaks_of(density, 10.0, [0.3, 0.3])) == 2
    assert len(peaks_of(density, 10.0, [0.5, 0.5])) == 1
    assert peaks_of(0 * density, 10.0, [0.3, 0.3]) == []


def test_peaks_keep_a_third_of_the_spacing_between_them():
    density = np.random.default_rng(0).random((2, *HW)).astype(np.float32)

    found = peaks_of(density, 12.0, [0.1, 0.1])

    tops = np.array([(blob.row, blob.col) for blob in found])
    assert len(found) > 5
    assert len(np.unique(tops, axis=0)) == len(found)


def test_objects_that_touch_are_divided_by_a_line_of_background():
    found = labelled_blobs(probabilities(discs(HW, [(12, 14), (12, 24)], 6)), [0.5, 0.5], 1, 11.0)

    class_map = class_map_of(found, [3, 8])

    assert set(np.unique(class_map)) == {3, 8}
    assert len(blobs_of(probabilities(class_map == 8), [0.5, 0.5])) == 2
    removed = (found.labels > 0) & (class_map == 3)
    assert 0 < removed.sum() < 20


def test_objects_of_two_classes_keep_their_classes_in_the_map():
    found = labelled_peaks(density_target(marks_of((12, 14, 1), (30, 40, 2)), 3, HW, 2.8)[0], 10.0, [0.3] * 3)

    class_map = class_map_of(found, [0, 5, 7])

    assert class_map[12, 14] == 5
    assert class_map[30, 40] == 7
    assert class_map[0, 0] == 0


@pytest.mark.parametrize("distance", [1, 2, 5])
@pytest.mark.parametrize("keeps_border", [True, False])
def test_local_maxima_are_those_of_scikit_image(distance: int, keeps_border: bool) -> None:
    rng = np.random.default_rng(distance)
    for levels in (2, 4, 30):  # many equal ones, and few
        heights = rng.integers(0, levels, (31, 50)).astype(np.float32)

        maxima = local_maxima(heights, distance=distance, threshold=0.5, keeps_border=keeps_border)

        wanted = peak_local_max(heights, min_distance=distance, threshold_abs=0.5, exclude_border=not keeps_border)
        assert np.array_equal(maxima, wanted)
    assert len(local_maxima(np.ones((9, 9), np.float32), distance=distance, threshold=0.5)) == 0
