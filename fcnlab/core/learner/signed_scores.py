"""From scores to signed scores, to probabilities, to the class that wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from fcnlab.core.learner.head import Head
from fcnlab.core.learner.queries import likeliest


def margins(head: Head) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of the scores that decide: the difference of two classes, or one score per class."""
    if len(head.class_ids) == 2:
        return head.weights[1:] - head.weights[:1], head.bias[1:] - head.bias[:1]
    return head.weights, head.bias


def signed_scores_of(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores -> signed scores in -1..1: of the second class if there is one score, else of every class."""
    if len(scores) == 1:
        return np.asarray(np.tanh(scores / 2), np.float32)
    return np.asarray(2 * softmax(scores, axis=0) - 1, np.float32)


def probabilities_of(signed_scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, H, W) float32 in 0..1 that sum to one."""
    if len(signed_scores) > 1:
        share = np.clip(signed_scores * 0.5 + 0.5, 0, 1)
        return np.asarray(share / np.maximum(share.sum(axis=0), 1e-6), np.float32)
    both = np.empty((2, *signed_scores.shape[1:]), np.float32)
    np.multiply(signed_scores[0], np.float32(0.5), out=both[1])
    both[1] += np.float32(0.5)
    np.clip(both[1], 0, 1, out=both[1])
    np.subtract(1, both[1], out=both[0])
    return both


def winning_class(class_ids: Sequence[int], probabilities: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Class id (H, W) uint8 of the most probable class, the first among equals; `class_ids` are those of the K maps."""
    if len(class_ids) != 2:
        return np.asarray(class_ids, np.uint8)[likeliest(probabilities)]
    first, second = class_ids
    is_second = (probabilities[1] > probabilities[0]).view(np.uint8)
    return np.asarray(is_second * np.uint8((second - first) % 256) + np.uint8(first), np.uint8)
