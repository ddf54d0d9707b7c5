"""From scores to signed scores, to probabilities, to the class that wins."""

from __future__ import annotations

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
    share = np.clip(signed_scores * 0.5 + 0.5, 0, 1)
    if len(share) == 1:
        return np.concatenate([1 - share, share])
    return np.asarray(share / np.maximum(share.sum(axis=0), 1e-6), np.float32)


def winner_of(probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number (H, W) of the most probable class, the first among equals."""
    if len(probabilities) == 2:
        return np.asarray(probabilities[1] > probabilities[0], np.intp)
    return likeliest(probabilities).astype(np.intp)
