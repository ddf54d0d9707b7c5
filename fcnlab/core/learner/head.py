"""The linear skip head: fitting it to samples at clicked pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, softmax

from fcnlab.core.learner.descent import Curvature, Vector, descend
from fcnlab.core.learner.inverse_hessian import MOST_ADDED, InverseHessian, inverse_hessian, sample_keys
from fcnlab.core.learner.ordinal import DIRECTION_PENALTY, GradeScale, OrdinalLoss
from fcnlab.domain.project import IGNORE
from fcnlab.errors import NoPoints

GRADIENT_TOLERANCE = 3e-7
MAX_STEPS = 300
LEAST_CURVATURE = 0.05
"""What p * (1 - p) is taken for at least where a point is new: the fit goes on to change it."""

BIAS_PENALTY = 1e-3
"""The bias is held this much less than the weights: enough to make the minimum unique."""

PENALTY = 2e-3
"""L2 penalty at regularisation 1, per unit of mean loss."""


GROUP = IGNORE
"""Stands for all grades together, among the ids of the classes that are no grades."""


@dataclass(frozen=True, slots=True)
class Head:
    """weights (K, D) float32 on standardised features, bias (K,) float32; output k scores class `class_ids[k]`.

    With a `scale`, some classes are grades of one thing, and the outputs are others: one for each class that is no
    grade, one for all grades together if there are such classes, and the last one says how high the grade is; see
    `signed_scores.class_scores`.

    `is_guess`: nobody clicked its background. `curvature` and `inverse` make the next fit quicker when this head is its
    start; a head without them scores the same. `gradients`: how many the fit needed.
    """

    class_ids: tuple[int, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    is_guess: bool = False
    scale: GradeScale | None = None
    curvature: Curvature = field(default_factory=Curvature, repr=False, compare=False)
    inverse: InverseHessian | None = field(default=None, repr=False, compare=False)
    gradients: int = field(default=0, repr=False, compare=False)

    @property
    def n_outputs(self) -> int:
        """Number of rows that weights and bias have to have."""
        n_others = len(self.class_ids) - (len({*self.scale.places} - {-1}) if self.scale else 0)
        return n_others if self.scale is None else 1 + n_others + (n_others > 0)


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
    grades: tuple[int, ...] = (),
    start: Head | None = None,
) -> Head:
    """Minimise the class-balanced point loss plus an L2 penalty: convex, by L-BFGS.

    Args:
        samples: of one or more images, in canonical order (float sums depend on it).
        grades: ids of classes that are grades of one thing, the lowest first. Those without points are left out; an
            order of two classes alone says nothing.
        start: an earlier head to start from; None starts at zero. Both end at the same minimum.

    Raises:
        NoPoints: fewer than two classes have points.
    """
    classes = tuple(int(class_id) for class_id in np.unique(samples.class_ids))
    present = tuple(class_id for class_id in grades if class_id in classes)
    if len(present) < 2 or len(classes) < 3:
        return _fit_classes(samples, class_weight, regularisation, start)
    return _fit_grades(samples, classes, present, class_weight, regularisation, start)


def _fit_classes(samples: Samples, class_weight: str, regularisation: float, start: Head | None) -> Head:
    """The head of classes without an order."""
    loss = _PointLoss(samples, class_weight, regularisation)
    flat, curvature = _start(start, loss.classes, samples.features.shape[1])
    inverse = None if start is None else _inverse_with(start, loss)
    minimum, curvature = descend(
        loss.gradient_at,
        flat,
        curvature=curvature if inverse is None else Curvature(),
        tolerance=GRADIENT_TOLERANCE,
        max_steps=MAX_STEPS,
        precondition=None if inverse is None else inverse.times,
    )
    parameters = minimum.reshape(loss.shape)
    if len(loss.classes) == 2:
        parameters = np.concatenate([-parameters / 2, parameters / 2])
    return Head(
        loss.classes,
        np.ascontiguousarray(parameters[:, :-1], dtype=np.float32),
        np.ascontiguousarray(parameters[:, -1], dtype=np.float32),
        curvature=curvature if inverse is None else Curvature(),
        inverse=None if inverse is None else inverse.used(loss.n_gradients),
        gradients=loss.n_gradients,
    )


def _fit_grades(
    samples: Samples,
    classes: tuple[int, ...],
    grades: tuple[int, ...],
    class_weight: str,
    regularisation: float,
    start: Head | None,
) -> Head:
    """The head of classes of which some are grades: P(class) = P(no grade, or which one not) * P(grade | a grade).

    The log of it is a sum, so that both parts are fitted alone, each to samples that weigh what they do together.
    """
    weights = point_weights(samples.class_ids, samples.weights, classes, class_weight)
    is_graded = np.isin(samples.class_ids, grades)
    place_of = np.zeros(GROUP, np.int64)
    place_of[list(grades)] = np.arange(len(grades))
    loss = OrdinalLoss(
        samples.features[is_graded],
        place_of[samples.class_ids[is_graded]],
        weights[is_graded],
        n_grades=len(grades),
        penalty=DIRECTION_PENALTY * regularisation,
    )
    places = tuple(classes.index(class_id) for class_id in grades)
    width = samples.features.shape[1]
    flat, curvature = _start_of_scale(start, classes, places, width) or (loss.cold_start(), Curvature())
    minimum, curvature = descend(
        loss.gradient_at, flat, curvature=curvature, tolerance=GRADIENT_TOLERANCE, max_steps=MAX_STEPS
    )
    direction = minimum[None, :width].astype(np.float32)
    scale = GradeScale(places, minimum[width:].astype(np.float32), curvature)
    no_bias = np.zeros(1, np.float32)
    if len(grades) == len(classes):
        return Head(classes, direction, no_bias, scale=scale, gradients=loss.n_gradients)
    together = np.where(is_graded, GROUP, samples.class_ids)
    merged = Samples(samples.features, together, weights.astype(np.float32))
    group_head = _fit_classes(merged, "none", regularisation, _group_head(start))
    return replace(
        group_head,
        class_ids=classes,
        weights=np.concatenate([group_head.weights, direction]),
        bias=np.concatenate([group_head.bias, no_bias]),
        scale=scale,
        gradients=group_head.gradients + loss.n_gradients,
    )


def _start_of_scale(
    start: Head | None, classes: tuple[int, ...], places: tuple[int, ...], width: int
) -> tuple[Vector, Curvature] | None:
    """Flat parameters of the ordinal part of an earlier head of the same grades, and the curvature known there."""
    if start is None or start.scale is None or start.weights.shape[1] != width:
        return None
    if start.class_ids != classes or start.scale.places != places:
        return None
    return np.concatenate([start.weights[-1], start.scale.thresholds]).astype(np.float64), start.scale.curvature


def _group_head(head: Head | None) -> Head | None:
    """What a head with grades says of the other classes and of all grades together, as a head of its own."""
    if head is None or head.scale is None or len(head.weights) == 1:
        return None
    others = tuple(class_id for k, class_id in enumerate(head.class_ids) if k not in head.scale.places)
    return replace(head, class_ids=(*others, GROUP), weights=head.weights[:-1], bias=head.bias[:-1], scale=None)


def with_inverse(head: Head, samples: Samples, *, class_weight: str, regularisation: float) -> Head:
    """The same head with the inverse Hessian at it, which makes the next fits quick; making it takes a while.

    `samples` and settings are those of its fit.
    """
    loss = _PointLoss(samples, class_weight, regularisation)
    if head.scale or loss.classes != head.class_ids or head.weights.shape[1] != samples.features.shape[1]:
        return head
    keys = sample_keys(samples.features, samples.class_ids)
    curvatures = np.maximum(loss.curvatures_of(head, np.arange(len(keys))), 1e-6 * loss.weights)
    return replace(head, inverse=inverse_hessian(samples.features, curvatures, keys, loss.shrink[0]))


def _inverse_with(start: Head, loss: _PointLoss) -> InverseHessian | None:
    """The inverse Hessian of the head to start from, with the samples that are new; None: they are too many."""
    inverse, features = start.inverse, loss.samples.features
    if inverse is None or start.scale or start.class_ids != loss.classes or start.weights.shape[1] != features.shape[1]:
        return None
    keys = sample_keys(features, loss.samples.class_ids)
    new = np.flatnonzero(inverse.is_new(keys))
    if len(new) > MOST_ADDED:
        return None
    curvatures = np.maximum(loss.curvatures_of(start, new), LEAST_CURVATURE * loss.weights[new])
    try:
        return inverse.with_samples(features[new], curvatures, keys[new])
    except (np.linalg.LinAlgError, ValueError):  # it has become too inexact, or a sample weighs nothing: do without
        return None


class _PointLoss:
    """The class-balanced point loss plus its penalty, as a function of flat parameters (M * (D + 1),): M is 1 for two
    classes, whose difference alone matters, else the number of classes.

    Raises NoPoints: fewer than two classes have points.
    """

    def __init__(self, samples: Samples, class_weight: str, regularisation: float) -> None:
        self.classes = tuple(int(class_id) for class_id in np.unique(samples.class_ids))
        if len(self.classes) < 2:
            raise NoPoints(missing_message(self.classes))
        self.samples = samples
        self.targets = np.searchsorted(np.asarray(self.classes), samples.class_ids)
        self.weights = point_weights(samples.class_ids, samples.weights, self.classes, class_weight)
        is_two = len(self.classes) == 2
        self._residuals = _two_class_residuals if is_two else _many_class_residuals
        self.shape = (1 if is_two else len(self.classes), samples.features.shape[1] + 1)
        self.shrink = np.full(self.shape, PENALTY * regularisation)
        self.shrink[:, -1] *= BIAS_PENALTY
        if is_two:
            self.shrink /= 2  # the difference of two weights, each the other's negative, costs half
        self.n_gradients = 0

    def gradient_at(self, position: Vector) -> Vector:
        """The gradient at flat parameters; NumPy's products wake no other thread, which would take longer than they."""
        self.n_gradients += 1
        parameters, features = position.reshape(self.shape), self.samples.features
        residual = self._residuals(_scores(parameters, features), self.targets) * self.weights
        gradient = self.shrink * parameters
        gradient[:, :-1] += residual.astype(np.float32) @ features
        gradient[:, -1] += residual.sum(axis=1)
        return np.asarray(gradient.ravel(), np.float64)

    def curvatures_of(self, head: Head, which: NDArray[np.int64]) -> NDArray[np.float64]:
        """Second derivative (n,) of the loss of each of these samples by its score, the mean over the scores."""
        parameters = np.concatenate([head.weights, head.bias[:, None]], axis=1).astype(np.float64)
        features = self.samples.features if len(which) == len(self.weights) else self.samples.features[which]
        if len(self.classes) == 2:
            share = expit(_scores(parameters[1:] - parameters[:1], features))
        else:
            share = softmax(_scores(parameters, features), axis=0)
        return np.asarray((share * (1 - share)).mean(axis=0) * self.weights[which], np.float64)


def _scores(parameters: NDArray[np.float64], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """(M, N) of parameters (M, D + 1) and features (N, D)."""
    return np.asarray(parameters[:, :-1].astype(np.float32) @ features.T + parameters[:, -1:], np.float64)


def _two_class_residuals(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(1, N): derivative of the loss by the score (1, N) of the second class over the first."""
    return np.asarray(expit(scores) - targets, np.float64)


def _many_class_residuals(scores: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, N): derivative of the loss by the score (K, N) of every class."""
    residual: NDArray[np.float64] = softmax(scores, axis=0)
    residual[targets, np.arange(len(targets))] -= 1
    return residual


def kept_head(head: Head, kept: Sequence[int]) -> Head:
    """The head of some of its classes, by their places in increasing order: the odds between them stay what they are.

    A grade that is left out leaves its part of the scale empty.
    """
    class_ids, scale, rows = tuple(head.class_ids[k] for k in kept), head.scale, list(kept)
    if scale is not None:
        others = [k for k in range(len(head.class_ids)) if k not in scale.places]
        rows = [row for row, k in enumerate(others) if k in kept]
        places = tuple(kept.index(k) if k in kept else -1 for k in scale.places)
        scale = GradeScale(places, scale.thresholds) if max(places) >= 0 else None
        n_rows = len(head.weights)
        if scale is not None:
            rows += [n_rows - 2, n_rows - 1] if rows else [n_rows - 1]
    return Head(class_ids, head.weights[rows], head.bias[rows], head.is_guess, scale)


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
    if start is not None and start.scale is None and start.weights.shape[1] == width:
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
