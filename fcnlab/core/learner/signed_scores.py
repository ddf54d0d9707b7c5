"""From scores to signed scores, to probabilities, to the class that wins."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from fcnlab.core.encoding.stages import Stages, score_stages
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.ordinal import grade_log_probabilities
from fcnlab.core.learner.queries import likeliest


def margins(head: Head) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and bias of the linear scores that decide, see `class_scores`: the difference of two classes, or one
    score per class; of a head with grades, its outputs."""
    if len(head.class_ids) == 2 and head.scale is None:
        return head.weights[1:] - head.weights[:1], head.bias[1:] - head.bias[:1]
    return head.weights, head.bias


def n_scores(head: Head) -> int:
    """Number of scores that decide: one between two classes, else one per class."""
    return 1 if len(head.class_ids) == 2 else len(head.class_ids)


def class_scores(linear: NDArray[np.float32], head: Head, *, grade_weight: float = 1.0) -> NDArray[np.float32]:
    """Scores (1 or K, ...): of the second class over the first, or per class.

    Args:
        linear: (M, ...) float32, by what `margins` gave.
        grade_weight: what the odds between grades count; below 1 they are less sure. The probability that it is a grade
            at all stays.

    They are the linear ones unless there are grades. Then a class that is none keeps its score, and a grade has that of
    all grades together plus the log of its probability among them.
    """
    scale = head.scale
    if scale is None:
        return linear
    scores = np.empty((len(head.class_ids), *linear.shape[1:]), np.float32)
    others = [k for k in range(len(head.class_ids)) if k not in scale.places]
    scores[others] = linear[: len(others)]
    of_grades = grade_log_probabilities(linear[-1], scale.thresholds)
    if grade_weight != 1:
        of_grades *= np.float32(grade_weight)
        of_grades -= logsumexp(of_grades, axis=0)
    for place, of_grade in zip(scale.places, of_grades, strict=True):
        if place >= 0:
            scores[place] = of_grade + linear[-2] if others else of_grade
    return scores[1:] - scores[:1] if len(scores) == 2 else scores


def scored(stages: Stages, head: Head, *, grid: int = 1, grade_weight: float = 1.0) -> NDArray[np.float32]:
    """Scores (1 or K, ceil(H / grid), ceil(W / grid)) float32 of a picture, see `class_scores`."""
    return class_scores(score_stages(stages, *margins(head), grid=grid), head, grade_weight=grade_weight)


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
