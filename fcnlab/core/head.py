"""The linear skip head: fitting it to samples at clicked pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax

from fcnlab.errors import NoPoints

GRADIENT_TOLERANCE = 2e-6
MAX_STEPS = 300
MEMORY = 10
BIAS_PENALTY = 1e-3
"""The bias is held this much less than the weights: enough to make the minimum unique."""

PENALTY = 2e-3
"""L2 penalty at regularisation 1, per unit of mean loss."""


@dataclass(frozen=True, slots=True)
class Head:
    """weights (K, D) float32 on standardised features, bias (K,) float32; output k scores class `class_ids[k]`."""

    class_ids: tuple[int, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Samples:
    """What one or many images teach: features (N, D) float32, class_ids (N,) int64, weights (N,) float32."""

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
    return result / result.sum()


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
    classes = tuple(int(one) for one in np.unique(samples.class_ids))
    if len(classes) < 2:
        raise NoPoints(missing_message(classes))
    targets = np.searchsorted(np.asarray(classes), samples.class_ids)
    weights = point_weights(samples.class_ids, samples.weights, classes, class_weight)
    objective = _two_class_loss if len(classes) == 2 else _many_class_loss
    found = minimize(
        objective,
        _start(start, classes, samples.features.shape[1]).ravel(),
        args=(samples.features, targets, weights, PENALTY * regularisation),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxiter": MAX_STEPS, "maxcor": MEMORY},
    )
    parameters = found.x.reshape(-1, samples.features.shape[1] + 1)
    if len(classes) == 2:
        parameters = np.concatenate([-parameters / 2, parameters / 2])
    return Head(
        classes,
        np.ascontiguousarray(parameters[:, :-1], dtype=np.float32),
        np.ascontiguousarray(parameters[:, -1], dtype=np.float32),
    )


def _two_class_loss(
    margin: NDArray[np.float64],
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    penalty: float,
) -> tuple[float, NDArray[np.float64]]:
    """Loss and gradient in the difference (D + 1,) of the two classes' weights: half the numbers, same minimum."""
    signs = 2.0 * targets - 1
    scores = (features @ margin[:-1].astype(np.float32)).astype(np.float64) + margin[-1]
    residual = -weights * signs * expit(-signs * scores)
    shrink = np.full(len(margin), penalty / 2)
    shrink[-1] *= BIAS_PENALTY
    gradient = shrink * margin
    value = float(weights @ np.logaddexp(0, -signs * scores)) + 0.5 * float(gradient @ margin)
    gradient[:-1] += residual.astype(np.float32) @ features
    gradient[-1] += residual.sum()
    return value, gradient


def _many_class_loss(
    flat: NDArray[np.float64],
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    weights: NDArray[np.float64],
    penalty: float,
) -> tuple[float, NDArray[np.float64]]:
    """Loss and gradient in the weights and bias (K * (D + 1),) of every class."""
    parameters = flat.reshape(-1, features.shape[1] + 1)
    own = np.arange(len(targets)), targets
    scores = features @ parameters[:, :-1].T.astype(np.float32)
    logs = log_softmax(scores.astype(np.float64) + parameters[:, -1], axis=1)
    residual = np.exp(logs)
    residual[own] -= 1
    residual *= weights[:, None]
    gradient = penalty * parameters
    gradient[:, -1] *= BIAS_PENALTY
    value = 0.5 * float((gradient * parameters).sum()) - float(weights @ logs[own])
    gradient[:, :-1] += residual.T.astype(np.float32) @ features
    gradient[:, -1] += residual.sum(axis=0)
    return value, gradient.ravel()


def missing_message(classes: tuple[int, ...]) -> str:
    """What the labeller has to add before anything can be learned."""
    if not classes:
        return "no points yet: click at least one pixel in each of two classes"
    return f"all points are of class {classes[0]}: click at least one pixel of a second class"


def _start(start: Head | None, classes: tuple[int, ...], width: int) -> NDArray[np.float64]:
    """Starting parameters (K, D + 1), or (1, D + 1) for two classes; zero for classes the earlier head did not know."""
    parameters = np.zeros((len(classes), width + 1))
    if start is not None and start.weights.shape[1] == width:
        for k, class_id in enumerate(classes):
            if class_id in start.class_ids:
                earlier = start.class_ids.index(class_id)
                parameters[k, :width] = start.weights[earlier]
                parameters[k, width] = start.bias[earlier]
    return parameters[1:] - parameters[:1] if len(classes) == 2 else parameters
