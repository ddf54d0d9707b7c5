from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fcnlab.core.counting.counting import TileScores, count_scores, count_tiles, objects_in
from fcnlab.core.counting.density import DENSITY_UNIT, density_target, sigma_for
from fcnlab.core.tiling.tiles import tile_plan
from fcnlab.domain.counting import Calibration, Objective
from tests.support.maps import discs, marks_of

IDS = [4, 7, 2]
SPACING = 12.0
HW = (210, 340)
SIDE = 64


def seams(hw: tuple[int, int]) -> list[tuple[float, float]]:
    """On every corner of tiles, on every seam, just beside them, at the borders, and pairs that touch across a seam."""
    found = []
    for row in range(SIDE, hw[0], SIDE):
        found += [(row - 0.5, col - 0.5) for col in range(SIDE, hw[1], SIDE)]
        found += [(row - 1.0, col) for col in range(32, hw[1], SIDE)]
    for col in range(SIDE, hw[1], SIDE):
        found += [(row, col + 3.0) for row in range(32, hw[0], SIDE)]
        found += [(row, col - 7.0) for row in range(32, hw[0], SIDE)]
    return [*found, (0, 0), (0, hw[1] - 1), (hw[0] - 1, 0), (hw[0] - 1, hw[1] - 1), (12, 30.3)]


def in_tiles(scores: NDArray[np.float32], margin: int = 32) -> Iterator[TileScores]:
    hw = (scores.shape[1], scores.shape[2])
    for tile in tile_plan(hw, step=32, side=SIDE).tiles:
        inner, outer = tile.inner.clipped(hw), tile.inner.grown(margin, hw)
        yield TileScores(inner, outer, scores[(slice(None), *outer.slices)])


def blob_scores(centres: list[tuple[float, float]], radius: float = 5.2) -> NDArray[np.float32]:
    """Probabilities (3, H, W); every third object is of the second class."""
    first = discs(HW, [one for number, one in enumerate(centres) if number % 3], radius)
    second = discs(HW, centres[::3], radius) & ~first
    return np.stack([~(first | second), first, second]).astype(np.float32) * 0.9 + 0.03


def density_scores(centres: list[tuple[float, float]]) -> NDArray[np.float32]:
    marks = marks_of(*((row, col, 2 if number % 3 == 0 else 1) for number, (row, col) in enumerate(centres)))
    return density_target(marks, 3, HW, sigma_for(SPACING))[0] * np.float32(DENSITY_UNIT)


@pytest.mark.parametrize("objective", [Objective.BLOBS, Objective.DENSITY])
def test_tiles_count_every_object_once_and_find_the_same_ones(objective: Objective):
    centres = seams(HW)
    scores = blob_scores(centres) if objective is Objective.BLOBS else density_scores(centres)
    calibration = Calibration(SPACING)

    whole = count_scores(scores, objective, calibration, IDS, HW)
    tiled = count_tiles(in_tiles(scores), HW, objective, calibration, IDS, HW)

    assert tiled.objects == whole.objects
    assert len(whole.objects) == len(centres)
    assert [one.count for one in tiled.counts] == pytest.approx([one.count for one in whole.counts], abs=1e-4)
    assert np.array(tiled.grid) == pytest.approx(np.array(whole.grid), abs=1e-4)


def test_a_density_counts_what_it_was_made_of():
    centres = seams(HW)

    count = count_scores(density_scores(centres), Objective.DENSITY, Calibration(SPACING), IDS, HW)

    wanted = [len(centres) - len(centres[::3]), len(centres[::3])]
    assert [one.class_id for one in count.counts] == [7, 2]
    assert [one.count for one in count.counts] == pytest.approx(wanted, abs=1e-2)
    assert [sum(cells) for cells in count.grid] == pytest.approx(wanted, abs=1e-2)


def test_the_blobs_are_the_count_and_lie_in_their_part_of_the_grid():
    count = count_scores(blob_scores([(12, 30), (150, 300), (150, 200)]), Objective.BLOBS, Calibration(12), IDS, HW)

    assert [one.count for one in count.counts] == [2, 1]
    assert [(one.row, one.col, one.class_id) for one in count.objects] == [(12, 30, 2), (150, 200, 7), (150, 300, 7)]
    assert np.reshape(count.grid[1], (8, 8))[0, 0] == 1
    assert np.reshape(count.grid[0], (8, 8))[5, [4, 7]].tolist() == [1, 1]


def test_objects_are_in_pixels_of_the_image_whatever_the_size_of_the_map():
    calibration = Calibration(2 * SPACING, min_size={7: 4 * 40.0, 2: 4 * 100.0})

    count = count_scores(blob_scores([(12, 30), (150, 300)]), Objective.BLOBS, calibration, IDS, (2 * HW[0], 2 * HW[1]))

    (found,) = count.objects
    assert (found.row, found.col, found.class_id) == (300.5, 600.5, 7)
    assert found.size == 4 * discs(HW, [(150, 300)], 5.2).sum()
    assert found.box == (290, 590, 22, 22)


def test_factors_change_the_sum_of_a_density_and_nothing_is_less_than_none():
    scores = density_scores([(50, 60), (100, 100)])
    calibration = Calibration(SPACING, factors={7: 0.5})

    half = count_scores(scores, Objective.DENSITY, calibration, IDS, HW)
    none = count_scores(-scores, Objective.DENSITY, calibration, IDS, HW)

    assert [one.count for one in half.counts] == pytest.approx([0.5, 1], abs=1e-3)
    assert [one.count for one in none.counts] == [0, 0]
    assert np.array(none.grid).sum() == 0


def test_the_interval_holds_the_count_and_never_goes_below_none():
    scores = blob_scores([(12, 30), (150, 300), (150, 200)])

    uncalibrated = count_scores(scores, Objective.BLOBS, Calibration(SPACING), IDS, HW)
    sure = count_scores(scores, Objective.BLOBS, Calibration(SPACING, spread={7: 1.0, 2: 4.0}), IDS, HW)

    assert [(one.low, one.high) for one in uncalibrated.counts] == [(None, None), (None, None)]
    first, second = sure.counts
    assert (first.low, first.high) == (pytest.approx(2 - 3**0.5), pytest.approx(2 + 3**0.5))
    assert second.low == 0


def test_objects_of_a_part_are_in_the_frame_of_the_part():
    scores = blob_scores([(12, 30), (150, 300)])

    found = objects_in(scores[:, 140:, 280:], Objective.BLOBS, Calibration(SPACING), IDS, HW, HW)

    assert [(one.row, one.col) for one in found.blobs] == [(10, 20)]
    assert found.labels.shape == (70, 60)


def test_fifty_megapixels_need_the_memory_of_a_tile():
    hw = (6144, 8192)
    tile = blob_scores([(32.0, 40.0)])[:, :192, :320]

    def tiles() -> Iterator[TileScores]:
        plan = tile_plan(hw, step=32, side=1024)
        for one in plan.tiles[:6]:
            outer = one.inner.grown(32, hw)
            scores = np.zeros((3, *outer.hw), np.float32)
            scores[0] = 1
            scores[:, 200:392, 300:620] = tile
            yield TileScores(one.inner, outer, scores)

    tracemalloc.start()
    count = count_tiles(tiles(), hw, Objective.BLOBS, Calibration(SPACING), IDS, hw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert [one.count for one in count.counts] == [0, 6]
    assert peak < 12 * 3 * 4 * 1088**2


def test_counting_twice_gives_the_same():
    scores = np.random.default_rng(0).random((3, *HW)).astype(np.float32)

    one, other = (count_scores(scores, Objective.DENSITY, Calibration(SPACING), IDS, HW) for _ in range(2))

    assert one == other
    assert replace(one, objects=()) == replace(other, objects=())
