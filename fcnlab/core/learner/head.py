"""The linear skip head: fitting it to samples at clicked pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax

from fcnlab.core.learner.descent import Curvature, Vector, descend
from fcnlab.errors import NoPoints

GRADIENT_TOLERANCE = 3e-7
MAX_STEPS = 300
BIAS_PENALTY = 1e-3
"""The bias is held this much less than the weights: enough to make the minimum unique."""

PENALTY = 2e-3
"""L2 penalty at regularisation 1, per unit of mean loss."""


@dataclass(frozen=True, slots=True)
class Head:
    """weights (K, D) float32 on standardised features, bias (K,) float32; output k scores class `class_ids[k]`.

    `is_guess`: nobody clicked its background. `curvature` makes the next fit quicker when this head is its start; a
    head without it scores the same.
    """

    class_ids: tuple[int, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    is_guess: bool = False
    curvature: Curvature = field(default_factory=Curvature, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Samples:
    """Training samples of one or many images: features (N, D) float32, class_ids (N,) int64, weights (N,) float32."""

    features: NDArray[np.float32]
    class_ids: NDArray[np.int64]
    weights: NDArray[np.float32]


def point_weights(
    class_ids: NDArray[np.int64], weights: NDArray[np.float32], classes: tuple[int, ...], class_weight: str
) -> NDArray[np.float64]:
    """Weights (N,) that sum to one; "balanced" gives every class present the same share."""
    result = weights.astype(np.float64)
    if class_weight == "balanced":
        for class_id in classes:
            of_class = class_ids == class_id
            result[of_class] /= result[of_class].sum()
    return np.asarray(result / result.sum(), np.float64)


def fit_head(
    samples: Samples,
    *,
    class_weight: str = "balanced",
    regularisation: float = 1.0,
    start: Head | None = None,
) -> Head:
    """Minimise the class-balanced point loss plus an L2 penalty: convex, by L-BFGS.

    Args:
        samples: of one or more images, in canonical order (float sums depend on it).
        start: an earlier head to start from; None starts at zero. Both end at the same minimum.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    classes = tuple(int(class_id) for class_id in np.unique(samples.class_ids))
    if len(classes) < 2:
        raise NoPoints(missing_message(classes))
    targets = np.searchsorted(np.asarray(classes), samples.class_ids)
    weights = point_weights(samples.class_ids, samples.weights, classes, class_weight)
    residuals = _two_class_residuals if len(classes) == 2 else _many_class_residuals
    features = torch.from_numpy(samples.features)
    flat, start_curvature = _start(start, classes, samples.features.shape[1])
    shrink = np.full((flat.size // (features.shape[1] + 1), features.shape[1] + 1), PENALTY * regularisation)
    shrink[:, -1] *= BIAS_PENALTY
    if len(classes) == 2:
        shrink /= 2  # the difference of two weights, each the other's negative, costs half

    def gradient_at(position: Vector) -> Vector:
        parameters = position.reshape(shrink.shape)
        matrix = torch.from_numpy(parameters[:, :-1].astype(np.float32))
        scores = (matrix @ features.T).numpy() + parameters[:, -1:]
        residual = residuals(scores, targets) * weights
        gradient = shrink * parameters
        gradient[:, :-1] += (torch.from_numpy(residual.astype(np.float32)) @ features).numpy()
        gradient[:, -1] += residual.sum(axis=1)
        return gradient.ravel()

    minimum, curvature = descend(
        gradient_at, flat, curvature=start_curvature, tolerance=GRADIENT_TOLERANCE, max_steps=MAX_STEPS
    )
    parameters = minimum.reshape(shrink.shape)
    if len(classes) == 2:
        parameters = np.concatenate([-parameters / 2, parameters / 2])
    return Head(
        classes,
        np.ascontiguousarray(parameters[:, :-1], dtype=np.float32),
        np.ascontiguousarray(parameters[:, -1], dtype=np.float32),
        curvature=curvature,
    )


def _two_class_residuals(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1, N): derivative of the loss by the score (1, N) of the second class over the first."""
    return np.asarray(expit(scores) - targets, np.float64)


def _many_class_residuals(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, N): derivative of the loss by the score (K, N) of every class."""
    residual: NDArray[np.float64] = softmax(scores, axis=0)
    residual[targets, np.arange(len(targets))] -= 1
    return residual


def missing_message(classes: tuple[int, ...]) -> str:
    """What the labeller has to add before anything can be learned."""
    if not classes:
        return "no points yet: click at least one pixel in each of two classes"
    return f"all points are of class {classes[0]}: click at least one pixel of a second class"


def _start(start: Head | None, classes: tuple[int, ...], width: int) -> tuple[Vector, Curvature]:
    """Flat parameters to start from, (K, D + 1), or (1, D + 1) for two classes, and the curvature known there.

    Zero for classes the earlier head did not know.
    """
    parameters = np.zeros((len(classes), width + 1))
    curvature = Curvature()
    if start is not None and start.weights.shape[1] == width:
        for k, class_id in enumerate(classes):
            if class_id in start.class_ids:
                earlier = start.class_ids.index(class_id)
                parameters[k, :width] = start.weights[earlier]
                parameters[k, width] = start.bias[earlier]
        if start.class_ids == classes:
            curvature = start.curvature
    if len(classes) == 2:
        parameters = parameters[1:] - parameters[:1]
    return parameters.ravel(), curvature
