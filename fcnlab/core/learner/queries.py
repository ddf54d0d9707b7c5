"""Which pixels to ask a labeller about next: drawn from the most uncertain ones, after PixelPick.

Reference: Shin, Xie and Albanie 2021, arXiv:2104.06394: random draws from the top 5 % beat the top itself, which lies
in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import InvalidSetting

Strategy = Literal["margin", "entropy", "least-confidence", "vote-entropy", "mutual-information", "random"]
"""How uncertainty is measured; "random" asks anywhere."""

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

COUNT = 10
SHARE = 0.05
"""Pixels asked about come from this part of the askable ones, the most uncertain."""

SPREAD = 0.5
"""Asked pixels lie this far apart at first, as a part of the side of a square that would be theirs alone."""

RELAXED = 0.7
"""By what the distance shrinks when no candidate is that far away."""

APART_PX = 2.0
"""Two asked pixels are never next to each other, not even corner to corner."""

RANDOM_POOL = 16
"""Random pixels are drawn from so many candidates each, themselves drawn at random."""

Pixels = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns (N,) int64."""


def margin(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """One minus the distance between the two likeliest classes.

    Args:
        probabilities: (K, H, W) float32 that sum to one over K.

    Returns:
        (H, W) float32 in 0..1, 1 where two classes are equally likely; 0 everywhere for one class.
    """
    first = probabilities[0].astype(np.float32)
    second = np.zeros_like(first)
    for probability in probabilities[1:]:
        np.maximum(second, np.minimum(first, probability), out=second)
        np.maximum(first, probability, out=first)
    return _in_range(1 - (first - second)) if len(probabilities) > 1 else np.zeros_like(first)


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shannon entropy as a part of the largest one, log K; shapes as for `margin`."""
    return _in_range(_nats(probabilities) / np.float32(np.log(max(2, len(probabilities)))))


def least_confidence(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the likeliest class lacks to certainty, 1 where all are equally likely; shapes as for `margin`."""
    n_classes = len(probabilities)
    return _in_range((1 - probabilities.max(axis=0)) * np.float32(n_classes / max(1, n_classes - 1)))


def vote_entropy(ensemble: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy of the members' votes, 1 where they are split as evenly as can be.

    Args:
        ensemble: (M, K, H, W) float32, the probabilities of M members.

    Returns:
        (H, W) float32 in 0..1; 0 everywhere for one member.

    Reference: Dagan and Engelson 1995.
    """
    n_members, n_classes = ensemble.shape[:2]
    votes = np.stack([likeliest(member) for member in ensemble])
    shares = np.stack([(votes == k).mean(axis=0, dtype=np.float32) for k in range(n_classes)])
    return _in_range(_nats(shares) / _most_disagreement(n_members, n_classes))


def mutual_information(ensemble: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the members disagree about: entropy of their mean minus the mean of their entropies (BALD).

    Shapes as for `vote_entropy`. Pixels that every member finds ambiguous, such as borders, count little.

    Reference: Houlsby et al. 2011, arXiv:1112.5745.
    """
    within = np.mean([_nats(member) for member in ensemble], axis=0, dtype=np.float32)
    return _in_range((_nats(ensemble.mean(axis=0)) - within) / _most_disagreement(*ensemble.shape[:2]))


_OF_ONE: Mapping[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "margin": margin,
    "entropy": entropy,
    "least-confidence": least_confidence,
}
_OF_MANY: Mapping[str, Callable[[NDArray[np.float32]], NDArray[np.float32]]] = {
    "vote-entropy": vote_entropy,
    "mutual-information": mutual_information,
}


def uncertainty(probabilities: NDArray[np.float32], strategy: Strategy = "margin") -> NDArray[np.float32]:
    """How uncertain each pixel is.

    Args:
        probabilities: (K, H, W) float32, or (M, K, H, W) of an ensemble, whose mean is ranked unless the strategy
            looks at the members.

    Returns:
        (H, W) float32 in 0..1, higher is more uncertain; for "random" 1 everywhere.

    Raises:
        InvalidSetting: no such strategy, or one that needs an ensemble and got none.
    """
    if strategy in _OF_MANY:
        if probabilities.ndim != 4:
            raise InvalidSetting(f"{strategy} compares the members of an ensemble; choose margin or entropy instead")
        return _OF_MANY[strategy](probabilities)
    if strategy in _OF_ONE:
        return _OF_ONE[strategy](_single(probabilities))
    if strategy != "random":
        raise InvalidSetting(f"there is no strategy {strategy!r}; known: {', '.join(STRATEGIES)}")
    return np.ones(probabilities.shape[-2:], np.float32)


def ask_pixels(
    probabilities: NDArray[np.float32],
    *,
    rng: np.random.Generator,
    count: int = COUNT,
    strategy: Strategy = "margin",
    taken: Pixels | None = None,
    valid: NDArray[np.bool_] | None = None,
    share: float = SHARE,
) -> Pixels:
    """Pixels to ask a labeller about, most of them far apart and of different predicted classes.

    They are drawn from the `share` most uncertain of the askable pixels, or from more when these are too few. One by
    one: of the class asked about least so far, at random, at some distance from those before; the distance shrinks
    when nothing is left. With "random" they are drawn evenly from all askable pixels, and nothing else counts.

    Args:
        probabilities: (K, H, W) float32, or (M, K, H, W) of an ensemble.
        rng: decides every draw; the same state gives the same pixels.
        taken: rows and columns of pixels with a point; these and their eight neighbours are not asked about.
        valid: (H, W) bool, the pixels that may be asked about; None allows all.
        share: in 0..1.

    Returns:
        rows and columns (N,) int64 in pixels of `probabilities`, in the order of asking; no two are neighbours.
        N is `count`, or less when no more pixels can be asked about.

    Raises:
        InvalidSetting: as for `uncertainty`.
    """
    doubts = uncertainty(probabilities, strategy)
    height, width = doubts.shape
    askable = np.flatnonzero(_askable(doubts.shape, taken, valid))
    averaged, is_random = _single(probabilities), strategy == "random"
    distance = APART_PX if is_random else max(APART_PX, SPREAD * float(np.sqrt(height * width / max(1, count))))
    n_pool = RANDOM_POOL * count if is_random else max(count, int(np.ceil(share * len(askable))))
    while True:
        pool = _most(doubts.ravel(), askable, n_pool, rng)
        classes = None if is_random else averaged.reshape(len(averaged), -1)[:, pool].argmax(axis=0)
        rows, cols = np.divmod(pool, width)
        chosen = _drawn(rows, cols, classes, count, distance, rng)
        if len(chosen) >= count or n_pool >= len(askable):
            return rows[chosen].astype(np.int64), cols[chosen].astype(np.int64)
        n_pool *= 4


def expected_gain(probabilities: NDArray[np.float32], *, strategy: Strategy = "margin", share: float = SHARE) -> float:
    """Gain of an image, 0..1: the mean uncertainty of the pixels it would be asked about.

    That is, of the `share` most uncertain ones: a large empty sky must not hide a doubtful corner.

    Args:
        probabilities: as for `uncertainty`.
    """
    doubts = uncertainty(probabilities, strategy).ravel()
    n_most = max(1, int(np.ceil(share * doubts.size)))
    return float(np.partition(doubts, doubts.size - n_most)[-n_most:].mean())


def _drawn(
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    classes: NDArray[np.intp] | None,
    count: int,
    distance: float,
    rng: np.random.Generator,
) -> list[int]:
    """Numbers of the candidates chosen, in order."""
    nearest = np.full(len(rows), np.inf)
    asked = np.zeros(0 if classes is None else int(classes.max(initial=0)) + 1)
    chosen: list[int] = []
    while len(chosen) < count:
        free = np.flatnonzero(nearest >= distance**2)
        if not len(free):
            if distance <= APART_PX:
                break
            distance = max(APART_PX, distance * RELAXED)
            continue
        if classes is not None:
            free_classes = classes[free]
            present = np.flatnonzero(np.bincount(free_classes, minlength=len(asked)))
            least = present[asked[present] == asked[present].min()]
            free = free[free_classes == rng.choice(least)]
        drawn = int(rng.choice(free))
        chosen.append(drawn)
        if classes is not None:
            asked[classes[drawn]] += 1
        np.minimum(nearest, (rows - rows[drawn]) ** 2 + (cols - cols[drawn]) ** 2, out=nearest)
    return chosen


def _most(
    doubts: NDArray[np.float32], askable: NDArray[np.intp], n_pool: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """The `n_pool` most uncertain of the askable pixels; chance decides between equals."""
    if n_pool >= len(askable):
        return askable
    values = doubts[askable]
    limit = np.partition(values, len(values) - n_pool)[-n_pool]
    above, equal = askable[values > limit], askable[values == limit]
    return np.concatenate([above, rng.choice(equal, n_pool - len(above), replace=False, shuffle=False)])


def _askable(hw: tuple[int, ...], taken: Pixels | None, valid: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    height, width = hw
    askable = np.ones((height, width), bool) if valid is None else valid.copy()
    if taken is not None:
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                rows, cols = np.asarray(taken[0], np.int64) + down, np.asarray(taken[1], np.int64) + right
                inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
                askable[rows[inside], cols[inside]] = False
    return askable


def _single(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, H, W) from the same, or the mean of an ensemble (M, K, H, W)."""
    return np.asarray(probabilities.mean(axis=0), np.float32) if probabilities.ndim == 4 else probabilities


def likeliest(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The number (H, W) of the likeliest class, the first among equals: argmax over the first axis, but quicker."""
    best, winner = probabilities[0], np.zeros(probabilities.shape[1:], np.uint8)
    for index, probability in enumerate(probabilities[1:], start=1):
        winner[probability > best] = index
        best = np.maximum(best, probability)
    return winner


def _nats(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the first axis, in nats."""
    total = np.zeros(probabilities.shape[1:], np.float32)
    for probability in probabilities:
        total -= probability * np.log(np.maximum(probability, np.float32(1e-12)))
    return total


def _most_disagreement(n_members: int, n_classes: int) -> np.float32:
    """The largest entropy that votes of so many members on so many classes can have."""
    return np.float32(np.log(max(2, min(n_members, n_classes))))


def _in_range(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(values, 0, 1).astype(np.float32, copy=False)
