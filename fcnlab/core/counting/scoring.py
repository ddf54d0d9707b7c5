"""How well objects were counted and found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching
from scipy.spatial import cKDTree

from fcnlab.domain.counting import GRID_SIDE, CountScore, ImageCount
from fcnlab.errors import NoPoints

LEVELS = 4
"""Levels of GAME, 0 to 3: at the last the picture is cut in GRID_SIDE x GRID_SIDE parts."""

MOST_PAIRS = 1_000_000
NEAREST = 16
"""Where more pairs are possible, so many neighbours of each point are candidates."""


def radius_for(spacing: float) -> float:
    """How far from a point an object counts as found: half the usual distance between neighbours."""
    return spacing / 2


def match_points(
    true: NDArray[np.floating], detected: NDArray[np.floating], radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match points one to one: as many pairs within `radius` as possible, and of these the closest in all.

    Memory and time stay small for thousands of points: of more than MOST_PAIRS possible pairs only those of near points
    are looked at, then those of the points left over, and so on. There a few pairs less may be found than are possible,
    and not the closest in all.

    Args:
        true: (N, 2) rows and columns. detected: (M, 2).
        radius: pixels; a pair exactly so far apart is allowed.

    Returns:
        (P,) indices into `true`, rising, and the indices into `detected` they are matched with.
    """
    matched = np.zeros((0, 2), np.int64)
    left, right = np.arange(len(true)), np.arange(len(detected))
    while len(left) and len(right):
        new = _matched(_near_pairs(true[left], detected[right], radius), radius)
        if not len(new):
            break
        matched = np.concatenate([matched, np.column_stack([left[new[:, 0]], right[new[:, 1]]])])
        left, right = np.delete(left, new[:, 0]), np.delete(right, new[:, 1])
    matched = matched[np.argsort(matched[:, 0], kind="stable")]
    return matched[:, 0], matched[:, 1]


def _near_pairs(true: NDArray[np.floating], detected: NDArray[np.floating], radius: float) -> coo_matrix:
    """Distances (N, M) of the pairs within `radius`; where there are too many, of each point to the nearest ones."""
    trees = cKDTree(true), cKDTree(detected)
    if trees[0].count_neighbors(trees[1], radius) <= MOST_PAIRS:
        return trees[0].sparse_distance_matrix(trees[1], radius, output_type="coo_matrix")
    pairs = []
    for tree, positions in ((trees[1], true), (trees[0], detected)):
        _, other = tree.query(positions, k=min(NEAREST, tree.n), distance_upper_bound=radius)
        row, column = np.nonzero(other.reshape(len(positions), -1) < tree.n)
        its = other.reshape(len(positions), -1)[row, column]
        pairs.append(np.column_stack([row, its] if tree is trees[1] else [its, row]))
    rows, cols = np.unique(np.concatenate(pairs), axis=0).T
    distances = np.linalg.norm(np.asarray(true, np.float64)[rows] - detected[cols], axis=1)
    return coo_matrix((distances, (rows, cols)), shape=(len(true), len(detected)))


def _matched(near: coo_matrix, radius: float) -> NDArray[np.int64]:
    """(P, 2) rows and columns of the most pairs, and of these the closest in all.

    Every row may stay alone at a price that no number of close pairs outweighs, so that a full matching exists.
    """
    if not near.nnz:
        return np.zeros((0, 2), np.int64)
    n_rows, n_cols = near.shape
    alone = (radius + 2) * (min(n_rows, n_cols) + 1)
    rows = np.concatenate([near.row, np.arange(n_rows)])
    cols = np.concatenate([near.col, n_cols + np.arange(n_rows)])
    costs = np.concatenate([near.data + 1, np.full(n_rows, alone)])  # the library takes zeros for no pair at all
    first, second = min_weight_full_bipartite_matching(csr_matrix((costs, (rows, cols))))
    is_pair = second < n_cols
    return np.column_stack([first[is_pair], second[is_pair]]).astype(np.int64)


def grid_of(points: NDArray[np.floating], hw: tuple[int, int]) -> NDArray[np.float64]:
    """(GRID_SIDE, GRID_SIDE): how many points (N, 2) lie in each part of an image of size `hw`."""
    cells = ((np.asarray(points, np.float64).reshape(-1, 2) + 0.5) * GRID_SIDE / np.asarray(hw)).astype(np.int64)
    grid = np.zeros((GRID_SIDE, GRID_SIDE))
    np.add.at(grid, tuple(np.clip(cells, 0, GRID_SIDE - 1).T), 1)
    return grid


def game(true: NDArray[np.floating], counted: NDArray[np.floating], level: int) -> float:
    """Grid average mean absolute error of one image: errors in 4^level parts of it, added.

    Level 0 is the error of the count.

    Args:
        true, counted: (GRID_SIDE, GRID_SIDE) objects in each part.
        level: 0 to 3.

    Reference: Guerrero-Gomez-Olmedo et al. 2015, Extremely Overlapping Vehicle Counting.
    """
    n_parts = 2**level
    wide = GRID_SIDE // n_parts
    parts = (np.asarray(counted, np.float64) - true).reshape(n_parts, wide, n_parts, wide).sum(axis=(1, 3))
    return float(np.abs(parts).sum())


def score_counts(
    true: Sequence[Mapping[int, NDArray[np.floating]]],
    counted: Sequence[ImageCount],
    hw: Sequence[tuple[int, int]],
    radius: float,
) -> CountScore:
    """Compare counts with images whose objects are all marked.

    Args:
        true: per image, (N, 2) rows and columns of the points by class id; a class left out has none.
        counted: what was counted in the same images.
        hw: sizes of the images.
        radius: pixels at full size within which an object is found.

    Raises:
        NoPoints: there is no image.
    """
    if not counted:
        raise NoPoints("no image to score the counts on: say of at least one validation image that all is marked")
    errors: dict[int, list[float]] = {}
    relative: list[float] = []
    games: list[list[float]] = []
    n_true = n_found = n_matched = 0
    for points, image, size in zip(true, counted, hw, strict=True):
        for index, count in enumerate(image.counts):
            its = np.asarray(points.get(count.class_id, np.zeros((0, 2))), np.float64).reshape(-1, 2)
            detected = _places(image, count.class_id)
            error = count.count - len(its)
            errors.setdefault(count.class_id, []).append(error)
            relative.append(abs(error) / max(len(its), 1))
            grid = np.reshape(image.grid[index], (GRID_SIDE, GRID_SIDE)) if image.grid else grid_of(detected, size)
            games.append([game(grid_of(its, size), grid, level) for level in range(LEVELS)])
            n_true, n_found = n_true + len(its), n_found + len(detected)
            n_matched += len(match_points(its, detected, radius)[0])
    every = np.concatenate([np.asarray(class_errors) for class_errors in errors.values()])
    levels = np.mean(games, axis=0)
    return CountScore(
        mae=float(np.abs(every).mean()),
        rmse=math.sqrt(float(np.square(every).mean())),
        mre=float(np.mean(relative)),
        game=(float(levels[0]), float(levels[1]), float(levels[2]), float(levels[3])),
        precision=n_matched / n_found if n_found else 1.0,
        recall=n_matched / n_true if n_true else 1.0,
        f_score=f_score(n_matched, n_true, n_found),
        n_images=len(counted),
        n_objects=n_true,
        per_class={class_id: float(np.abs(class_errors).mean()) for class_id, class_errors in errors.items()},
    )


def f_score(n_matched: float, n_true: float, n_found: float) -> float:
    """Harmonic mean of precision and recall; one where there is nothing to find and nothing was found."""
    return 2 * n_matched / (n_true + n_found) if n_true + n_found else 1.0


def _places(image: ImageCount, class_id: int) -> NDArray[np.float64]:
    positions = [(detection.row, detection.col) for detection in image.objects if detection.class_id == class_id]
    return np.array(positions, np.float64).reshape(-1, 2)
