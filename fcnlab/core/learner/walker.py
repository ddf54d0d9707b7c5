"""A random walker with priors: the head's scores spread along what looks alike, held fast at the clicks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

COLOUR_SCALE = 128.0
FEATURE_WEIGHT = 2.0
PRIOR_WEIGHT = 0.01
CLICK_WEIGHT = 1e3
STEPS = 60
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True, slots=True)
class WalkerGraph:
    """A grid of h * w nodes with 8 neighbours each, inside a frame one node wide that no edge reaches.

    Attributes:
        adjacency: (n, n) float32 edge weights by diagonals, n = (h + 2) * (w + 2); row-major numbers.
        degree: (n,) float32, the sum of each node's edges.
        hw: height and width without the frame.
    """

    adjacency: sparse.dia_array
    degree: NDArray[np.float32]
    hw: tuple[int, int]


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
        gap = descriptors[:, rows, cols] - descriptors[:, other_rows, other_cols]
        weight[rows, cols] = np.exp(-np.einsum("chw,chw->hw", gap, gap))
    return weights


def graph_of(weights: NDArray[np.float32]) -> WalkerGraph:
    """The graph with those edges, see `edge_weights`."""
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
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    values: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Solve the walker by a fixed number of conjugate gradient steps.

    Args:
        prior: (K, h, w) float32 in -1..1, the head's signed score per class.
        rows, cols: (N,) nodes of the clicks; values: (K, N) in -1..1, what they hold fast (their mean where
            several clicks share a node).

    Returns (K, h, w) float32 in -1..1. Reference: Grady 2005, "Multilabel random walker image segmentation using
    prior models".
    """
    nodes, clicked = np.unique(rows * graph.hw[1] + cols, return_inverse=True)
    counts = np.bincount(clicked, minlength=len(nodes))
    rows, cols = nodes // graph.hw[1], nodes % graph.hw[1]
    held = np.zeros((graph.hw[0] + 2, graph.hw[1] + 2), np.float32)
    held[rows + 1, cols + 1] = CLICK_WEIGHT
    diagonal = graph.degree + np.float32(PRIOR_WEIGHT) + held.ravel()
    walked = np.empty_like(prior)
    for k, class_prior in enumerate(prior):
        click_values = np.bincount(clicked, values[k], minlength=len(nodes)) / np.maximum(counts, 1)
        walked[k] = _walk_one(graph, diagonal, class_prior, rows, cols, click_values.astype(np.float32))
    return walked


def _walk_one(
    graph: WalkerGraph,
    diagonal: NDArray[np.float32],
    prior: NDArray[np.float32],
    rows: NDArray[np.int64],
    cols: NDArray[np.int64],
    values: NDArray[np.float32],
) -> NDArray[np.float32]:
    """One class of `walk`: conjugate gradients, scaled by the diagonal, from the prior."""
    start = np.pad(prior, 1)
    wanted = np.float32(PRIOR_WEIGHT) * start
    start[rows + 1, cols + 1] = values
    wanted[rows + 1, cols + 1] = CLICK_WEIGHT * values
    solution = start.ravel()
    residual = wanted.ravel() - diagonal * solution + graph.adjacency @ solution
    scaled = residual / diagonal
    direction = scaled.copy()
    old = float(residual @ scaled)
    for _ in range(STEPS):
        image = diagonal * direction - graph.adjacency @ direction
        step = np.float32(old / max(float(direction @ image), 1e-20))
        solution += step * direction
        residual -= step * image
        np.divide(residual, diagonal, out=scaled)
        new = float(residual @ scaled)
        direction *= np.float32(new / max(old, 1e-20))
        direction += scaled
        old = new
    walked = np.clip(solution.reshape(graph.hw[0] + 2, -1)[1:-1, 1:-1], -1, 1)
    walked[rows, cols] = values
    return walked
