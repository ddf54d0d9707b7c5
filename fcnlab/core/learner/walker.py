"""A random walker with priors: the head's scores spread along what looks alike, held fast at the clicks.

It is solved on a grid half as fine first, which settles what reaches far; few steps are left for the grid itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg.blas import saxpy

COLOUR_SCALE = 128.0
FEATURE_WEIGHT = 2.0
PRIOR_WEIGHT = 0.01
CLICK_WEIGHT = 1e3
COARSE_STEPS = 30
STEPS = 14
"""Of conjugate gradients, after those on the coarser grid; a grid too small to have one takes all of them itself."""

SMALLEST_SIDE = 64
"""A grid whose shorter side is less has no coarser one: it is solved as soon, and its blocks would be large things."""

COARSE_SHARE = 0.5
"""Blocks of four nodes that move as one are twice as stiff as the nodes are (Braess 1995, "Towards algebraic multigrid
for elliptic problems of second order")."""

OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, slots=True)
class WalkerGraph:
    """A grid of h * w nodes with 8 neighbours each, inside a frame one node wide that no edge reaches.

    Attributes:
        adjacency: (n, n) float32 edge weights by diagonals, n = (h + 2) * (w + 2); row-major numbers.
        degree: (n,) float32, the sum of each node's edges.
        hw: height and width without the frame.
        coarser: the same for blocks of two by two nodes; None where the grid is small.
    """

    adjacency: sparse.dia_array
    degree: NDArray[np.float32]
    hw: tuple[int, int]
    coarser: WalkerGraph | None = None


class Seeds(NamedTuple):
    """What clicks hold fast: values (K, N) float32 in -1..1 at nodes rows, cols (N,); of several on one their mean."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: NDArray[np.float32]


def walker_graph(lab: NDArray[np.float32], features: NDArray[np.float32]) -> WalkerGraph:
    """Edges between neighbouring nodes; see `edge_weights` for the arguments."""
    return graph_of(edge_weights(lab, features))


def edge_weights(lab: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float32]:
    """How alike neighbouring nodes are: exp(-colour distance^2 / 128 - 2 * feature distance^2).

    Args:
        lab: (h, w, 3) CIELAB at the nodes.
        features: (C, h, w) standardised features at the nodes.

    Returns (4, h, w) float32: from each node to the one `OFFSETS` (down, across) further; 0 where there is none.
    """
    height, width = lab.shape[:2]
    descriptors = np.concatenate([lab.transpose(2, 0, 1) * COLOUR_SCALE**-0.5, features * FEATURE_WEIGHT**0.5])
    weights = np.zeros((len(OFFSETS), height, width), np.float32)
    for weight, (down, across) in zip(weights, OFFSETS, strict=True):
        rows, cols = slice(0, height - down), slice(max(0, -across), width - max(0, across))
        other_rows, other_cols = slice(down, height), slice(max(0, across), width - max(0, -across))
        distance = np.zeros((height - down, width - abs(across)), np.float32)
        for channel in descriptors:  # one at a time stays in the processor's cache
            gap = channel[rows, cols] - channel[other_rows, other_cols]
            gap *= gap
            distance += gap
        weight[rows, cols] = np.exp(-distance)
    return weights


def graph_of(weights: NDArray[np.float32]) -> WalkerGraph:
    """The graph with those edges, see `edge_weights`, and the one of its blocks."""
    height, width = weights.shape[1:]
    graph = _graph(weights)
    if min(height, width) < SMALLEST_SIDE:
        return graph
    return replace(graph, coarser=_graph(coarser_weights(weights)))


def coarser_weights(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Edges (4, h / 2, w / 2), rounded up, between blocks of two by two nodes: the sums of those that cross."""
    height, width = (-(-side // 2) for side in weights.shape[1:])
    even = np.zeros((len(OFFSETS), 2 * height, 2 * width), np.float32)
    even[:, : weights.shape[1], : weights.shape[2]] = weights

    def each(kind: int, row: int, col: int) -> NDArray[np.float32]:
        """Of every block the edges of one kind that begin at this one of its nodes."""
        return even[kind, row::2, col::2]

    across, down, falling, rising = range(len(OFFSETS))
    coarse = np.zeros((len(OFFSETS), height, width), np.float32)
    coarse[0] = each(across, 0, 1) + each(across, 1, 1) + each(falling, 0, 1)
    coarse[0, :, :-1] += each(rising, 0, 0)[:, 1:]  # they begin in the next block, and lead back into this one
    coarse[1] = each(down, 1, 0) + each(down, 1, 1) + each(falling, 1, 0) + each(rising, 1, 1)
    coarse[2] = each(falling, 1, 1)
    coarse[3] = each(rising, 1, 0)
    return np.float32(COARSE_SHARE) * coarse


def _graph(weights: NDArray[np.float32]) -> WalkerGraph:
    height, width = weights.shape[1:]
    n = (height + 2) * (width + 2)
    diagonals = np.empty((2 * len(OFFSETS), n), np.float32)
    offsets = []
    degree = np.zeros((height + 2, width + 2), np.float32)
    for k, (down, across) in enumerate(OFFSETS):
        weight = np.pad(weights[k], 1)
        degree += weight
        offset = down * (width + 2) + across
        diagonals[2 * k] = np.roll(weight.ravel(), offset)  # column j of diagonal k holds A[j - k, j]
        diagonals[2 * k + 1] = weight.ravel()
        degree.ravel()[:] += diagonals[2 * k]
        offsets += [offset, -offset]
    adjacency = sparse.dia_array((diagonals, offsets), shape=(n, n))
    return WalkerGraph(adjacency, degree.ravel(), (height, width))


def walk(
    graph: WalkerGraph,
    prior: NDArray[np.float32],
    seeds: Seeds,
) -> NDArray[np.float32]:
    """Solve the walker by a fixed number of conjugate gradient steps.

    Args:
        prior: (K, h, w) float32 in -1..1, the head's signed score per class.
        seeds: the clicks.

    Returns (K, h, w) float32 in -1..1. Reference: Grady 2005, "Multilabel random walker image segmentation using
    prior models".
    """
    if graph.coarser is None:
        return _solved(graph, prior, prior, seeds, prior_weight=PRIOR_WEIGHT, steps=COARSE_STEPS + STEPS)
    height, width = graph.hw
    start = np.empty_like(prior)
    for coarse_map, start_map in zip(walk_coarsely(graph, prior, seeds), start, strict=True):
        grown = cv2.resize(coarse_map, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
        start_map[:] = grown[:height, :width]
    return _solved(graph, prior, start, seeds, prior_weight=PRIOR_WEIGHT, steps=STEPS)


def walk_coarsely(
    graph: WalkerGraph,
    prior: NDArray[np.float32],
    seeds: Seeds,
) -> NDArray[np.float32]:
    """As `walk`, on the coarser grid: (K, h / 2, w / 2), rounded up; that of the graph where there is none."""
    coarser = graph.coarser
    if coarser is None:
        return walk(graph, prior, seeds)
    height, width = coarser.hw
    even = np.pad(prior, ((0, 0), (0, 2 * height - graph.hw[0]), (0, 2 * width - graph.hw[1])), mode="edge")
    small = np.stack([cv2.resize(prior_map, (width, height), interpolation=cv2.INTER_AREA) for prior_map in even])
    coarse_seeds = Seeds(seeds.rows // 2, seeds.cols // 2, seeds.values)
    weight = PRIOR_WEIGHT * 4  # so many nodes say it
    return _solved(coarser, small, small, coarse_seeds, prior_weight=weight, steps=COARSE_STEPS)


def _solved(
    graph: WalkerGraph,
    prior: NDArray[np.float32],
    start: NDArray[np.float32],
    seeds: Seeds,
    *,
    prior_weight: float,
    steps: int,
) -> NDArray[np.float32]:
    """All classes of `walk` on one grid, from `start` (K, h, w)."""
    nodes, clicked = np.unique(seeds.rows * graph.hw[1] + seeds.cols, return_inverse=True)
    counts = np.bincount(clicked, minlength=len(nodes))
    rows, cols = nodes // graph.hw[1], nodes % graph.hw[1]
    held = np.zeros((graph.hw[0] + 2, graph.hw[1] + 2), np.float32)
    held[rows + 1, cols + 1] = CLICK_WEIGHT
    diagonal = graph.degree + np.float32(prior_weight) + held.ravel()
    walked = np.empty_like(prior)
    for k, class_prior in enumerate(prior):
        click_values = np.bincount(clicked, seeds.values[k], minlength=len(nodes)) / np.maximum(counts, 1)
        held_values = click_values.astype(np.float32)
        wanted = np.pad(np.float32(prior_weight) * class_prior, 1)
        wanted[rows + 1, cols + 1] = CLICK_WEIGHT * held_values
        first = np.pad(start[k], 1)
        first[rows + 1, cols + 1] = held_values
        solution = _conjugate_gradients(graph.adjacency, diagonal, wanted.ravel(), first.ravel(), steps=steps)
        walked[k] = np.clip(solution.reshape(graph.hw[0] + 2, -1)[1:-1, 1:-1], -1, 1)
        walked[k][rows, cols] = held_values
    return walked


def _conjugate_gradients(
    adjacency: sparse.dia_array,
    diagonal: NDArray[np.float32],
    wanted: NDArray[np.float32],
    solution: NDArray[np.float32],
    *,
    steps: int,
) -> NDArray[np.float32]:
    """`solution` (n,), improved in place: (diagonal - adjacency) x = wanted, scaled by the diagonal."""
    residual = wanted - diagonal * solution + adjacency @ solution
    scaled = residual / diagonal
    direction = scaled.copy()
    image = np.empty_like(direction)
    old = float(residual @ scaled)
    for _ in range(steps):
        np.multiply(diagonal, direction, out=image)
        image -= adjacency @ direction
        step = old / max(float(direction @ image), 1e-20)
        solution = saxpy(direction, solution, a=step)  # in place, in one pass
        residual = saxpy(image, residual, a=-step)
        np.divide(residual, diagonal, out=scaled)
        new = float(residual @ scaled)
        direction *= np.float32(new / max(old, 1e-20))
        direction += scaled
        old = new
    return solution
