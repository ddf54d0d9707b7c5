"""The linear skip head: fitting it to samples at clicked pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from fcnlab.errors import NoPoints

GRADIENT_TOLERANCE = 2e-6
MAX_STEPS = 300
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
    n_classes, width = len(classes), samples.features.shape[1]
    targets = np.searchsorted(np.asarray(classes), samples.class_ids)
    weights = point_weights(samples.class_ids, samples.weights, classes, class_weight)
    features = samples.features
    penalty = PENALTY * regularisation

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        parameters = flat.reshape(n_classes, width + 1)
        scores = features @ parameters[:, :width].T.astype(np.float32) + parameters[:, width].astype(np.float32)
        logs = log_softmax(scores.astype(np.float64), axis=1)
        residual = np.exp(logs)
        residual[np.arange(len(targets)), targets] -= 1
        residual *= weights[:, None]
        gradient = np.empty_like(parameters)
        gradient[:, :width] = residual.T.astype(np.float32) @ features + penalty * parameters[:, :width]
        gradient[:, width] = residual.sum(axis=0) + 1e-3 * penalty * parameters[:, width]
        value = -float(weights @ logs[np.arange(len(targets)), targets])
        value += 0.5 * penalty * float((parameters[:, :width] ** 2).sum())
        value += 0.5e-3 * penalty * float((parameters[:, width] ** 2).sum())
        return value, gradient.ravel()

    found = minimize(
        loss,
        _start(start, classes, width),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxiter": MAX_STEPS, "maxcor": 20},
    )
    parameters = found.x.reshape(n_classes, width + 1)
    return Head(
        classes,
        np.ascontiguousarray(parameters[:, :width], dtype=np.float32),
        np.ascontiguousarray(parameters[:, width], dtype=np.float32),
    )


def missing_message(classes: tuple[int, ...]) -> str:
    """What the labeller has to add before anything can be learned."""
    if not classes:
        return "no points yet: click at least one pixel in each of two classes"
    return f"all points are of class {classes[0]}: click at least one pixel of a second class"


def _start(start: Head | None, classes: tuple[int, ...], width: int) -> NDArray[np.float64]:
    """Starting parameters, flat; rows of classes the earlier head did not know are zero."""
    parameters = np.zeros((len(classes), width + 1))
    if start is not None and start.weights.shape[1] == width:
        for k, class_id in enumerate(classes):
            if class_id in start.class_ids:
                earlier = start.class_ids.index(class_id)
                parameters[k, :width] = start.weights[earlier]
                parameters[k, width] = start.bias[earlier]
    return parameters.ravel()
