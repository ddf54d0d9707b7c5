"""The network of all tags: one hidden layer that they share, on pooled features, trained several times at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

HIDDEN = 64
STEPS = 40
RATE = 0.04
DECAY = 0.1
MOMENTUM, SQUARES_KEPT = 0.9, 0.999
WARM_UP = 0.3
WEIGHTS = (0, 2)
"""Which arrays of `Layers` are weights and no biases."""

ROWS_AT_ONCE = 1024
"""Images times networks that are trained at once; more no longer fit the cache of a processor."""

DROPOUT = 0.5
"""Part of the hidden units that a network does without in a step."""

GAIN = 4.0
"""Size of the input to hidden units at the start. Near one they stay as good as linear, and tell less apart."""

BIAS_GAIN = 0.5

DIRECTIONS = 64
"""Of images, along which their features differ most; what the network learns lies in them."""

LANDMARKS = 256
"""Images that decide the directions, at most."""

LEAST_DEVIATION = 1e-6
LEAST_SHARE = 1e-6
"""Of the largest variance along a direction; less is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Directions:
    """Standardised features along the directions in which images differ.

    Attributes:
        mean: (F,) float32, of the images.
        matrix: (F, D) float32; images lie at (features - mean) @ matrix, with a mean square length of about one.
    """

    mean: NDArray[np.float32]
    matrix: NDArray[np.float32]

    def along(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Places (N, D) float32 of features (N, F)."""
        return np.asarray((features - self.mean) @ self.matrix, np.float32)


def directions_of(features: NDArray[np.float32], *, seed: int) -> Directions:
    """The principal directions of images (N, F), N at least 1; of at most LANDMARKS of them, drawn with the seed.

    Nothing is lost as long as there are no more images than directions: weights of a network that decay never leave
    the span of what they learn from.
    """
    mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = features - mean
    deviation = np.sqrt((centred.astype(np.float64) ** 2).mean(axis=0))
    is_constant = deviation < LEAST_DEVIATION
    scale = np.where(is_constant, 0.0, 1 / np.where(is_constant, 1.0, deviation)) / max(1, features.shape[1]) ** 0.5
    standardised = centred * scale.astype(np.float32)
    if len(standardised) > LANDMARKS:
        drawn = np.random.default_rng(seed).choice(len(standardised), LANDMARKS, replace=False)
        standardised = standardised[np.sort(drawn)]
    variances, vectors = np.linalg.eigh((standardised @ standardised.T).astype(np.float64))
    kept = np.flatnonzero(variances > LEAST_SHARE * max(float(variances[-1]), 1e-30))[::-1][:DIRECTIONS]
    if not len(kept):
        return Directions(mean, np.zeros((features.shape[1], 1), np.float32))
    unit = standardised.T @ (vectors[:, kept] / np.sqrt(variances[kept])).astype(np.float32)
    return Directions(mean, np.ascontiguousarray(unit * scale[:, None], np.float32))


Layers = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]
"""Arrays of `Networks`, in their order."""


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """G networks: tanh(places @ inner + inner_bias) @ outer + outer_bias is the log odds of each tag.

    Attributes:
        inner: (G, D, H) float32. inner_bias: (G, 1, H).
        outer: (G, H, K) float32. outer_bias: (G, 1, K).
    """

    inner: NDArray[np.float32]
    inner_bias: NDArray[np.float32]
    outer: NDArray[np.float32]
    outer_bias: NDArray[np.float32]

    def log_odds(self, places: NDArray[np.float32]) -> NDArray[np.float32]:
        """(G, N, K) float32 at places (N, D)."""
        hidden = np.tanh(places @ self.inner + self.inner_bias)
        return np.asarray(hidden @ self.outer + self.outer_bias, np.float32)

    def part(self, which: slice) -> Networks:
        """Some of the networks."""
        return Networks(self.inner[which], self.inner_bias[which], self.outer[which], self.outer_bias[which])


def answer_weights(answers: NDArray[np.int8]) -> NDArray[np.float32]:
    """Weights (N, K) float32 of answers (N, K): yes and no of a tag count alike, all tags alike; unknown is zero.

    They sum to one, or to less where tags have answers of one kind only.
    """
    weights = np.zeros(answers.shape, np.float32)
    for answer in (0, 1):
        is_given = answers == answer
        weights += is_given / np.maximum(1, 2 * answers.shape[1] * is_given.sum(axis=0))
    return weights


def train(
    places: NDArray[np.float32], answers: NDArray[np.int8], weights: NDArray[np.float32], *, seed: int
) -> Networks:
    """Networks on the same images, each with weights of its own, by AdamW; the loss is cross-entropy over answers.

    First layers start orthogonal (Saxe, McClelland and Ganguli 2014, arXiv:1312.6120): no direction is louder than
    another by chance, which with few images matters more than anything that is learned. Dropout leaves out the same
    units for all images of a step (Srivastava et al. 2014, JMLR 15:1929).

    Args:
        places: (N, D) float32.
        answers: (N, K) int8, 1, 0 or -1.
        weights: (G, N, K) float32, of the answers in each network; zero where unknown.
    """
    targets = (answers == 1).astype(np.float32)
    at_once = max(1, ROWS_AT_ONCE // len(places))
    parts = [
        _trained(places, targets, weights[first : first + at_once], seed=seed, first=first)
        for first in range(0, len(weights), at_once)
    ]
    return Networks(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _trained(
    places: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32], *, seed: int, first: int
) -> Layers:
    """Networks numbered from `first` on; each has chances of its own, whatever is trained beside it."""
    rngs = [np.random.default_rng((seed, first + index)) for index in range(len(weights))]
    starts = [_start(places.shape[1], targets.shape[1], rng) for rng in rngs]
    inner, inner_bias, outer, outer_bias = (np.stack(arrays) for arrays in zip(*starts, strict=True))
    layers = inner, inner_bias, outer, outer_bias
    is_kept = np.stack([rng.random((STEPS, HIDDEN, 1)) >= DROPOUT for rng in rngs], axis=1)
    optimiser = _AdamW(layers)
    for step in range(STEPS):
        units = is_kept[step].astype(np.float32) / np.float32(1 - DROPOUT)
        optimiser.step(gradient(layers, places, targets, weights, units), _rate(step))
    return layers


def gradient(
    layers: Layers,
    places: NDArray[np.float32],
    targets: NDArray[np.float32],
    weights: NDArray[np.float32],
    units: NDArray[np.float32],
) -> Layers:
    """The gradient of the weighted cross-entropy of each network, written out: torch's graph takes twice as long.

    Args:
        places: (N, D). targets: (N, K), 1 for yes. weights: (G, N, K), zero where unknown.
        units: (G, H, 1) what each hidden unit is multiplied by: 0 where dropout leaves it out.
    """
    inner, inner_bias, outer, outer_bias = layers
    hidden = np.tanh(places @ inner + inner_bias)
    kept = outer * units
    residuals = (expit(hidden @ kept + outer_bias) - targets) * weights
    by_hidden = residuals @ kept.transpose(0, 2, 1)
    by_hidden *= 1 - hidden * hidden
    return (
        places.T @ by_hidden,
        by_hidden.sum(axis=1, keepdims=True),
        (hidden.transpose(0, 2, 1) @ residuals) * units,
        residuals.sum(axis=1, keepdims=True),
    )


class _AdamW:
    """Adam with decay of weights, not of biases (Loshchilov and Hutter 2019, arXiv:1711.05101), in place."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._means = [np.zeros_like(array) for array in layers]
        self._squares = [np.zeros_like(array) for array in layers]
        self._count = 0

    def step(self, slopes: Layers, rate: float) -> None:
        """Move the layers against the slopes."""
        self._count += 1
        by_mean, by_square = 1 - MOMENTUM**self._count, 1 - SQUARES_KEPT**self._count
        for index, (array, slope) in enumerate(zip(self._layers, slopes, strict=True)):
            mean, square = self._means[index], self._squares[index]
            mean += (1 - MOMENTUM) * (slope - mean)
            square += (1 - SQUARES_KEPT) * (slope * slope - square)
            if index in WEIGHTS:
                array *= 1 - rate * DECAY
            array -= rate / by_mean * mean / (np.sqrt(square / by_square) + 1e-8)


def _rate(step: int) -> float:
    """Up within WARM_UP of the steps, then down to nothing, both along a cosine (Smith and Topin 2018)."""
    rise = WARM_UP * STEPS
    share = step / rise if step < rise else (step - rise) / (STEPS - rise)
    falling = (1 + math.cos(math.pi * share)) / 2
    return RATE * max(0.04, 1 - falling) if step < rise else RATE * falling


def _start(n_directions: int, n_tags: int, rng: np.random.Generator) -> Layers:
    long, short = max(n_directions, HIDDEN), min(n_directions, HIDDEN)
    columns = np.linalg.qr(rng.standard_normal((long, short)))[0]
    inner = GAIN * long**0.5 * (columns if n_directions >= HIDDEN else columns.T)
    inner_bias = BIAS_GAIN * rng.standard_normal((1, HIDDEN))
    outer = 0.1 / HIDDEN**0.5 * rng.standard_normal((HIDDEN, n_tags))
    outer_bias = np.zeros((1, n_tags), np.float32)
    return (
        np.ascontiguousarray(inner, np.float32),
        inner_bias.astype(np.float32),
        outer.astype(np.float32),
        outer_bias,
    )
