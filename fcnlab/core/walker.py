"""A random walker with priors: the head's opinion spread along what looks alike, held fast at the clicks."""

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
    """Adjacency (n, n) float32 CSR of a grid of n = h * w nodes, 8 neighbours, and the degree (n,) of each node."""

    adjacency: sparse.csr_matrix
    degree: NDArray[np.float32]
    hw: tuple[int, int]


def walker_graph(lab: NDArray[np.float32], features: NDArray[np.float32]) -> WalkerGraph:
    """Edges between neighbouring nodes: exp(-colour distance^2 / 128 - 2 * feature distance^2).

    Args:
        lab: (h, w, 3) CIELAB at the nodes.
        features: (C, h, w) standardised features at the nodes.
    """
    height, width = lab.shape[:2]
    numbers = np.arange(height * width).reshape(height, width)
    heads, tails, weights = [], [], []
    for down, across in OFFSETS:
        first = (slice(0, height - down), slice(max(0, -across), width - max(0, across)))
        second = (slice(down, height), slice(max(0, across), width - max(0, -across)))
        colour = ((lab[first] - lab[second]) ** 2).sum(axis=2)
        looks = ((features[:, first[0], first[1]] - features[:, second[0], second[1]]) ** 2).sum(axis=0)
        weights.append(np.exp(-colour / COLOUR_SCALE - FEATURE_WEIGHT * looks).ravel())
        heads.append(numbers[first].ravel())
        tails.append(numbers[second].ravel())
    head, tail, weight = np.concatenate(heads), np.concatenate(tails), np.concatenate(weights).astype(np.float32)
    n = height * width
    half = sparse.csr_matrix((weight, (head, tail)), shape=(n, n))
    adjacency = (half + half.T).tocsr()
    degree = np.asarray(adjacency.sum(axis=1)).ravel().astype(np.float32)
    return WalkerGraph(adjacency, degree, (height, width))


def walk(
    graph: WalkerGraph, prior: NDArray[np.float32], nodes: NDArray[np.int64], values: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Solve the walker by a fixed number of conjugate gradient steps.

    Args:
        prior: (K, h, w) float32 in -1..1, the head's opinion per class.
        nodes: (N,) node numbers of the clicks; values: (K, N) in -1..1, what they hold fast.

    Returns (K, h, w) float32 in -1..1. Reference: Grady 2005, "Multilabel random walker image segmentation using
    prior models".
    """
    n_classes = len(prior)
    held = np.zeros(len(graph.degree), np.float32)
    held[nodes] = CLICK_WEIGHT
    target = PRIOR_WEIGHT * prior.reshape(n_classes, -1).T
    target[nodes] += CLICK_WEIGHT * values.T
    diagonal = (graph.degree + PRIOR_WEIGHT + held)[:, None]
    solution = prior.reshape(n_classes, -1).T.copy()
    solution[nodes] = values.T
    residual = target - (diagonal * solution - graph.adjacency @ solution)
    scaled = residual / diagonal
    direction = scaled.copy()
    old = (residual * scaled).sum(axis=0)
    for _ in range(STEPS):
        image = diagonal * direction - graph.adjacency @ direction
        step = old / np.maximum((direction * image).sum(axis=0), 1e-20)
        solution += step * direction
        residual -= step * image
        scaled = residual / diagonal
        new = (residual * scaled).sum(axis=0)
        direction = scaled + (new / np.maximum(old, 1e-20)) * direction
        old = new
    return np.clip(solution.T.reshape(prior.shape), -1, 1)
