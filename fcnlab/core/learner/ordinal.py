"""The cumulative logit model of classes that are grades of one thing: one direction of the features, and thresholds.

P(grade <= k) = sigmoid(threshold k - z), z the product of direction and features. References: McCullagh 1980,
"Regression models for ordinal data"; Agresti 2013, "Categorical data analysis", chapter 8.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from fcnlab.core.learner.descent import Curvature, Vector

DIRECTION_PENALTY = 5e-3
"""L2 penalty on the direction at regularisation 1, per unit of mean loss. Thresholds have none."""


@dataclass(frozen=True, slots=True)
class GradeScale:
    """Where grades lie along the last of a head's linear scores.

    Attributes:
        places: of the grades among the class ids of the head, the lowest grade first; -1 for one no longer in use.
        thresholds: (G - 1,) float32, increasing.
        curvature: makes the next fit quicker that starts here.
    """

    places: tuple[int, ...]
    thresholds: NDArray[np.float32]
    curvature: Curvature = field(default_factory=Curvature, repr=False, compare=False)


class OrdinalLoss:
    """Minus the log likelihood of graded samples plus the penalty, a convex function of flat parameters (D + G - 1,):
    direction, then thresholds.

    With d the gap between the thresholds a and b around a grade, sigmoid(a - z) - sigmoid(b - z) is
    sigmoid(a - z) * sigmoid(z - b) * (1 - exp(-d)). So a sample costs two logistic losses and -log(1 - exp(-d)), which
    keeps thresholds in order. Below a gap d0 that last part goes on as the parabola with its value, slope and
    curvature at d0, so that the loss is defined everywhere and stays convex.

    The minimum lies where no gap is so small. Let W be the sum of weights, W_k that of grade k. Raising all thresholds
    above grade k together changes the loss at a rate of at most -W_k / (exp(d) - 1), through the gap, plus the weight
    of the higher grades, at most W - W_k: a logistic loss has a slope of at most 1, and the grade itself gains. At a
    minimum the rate is 0, so that d >= log(1 + W_k / (W - W_k)); d0 is half of log(1 + W_k / W).
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        targets: NDArray[np.int64],
        weights: NDArray[np.float64],
        *,
        n_grades: int,
        penalty: float,
    ) -> None:
        """Of samples (N, D) whose grades are targets (N,), 0 to G - 1, each of which occurs; weights (N,) above 0."""
        self._features, self._targets, self._weights, self._penalty = features, targets, weights, penalty
        self._shares = np.bincount(targets, weights, minlength=n_grades)
        self._least_gaps = np.log1p(self._shares / self._shares.sum())[1:-1] / 2
        self.n_gradients = 0

    def cold_start(self) -> Vector:
        """The minimum with a direction of zero: thresholds by how much each grade weighs."""
        below = np.cumsum(self._shares)[:-1] / self._shares.sum()
        return np.concatenate([np.zeros(self._features.shape[1]), logit(below)])

    def gradient_at(self, position: Vector) -> Vector:
        """The gradient (D + G - 1,) at flat parameters."""
        self.n_gradients += 1
        width, n_grades = self._features.shape[1], len(self._shares)
        direction, thresholds = position[:width], position[width:]
        z = (self._features @ direction.astype(np.float32)).astype(np.float64)
        bounds = np.concatenate([[-np.inf], thresholds, [np.inf]])
        too_high = self._weights * expit(z - bounds[self._targets + 1])
        too_low = self._weights * expit(bounds[self._targets] - z)
        pulled_down, pulled_up = (np.bincount(self._targets, parts, n_grades) for parts in (too_low, too_high))
        by_gap = self._shares[1:-1] * _gap_slopes(np.diff(thresholds), self._least_gaps)
        by_threshold = pulled_down[1:] - pulled_up[:-1] + np.append(0, by_gap) - np.append(by_gap, 0)
        by_direction = (too_high - too_low).astype(np.float32) @ self._features + self._penalty * direction
        return np.concatenate([by_direction, by_threshold])


def _gap_slopes(gaps: Vector, least: Vector) -> Vector:
    """Derivative of -log(1 - exp(-d)) at gaps d (G - 2,), continued as a straight line below the least ones."""
    inside = np.maximum(gaps, least)
    curvatures = np.exp(-least) / np.expm1(-least) ** 2
    return np.asarray(np.exp(-inside) / np.expm1(-inside) + curvatures * (gaps - inside), np.float64)


def grade_log_probabilities(z: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log of the probability of each grade (G, ...) float32 at scores z (...) along the direction."""
    result = np.zeros((len(thresholds) + 1, *z.shape), np.float32)
    for k, threshold in enumerate(thresholds):
        above = z - threshold
        softplus = np.maximum(above, 0) + np.log1p(np.exp(-np.abs(above)))
        result[k] -= softplus
        result[k + 1] -= softplus - above
    for k, gap in enumerate(np.diff(thresholds), start=1):
        result[k] += np.log(max(-np.expm1(-gap), np.finfo(np.float32).tiny))
    return result
