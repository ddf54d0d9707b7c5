from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fcnlab.core.counting.scoring import game, grid_of, match_points, score_counts
from fcnlab.domain.counting import ClassCount, FoundObject, ImageCount
from fcnlab.errors import NoPoints

HW = (80, 160)


def image_of(*objects: tuple[float, float, int], class_ids: tuple[int, ...] = (7,)) -> ImageCount:
    counts = tuple(ClassCount(one, float(sum(its == one for _, _, its in objects))) for one in class_ids)
    return ImageCount(counts, tuple(FoundObject(row, col, its, 9.0, 0.9) for row, col, its in objects))


def points(*places: tuple[float, float]) -> np.ndarray:
    return np.array(places, np.float64).reshape(-1, 2)


def test_points_match_one_to_one_and_as_many_as_possible():
    true = points((10, 10), (10, 14))
    found = points((10, 13), (10, 18))

    first, second = match_points(true, found, 4.0)

    assert first.tolist() == [0, 1]
    assert second.tolist() == [0, 1]


def test_of_as_many_pairs_the_closest_are_taken():
    true = points((10, 10), (10, 20))
    found = points((10, 19), (10, 11))

    assert match_points(true, found, 50)[1].tolist() == [1, 0]


def test_nothing_beyond_the_radius_matches():
    true, found = points((10, 10)), points((13, 14))

    assert len(match_points(true, found, 5.0)[0]) == 1
    assert len(match_points(true, found, 4.99)[0]) == 0
    assert len(match_points(points(), found, 5.0)[0]) == 0
    assert len(match_points(true, points(), 5.0)[0]) == 0


def test_matching_agrees_with_every_way_to_match_few_points():
    from itertools import permutations

    rng = np.random.default_rng(0)
    for _ in range(20):
        true, found = rng.uniform(0, 10, (5, 2)), rng.uniform(0, 10, (5, 2))
        distance = np.hypot(*(true[:, None] - found[None]).transpose(2, 0, 1))
        best = max(
            (
                sum(distance[i, j] <= 3 for i, j in enumerate(order)),
                -sum(min(distance[i, j], 3) for i, j in enumerate(order) if distance[i, j] <= 3),
            )
            for order in permutations(range(5))
        )

        first, second = match_points(true, found, 3.0)

        assert (len(first), -distance[first, second].sum()) == (best[0], pytest.approx(best[1]))


def test_hundreds_of_points_on_a_heap_match_at_once():
    rng = np.random.default_rng(1)
    true, found = rng.uniform(0, 40, (300, 2)), rng.uniform(0, 40, (300, 2))

    first, second = match_points(true, found, 8.0)

    assert len(set(first.tolist())) == len(first) == len(set(second.tolist()))
    assert len(first) > 280


def test_game_is_the_error_of_the_count_first_and_finds_misplaced_objects_later():
    true = grid_of(points((5, 5), (5, 15)), HW)
    moved = grid_of(points((5, 5), (75, 155)), HW)

    assert [game(true, moved, level) for level in range(4)] == [0, 2, 2, 2]
    assert [game(true, 0 * true, level) for level in range(4)] == [2, 2, 2, 2]
    assert [game(true, true, level) for level in range(4)] == [0, 0, 0, 0]


def test_cells_have_their_rows_before_their_columns_and_hold_the_border():
    grid = grid_of(points((79.4, 0), (0, 159.4), (9.4, 19.6)), HW)

    assert grid[7, 0] == grid[0, 7] == grid[0, 1] == 1
    assert grid.sum() == 3


def test_a_perfect_count_has_no_error():
    score = score_counts([{7: points((5, 5), (40, 60))}], [image_of((5, 6, 7), (40, 60, 7))], [HW], 5.0)

    assert (score.mae, score.rmse, score.mre, score.game) == (0, 0, 0, (0, 0, 0, 0))
    assert (score.precision, score.recall, score.f_score) == (1, 1, 1)
    assert (score.n_images, score.n_objects, score.per_class) == (1, 2, {7: 0})


def test_errors_are_averaged_over_images_and_classes():
    true = [{7: points((5, 5), (40, 60)), 2: points((70, 70))}, {7: points()}]
    counted = [image_of((5, 5, 7), class_ids=(7, 2)), image_of((9, 9, 7), (30, 30, 7), (9, 50, 2), class_ids=(7, 2))]

    score = score_counts(true, counted, [HW, HW], 5.0)

    assert score.mae == pytest.approx((1 + 1 + 2 + 1) / 4)
    assert score.rmse == pytest.approx(((1 + 1 + 4 + 1) / 4) ** 0.5)
    assert score.mre == pytest.approx((0.5 + 1 + 2 + 1) / 4)
    assert score.per_class == {7: 1.5, 2: 1.0}
    assert score.game[0] == pytest.approx(score.mae)
    assert (score.precision, score.recall) == (pytest.approx(1 / 4), pytest.approx(1 / 3))
    assert score.f_score == pytest.approx(2 / 7)


def test_an_object_of_another_class_is_not_found():
    score = score_counts([{7: points((5, 5))}], [image_of((5, 5, 2), class_ids=(7, 2))], [HW], 5.0)

    assert score.f_score == 0


def test_what_was_summed_where_decides_about_game():
    cells = np.zeros((8, 8))
    cells[7, 7] = 1.5
    image = ImageCount((ClassCount(7, 1.5),), (), (tuple(cells.ravel()),))

    score = score_counts([{7: points((5, 5))}], [image], [HW], 5.0)

    assert score.game == (0.5, 2.5, 2.5, 2.5)


def test_empty_images_counted_as_empty_are_perfect():
    score = score_counts([{}], [image_of()], [HW], 5.0)

    assert (score.mae, score.precision, score.recall, score.f_score) == (0, 1, 1, 1)


def test_no_image_is_explained():
    with pytest.raises(NoPoints, match="all is marked"):
        score_counts([], [], [], 5.0)


@pytest.mark.parametrize(("n_true", "n_found", "radius"), [(6000, 6000, 2000.0), (6000, 2500, 60.0)])
def test_thousands_of_points_within_a_large_radius_match_in_little_memory(n_true: int, n_found: int, radius: float):
    rng = np.random.default_rng(2)
    true, found = rng.uniform(0, 1000, (n_true, 2)), rng.uniform(0, 1000, (n_found, 2))

    tracemalloc.start()
    first, second = match_points(true, found, radius)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 200e6
    assert len(first) == len(set(first.tolist())) == len(set(second.tolist())) == min(n_true, n_found)
    distances = np.linalg.norm(true[first] - found[second], axis=1)
    assert distances.max() <= radius
    assert distances.mean() < 20, "pairs are the closest in all; the best there are have a mean of 16.7"


def test_hundreds_of_points_match_as_by_the_hungarian_method_on_a_whole_table():
    rng = np.random.default_rng(3)
    true, found = rng.uniform(0, 60, (200, 2)), rng.uniform(0, 60, (230, 2))
    found[:40] = true[:40]
    distances = np.linalg.norm(true[:, None] - found[None], axis=2)
    rows, cols = linear_sum_assignment(np.where(distances <= 4.0, distances, 1e6))
    is_pair = distances[rows, cols] <= 4.0

    first, second = match_points(true, found, 4.0)

    assert len(first) == is_pair.sum() > 150
    assert distances[first, second].sum() == pytest.approx(distances[rows, cols][is_pair].sum())
