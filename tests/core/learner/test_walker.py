from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fcnlab.core.encoding.encoder import lab_image
from fcnlab.core.learner.walker import COARSE_SHARE, OFFSETS, Seeds, coarser_weights, edge_weights, walk, walker_graph


def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """CIELAB (14, 21, 3) with a step of colour at column 12, features, and a prior that knows nothing."""
    rng = np.random.default_rng(0)
    lab = rng.normal(0, 2, (14, 21, 3)).astype(np.float32) + 50
    lab[:, 12:] += 40
    return lab, rng.normal(0, 0.05, (5, 14, 21)).astype(np.float32), np.zeros((1, 14, 21), np.float32)


def test_clicks_are_held_and_scores_stay_between_minus_one_and_one():
    lab, features, prior = scene()
    prior += np.random.default_rng(1).uniform(-1, 1, prior.shape).astype(np.float32)

    walked = walk(
        walker_graph(lab, features), prior, Seeds(np.array([3, 13]), np.array([2, 20]), np.array([[1.0, -1.0]]))
    )

    assert np.abs(walked).max() <= 1
    assert walked[0, 3, 2] == 1
    assert walked[0, 13, 20] == -1


def test_a_score_stops_where_the_colour_changes():
    lab, features, prior = scene()

    walked = walk(
        walker_graph(lab, features), prior, Seeds(np.array([3, 13]), np.array([2, 20]), np.array([[1.0, -1.0]]))
    )[0]

    assert (walked[:, :12] > 0).all()
    assert (walked[:, 12:] < 0).all()


def test_transposing_the_picture_transposes_the_answer():
    lab, features, prior = scene()
    prior += np.random.default_rng(1).uniform(-1, 1, prior.shape).astype(np.float32)
    rows, cols, values = np.array([3, 13, 5]), np.array([2, 20, 9]), np.array([[1.0, -1.0, 1.0]])

    one = walk(walker_graph(lab, features), prior, Seeds(rows, cols, values))
    other = walk(
        walker_graph(lab.transpose(1, 0, 2), features.transpose(0, 2, 1)),
        prior.transpose(0, 2, 1),
        Seeds(cols, rows, values),
    )

    assert np.allclose(one, other.transpose(0, 2, 1), atol=1e-3)


def test_clicks_that_share_a_node_meet_in_the_middle():
    lab, features, prior = scene()

    walked = walk(
        walker_graph(lab, features), prior, Seeds(np.array([3, 3]), np.array([2, 2]), np.array([[1.0, -1.0]]))
    )

    assert walked[0, 3, 2] == 0


def test_a_single_node_is_a_picture_too():
    walked = walk(
        walker_graph(np.zeros((1, 1, 3), np.float32), np.zeros((2, 1, 1), np.float32)),
        np.full((1, 1, 1), 0.5, np.float32),
        Seeds(np.array([], np.int64), np.array([], np.int64), np.zeros((1, 0))),
    )

    assert np.allclose(walked, 0.5)


@pytest.mark.parametrize("hw", [(8, 8), (9, 12), (31, 20)])
def test_blocks_are_joined_by_all_that_crosses_between_them(hw):
    rng = np.random.default_rng(1)
    weights = edge_weights(
        rng.uniform(0, 100, (*hw, 3)).astype(np.float32), rng.normal(size=(2, *hw)).astype(np.float32)
    )
    height, width = (-(-side // 2) for side in hw)
    sums = np.zeros((height * width, height * width))
    for weight, (down, across) in zip(weights, OFFSETS, strict=True):
        for row, col in np.ndindex(hw):
            if weight[row, col]:
                blocks = (row // 2 * width + col // 2, (row + down) // 2 * width + (col + across) // 2)
                sums[min(blocks), max(blocks)] += weight[row, col]
    np.fill_diagonal(sums, 0)  # within a block

    coarse = coarser_weights(weights) / COARSE_SHARE

    for weight, (down, across) in zip(coarse, OFFSETS, strict=True):
        for row, col in np.ndindex(height, width):
            there = (row + down, col + across)
            wanted = 0.0
            if there[0] < height and 0 <= there[1] < width:
                wanted = sums[row * width + col, there[0] * width + there[1]]
            assert weight[row, col] == pytest.approx(wanted, rel=1e-5, abs=1e-9)


def test_two_grids_end_near_the_solution_of_one(rgb):
    lab = lab_image(rgb)
    graph = walker_graph(lab, np.zeros((1, *lab.shape[:2]), np.float32))
    rng = np.random.default_rng(2)
    prior = np.clip(rng.normal(size=(1, *graph.hw)), -1, 1).astype(np.float32)
    clicks = np.array([5, 30]), np.array([7, 40]), np.array([[1.0, -1.0]], np.float32)

    walked = walk(graph, prior, Seeds(*clicks))

    assert graph.coarser is not None
    exact = walk(replace(graph, coarser=None), prior, Seeds(*clicks))  # more steps than its size needs
    assert np.abs(walked - exact).mean() < 0.02
