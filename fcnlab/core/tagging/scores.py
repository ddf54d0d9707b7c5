"""How good the tags of a tagger are, on images that it did not learn from, with intervals over images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import InvalidTag

RESAMPLES = 1000
AT_ONCE = 4_000_000
"""Values of the bootstrap in memory at a time."""

BINS = 10
"""Of the calibration error, of equal width."""

THRESHOLD = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value from 0 to 1 with the ends of its percentile interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class TagScore:
    """Of a tag.

    Attributes:
        n_yes, n_no: answers.
        average_precision: None without a yes or without a no: any order of images is then as good as any other.
        f1: at 0.5; None where no image has the tag and none was given it.
    """

    n_yes: int
    n_no: int
    average_precision: Interval | None
    f1: Interval | None


@dataclass(frozen=True, slots=True)
class TagScores:
    """Of all tags together.

    Attributes:
        tags: K of them, in their order.
        mean_average_precision: macro, over the tags that have one; None if no tag has.
        micro_f1, macro_f1: at 0.5, of all answers as one tag, and the mean over tags that have one; or None.
        calibration_error: expected, over all answers in BINS bins; None without answers.
        n_images: with an answer.
        level: how often intervals should hold the value of all images.
        why_missing: why scores are None, in a sentence; empty if none is.
    """

    tags: tuple[TagScore, ...]
    mean_average_precision: Interval | None
    micro_f1: Interval | None
    macro_f1: Interval | None
    calibration_error: float | None
    n_images: int
    level: float
    why_missing: str


def tag_scores(
    probabilities: NDArray[np.float32], answers: NDArray[np.int8], *, level: float = 0.95, seed: int = 0
) -> TagScores:
    """Scores of probabilities against answers; intervals are percentiles of a bootstrap over images (Efron 1979).

    A resample in which a tag has answers of one kind only says nothing of it, and is left out for it.

    Args:
        probabilities: (N, K) of yes. answers: (N, K) int8: 1 yes, 0 no, -1 unknown, which counts nowhere.
        level: of the intervals. seed: of the bootstrap.

    Raises:
        InvalidTag: the shapes differ, a probability is not between 0 and 1, or the level is none.
    """
    _check(probabilities, answers, level)
    answered = np.asarray((answers >= 0).any(axis=1))
    told, said = answers[answered], probabilities[answered].astype(np.float64)
    n_images = len(told)
    weights = np.ones((1, n_images))
    precision, f1, micro = _all_scores(said, told, weights)
    resampled = _resampled(said, told, seed)
    per_tag = tuple(
        TagScore(
            int((told[:, tag] == 1).sum()),
            int((told[:, tag] == 0).sum()),
            _interval(precision[0, tag], resampled[0][:, tag], level),
            _interval(f1[0, tag], resampled[1][:, tag], level),
        )
        for tag in range(told.shape[1])
    )
    return TagScores(
        per_tag,
        _interval(_mean(precision)[0], _mean(resampled[0]), level),
        _interval(micro[0], resampled[2], level),
        _interval(_mean(f1)[0], _mean(resampled[1]), level),
        expected_calibration_error(said, told),
        n_images,
        level,
        _why_missing(per_tag),
    )


def average_precision(
    probabilities: NDArray[np.float32] | Floats, answers: NDArray[np.int8], weights: Floats
) -> Floats:
    """(B, K) average precision under B sets of image weights (B, N); NaN where a tag has answers of one kind only.

    The mean precision at the images that have the tag, the most probable first; images of equal probability are taken
    together. That is the sum of (recall now - recall before) * precision over thresholds, without interpolation.

    Reference: Zhu 2004, "Recall, precision and average precision"; the definition of scikit-learn's
    `average_precision_score`.

    Args:
        probabilities, answers: (N, K); answers of -1 do not count.
    """
    columns = [_average_precision(probabilities[:, tag], answers[:, tag], weights) for tag in range(answers.shape[1])]
    return np.stack(columns, axis=1) if columns else np.zeros((len(weights), 0))


def expected_calibration_error(probabilities: NDArray[np.float32] | Floats, answers: NDArray[np.int8]) -> float | None:
    """Mean distance of probability and share of yes over bins of probability, weighted by answers; None without any.

    Reference: Naeini, Cooper and Hauskrecht 2015, AAAI 29:2901.
    """
    is_told = answers >= 0
    if not is_told.any():
        return None
    said, truth = np.asarray(probabilities[is_told], np.float64), answers[is_told] == 1
    bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, said - truth, minlength=BINS)
    return float(np.abs(gaps).sum() / len(said))


def _average_precision(said: NDArray[np.float32] | Floats, told: NDArray[np.int8], weights: Floats) -> Floats:
    rows = np.flatnonzero(told >= 0)
    order = rows[np.argsort(-said[rows], kind="stable")]
    is_last = np.append(np.diff(said[order]) != 0, True)[: len(order)]
    counted = weights[:, order]
    is_yes = told[order] == 1
    hits = np.cumsum(counted * is_yes, axis=1)[:, is_last]
    seen = np.cumsum(counted, axis=1)[:, is_last]
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    gained = np.diff(hits, axis=1, prepend=0)
    n_yes, n = counted @ is_yes, counted.sum(axis=1)
    is_both = (n_yes > 0) & (n_yes < n)
    total = (gained * precision).sum(axis=1)
    return np.asarray(np.divide(total, n_yes, out=np.full(len(weights), np.nan), where=is_both), np.float64)


def _all_scores(said: Floats, told: NDArray[np.int8], weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Average precision (B, K), F1 (B, K) and micro F1 (B,) under image weights (B, N); NaN where there is none."""
    given = said >= THRESHOLD
    hits = weights @ (given & (told == 1)).astype(np.float64)
    wrong = weights @ ((given & (told == 0)) | (~given & (told == 1))).astype(np.float64)
    return average_precision(said, told, weights), _f1(hits, wrong), _f1(hits.sum(axis=1), wrong.sum(axis=1))


def _f1(hits: Floats, wrong: Floats) -> Floats:
    total = 2 * hits + wrong
    return np.divide(2 * hits, total, out=np.full_like(total, np.nan), where=total > 0)


def _resampled(said: Floats, told: NDArray[np.int8], seed: int) -> tuple[Floats, Floats, Floats]:
    """`_all_scores` of RESAMPLES resamples of the images."""
    n_images, rng = len(told), np.random.default_rng(seed)
    size = max(1, min(RESAMPLES, AT_ONCE // max(1, n_images)))
    parts = []
    for start in range(0, RESAMPLES, size):
        count = min(size, RESAMPLES - start)
        drawn = rng.integers(0, n_images, (count, n_images)) if n_images else np.zeros((count, 0), np.int64)
        flat = (drawn + n_images * np.arange(count)[:, None]).ravel()
        weights = np.bincount(flat, minlength=count * n_images).reshape(count, n_images).astype(np.float64)
        parts.append(_all_scores(said, told, weights))
    first, second, third = (np.concatenate(kind) for kind in zip(*parts, strict=True))
    return first, second, third


def _mean(values: Floats) -> Floats:
    """(B,) mean over the tags of (B, K) that have a value; NaN where none has."""
    is_there = ~np.isnan(values)
    count = is_there.sum(axis=1)
    total = np.where(is_there, values, 0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0), np.float64)


def _interval(value: float, resampled: Floats, level: float) -> Interval | None:
    if np.isnan(value):
        return None
    kept = resampled[~np.isnan(resampled)]
    if not len(kept):
        return Interval(float(value), 0.0, 1.0)
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(value), float(low), float(high))


def _why_missing(tags: tuple[TagScore, ...]) -> str:
    n_missing = sum(tag.average_precision is None for tag in tags)
    if not n_missing:
        return ""
    return (
        f"{n_missing} of {len(tags)} tags have no average precision, since no image has them or all have: "
        "answer images of the other kind"
    )


def _check(probabilities: NDArray[np.float32], answers: NDArray[np.int8], level: float) -> None:
    if probabilities.ndim != 2 or probabilities.shape != answers.shape:
        raise InvalidTag(
            f"probabilities are {probabilities.shape} and answers {answers.shape}: "
            "both have a row per image and a column per tag"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():
        raise InvalidTag("a probability of a tag is not between 0 and 1: let the tagger predict again")
    if not np.isin(answers, (-1, 0, 1)).all():
        raise InvalidTag("an answer about a tag is 1 (yes), 0 (no) or -1 (unknown)")
    if not 0 < level < 1:
        raise InvalidTag(f"the level of an interval is between 0 and 1, not {level}")
