"""What held-out images say about a counter: where its thresholds lie, and how far its counts are from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.counting import default_threshold
from fcnlab.core.counting.density import DENSITY_UNIT
from fcnlab.core.counting.marks import MarkedPoints
from fcnlab.core.counting.objects import Blob, labelled_blobs, labelled_peaks
from fcnlab.core.counting.scoring import f_score, match_points, radius_for
from fcnlab.domain.counting import Calibration, Objective

BLOB_THRESHOLDS = tuple(round(0.1 * step, 2) for step in range(1, 10))
PEAK_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))
"""Tried: 0.1 to 0.9."""

SIZE_SHARES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)
"""Tried least sizes of a blob, as parts of the disc between neighbours; objects of a density have no least size."""

NEARLY = 0.005
"""F-scores so close are alike: the error of the count decides."""

INSIDE = 0.9
"""Part of the images whose true count the interval should hold."""

AS_GOOD_AS = 2
"""A factor of sums starts from one, and from so many images that agree with it."""

LEAST_FACTOR, LARGEST_FACTOR = 0.5, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """A picture that training did not see.

    Attributes:
        scores: (K, h, w) float32, as `counting.count_scores` takes them.
        marks: in the frame of the scores.
        full_hw: size of the image.
    """

    scores: NDArray[np.float32]
    marks: MarkedPoints
    full_hw: tuple[int, int]


@dataclass(slots=True)
class _CountTables:
    """What one class would have been counted as: a table (thresholds, sizes) per picture."""

    true: list[int] = field(default_factory=list)
    detected: list[NDArray[np.float64]] = field(default_factory=list)
    matched: list[NDArray[np.float64]] = field(default_factory=list)
    sums: list[float] = field(default_factory=list)


def calibrated(
    pictures: Iterable[HeldOut], objective: Objective, class_ids: Sequence[int], spacing: float
) -> Calibration:
    """Thresholds, least sizes, factors and spreads of a counter, from pictures whose objects are all marked.

    Thresholds and sizes maximise the F-score of the objects found, and among nearly equal ones the count is closest.
    Factors and spreads of a density come from its sums; each spread leaves out the picture it is measured on. Classes,
    or whole calls, without such pictures keep the defaults and have no spread.

    Args:
        pictures: held out, taken one at a time; those not all marked are passed over.
        class_ids: the class of each place; the first is the background.
        spacing: usual distance between neighbours, pixels at full size.
    """
    count_tables = [_CountTables() for _ in class_ids]
    for picture in pictures:
        if picture.marks.is_complete:
            _add(count_tables, picture, objective, spacing)
    thresholds, min_size, factors, spread = {}, {}, {}, {}
    for class_id, tables_of_class in list(zip(class_ids, count_tables, strict=True))[1:]:
        thresholds[class_id], min_size[class_id] = default_threshold(objective), 0.0
        if not tables_of_class.true:
            continue
        step, size = _best(tables_of_class, objective) if sum(tables_of_class.true) else (_usual_step(objective), 0)
        if sum(tables_of_class.true):
            thresholds[class_id] = _tried_thresholds(objective)[step]
            min_size[class_id] = _tried_sizes(objective)[size] * math.pi / 4 * spacing**2
        if objective is Objective.DENSITY:
            factors[class_id] = _factor(tables_of_class.sums, tables_of_class.true)
            counts = [
                max(0.0, total * _factor(_others(tables_of_class.sums, index), _others(tables_of_class.true, index)))
                for index, total in enumerate(tables_of_class.sums)
            ]
        else:
            counts = [float(table[step, size]) for table in tables_of_class.detected]
        spread[class_id] = spread_of(tables_of_class.true, counts)
    return Calibration(spacing, thresholds, min_size, factors, spread)


def spread_of(true: Sequence[float], counts: Sequence[float]) -> float:
    """The number s such that the truth lies within s * sqrt(count + 1) of the count in 9 of 10 images to come.

    The finite sample quantile of conformal prediction (Vovk et al. 2005). Fewer than nine images cannot promise that
    much; the largest miss is then enlarged in proportion, and never less than half an object is allowed for.

    Args:
        true, counts: of N images, N at least 1.
    """
    misses = np.sort(
        [
            abs(true_count - count) / math.sqrt(max(0.0, count) + 1)
            for true_count, count in zip(true, counts, strict=True)
        ]
    )
    n = len(misses)
    rank = math.ceil((n + 1) * INSIDE)
    largest = float(misses[min(rank, n) - 1]) * max(1.0, rank / n)
    return max(largest, 1 / (n + 1))


def _add(count_tables: Sequence[_CountTables], picture: HeldOut, objective: Objective, spacing: float) -> None:
    """Count one picture at every threshold and size."""
    hw = (picture.scores.shape[1], picture.scores.shape[2])
    ratio = math.sqrt(hw[0] * hw[1] / (picture.full_hw[0] * picture.full_hw[1]))
    near = spacing * ratio
    sizes = [share * math.pi / 4 * near**2 for share in _tried_sizes(objective)]
    shape = (len(_tried_thresholds(objective)), len(sizes))
    tables = [(np.zeros(shape), np.zeros(shape)) for _ in count_tables]
    for step, blobs in enumerate(_tried(picture.scores, objective, near)):
        for class_index in range(1, len(count_tables)):
            rows, cols = picture.marks.of(class_index)
            true = np.column_stack([rows, cols])
            its = [blob for blob in blobs if blob.class_index == class_index]
            detected, matched = tables[class_index]
            for index, size in enumerate(sizes):
                kept = [(blob.row, blob.col) for blob in its if blob.size >= size]
                detected[step, index] = len(kept)
                if index and len(kept) == detected[step, index - 1]:
                    matched[step, index] = matched[step, index - 1]
                else:
                    matched[step, index] = len(match_points(true, np.array(kept), radius_for(near))[0])
    for class_index, tables_of_class in enumerate(count_tables):
        tables_of_class.true.append(int((picture.marks.classes == class_index).sum()))
        tables_of_class.detected.append(tables[class_index][0])
        tables_of_class.matched.append(tables[class_index][1])
        tables_of_class.sums.append(float(picture.scores[class_index].sum(dtype=np.float64)) / DENSITY_UNIT)


def _tried_thresholds(objective: Objective) -> tuple[float, ...]:
    return PEAK_THRESHOLDS if objective is Objective.DENSITY else BLOB_THRESHOLDS


def _usual_step(objective: Objective) -> int:
    """Index of the threshold that counts before held-out images said better."""
    return _tried_thresholds(objective).index(default_threshold(objective))


def _tried_sizes(objective: Objective) -> tuple[float, ...]:
    return (0.0,) if objective is Objective.DENSITY else SIZE_SHARES


def _tried(scores: NDArray[np.float32], objective: Objective, spacing: float) -> Iterable[Sequence[Blob]]:
    """The objects at each threshold."""
    n_classes, thresholds = scores.shape[0], _tried_thresholds(objective)
    if objective is Objective.DENSITY:
        peaks = labelled_peaks(scores / np.float32(DENSITY_UNIT), spacing, [thresholds[0]] * n_classes).blobs
        return ([peak for peak in peaks if peak.score >= threshold] for threshold in thresholds)
    return (labelled_blobs(scores, [threshold] * n_classes, 0, spacing).blobs for threshold in thresholds)


def _best(tables_of_class: _CountTables, objective: Objective) -> tuple[int, int]:
    """Indices of the best threshold and size: the F-score, then the error of the count, then how usual they are."""
    detected, matched = np.array(tables_of_class.detected), np.array(tables_of_class.matched)
    true = np.array(tables_of_class.true, np.float64)[:, None, None]
    shape = detected.shape[1:]
    scores = np.array(
        [
            f_score(float(matched[:, step, size].sum()), float(true.sum()), float(detected[:, step, size].sum()))
            for step, size in np.ndindex(shape)
        ]
    ).reshape(shape)
    errors = np.abs(detected - true).mean(axis=0)
    usual = default_threshold(objective)
    candidates = [
        (errors[at], abs(_tried_thresholds(objective)[at[0]] - usual), at[1], at)
        for at in np.ndindex(shape)
        if scores[at] >= scores.max() - NEARLY
    ]
    step, size = min(candidates)[3]
    return step, size


def _factor(sums: Sequence[float], true: Sequence[float]) -> float:
    """What sums are multiplied by: least squares, drawn towards one as far as there are few images."""
    if not sums:
        return 1.0
    predicted = np.asarray(sums, np.float64)
    doubt = AS_GOOD_AS * float(np.square(predicted).mean())
    norm = float(np.square(predicted).sum()) + doubt
    factor = (float((predicted * true).sum()) + doubt) / norm if norm > 0 else 1.0
    return float(np.clip(factor, LEAST_FACTOR, LARGEST_FACTOR))


def _others(values: Sequence[float], index: int) -> list[float]:
    return [*values[:index], *values[index + 1 :]]
