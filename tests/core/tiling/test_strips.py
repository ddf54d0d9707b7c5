from __future__ import annotations

import cv2
import numpy as np
import pytest

from fcnlab.core.tiling.strips import area_rows, covered_rows, linear_rows, neighbour_rows


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(251, 173)).astype(np.float32)


@pytest.mark.parametrize("hw", [(502, 346), (1001, 690), (251, 173), (97, 301), (611, 173)])
@pytest.mark.parametrize("strip", [7, 64, 5000])
def test_rows_brought_to_size_are_those_of_the_whole_map(values, hw, strip):
    wanted = cv2.resize(values, hw[::-1], interpolation=cv2.INTER_LINEAR)

    for start in range(0, hw[0], strip):
        stop = min(start + strip, hw[0])
        first, last = neighbour_rows(251, hw[0], start, stop)
        found = linear_rows(values[first:last], first, 251, hw, start, stop)
        assert np.abs(found - wanted[start:stop]).max() < 1e-4


@pytest.mark.parametrize("hw", [(126, 87), (63, 44), (251, 173), (100, 99), (125, 86)])
@pytest.mark.parametrize("strip", [7, 100])
def test_averaged_rows_are_those_of_the_whole_map(values, hw, strip):
    coloured = np.dstack([values, -values, values * 2])
    wanted = cv2.resize(coloured, hw[::-1], interpolation=cv2.INTER_AREA)

    for start in range(0, hw[0], strip):
        stop = min(start + strip, hw[0])
        first, last = covered_rows(251, hw[0], start, stop)
        found = area_rows(coloured[first:last], first, 251, hw, start, stop)
        assert np.abs(found - wanted[start:stop]).max() < 1e-4
