"""How good a mask is. Pixels that are IGNORE in the truth count nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE

COUNTED_AT_ONCE = 4_000_000
"""Pixels: counting takes sixteen bytes for each."""


def confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], n_classes: int) -> NDArray[np.int64]:
    """(n_classes, n_classes) int64 counts of pixels, truth by prediction; a part of the rows at a time."""
    counts = np.zeros(n_classes * n_classes, np.int64)
    rows = max(1, COUNTED_AT_ONCE // max(1, truth.shape[1]))
    for start in range(0, truth.shape[0], rows):
        part = truth[start : start + rows]
        known = part != IGNORE
        pairs = part[known].astype(np.int64) * n_classes + prediction[start : start + rows][known]
        counts += np.bincount(pairs, minlength=counts.size)
    return counts.reshape(n_classes, n_classes)


def iou_per_class(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Intersection over union of each class; NaN for a class neither in truth nor in prediction."""
    overlap = np.diag(counts).astype(np.float64)
    union = counts.sum(axis=0) + counts.sum(axis=1) - overlap
    with np.errstate(invalid="ignore"):
        return np.asarray(overlap / union, np.float64)


def object_iou(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], *, background: int = 0) -> float:
    """IoU of everything that is not background."""
    known = truth != IGNORE
    wanted, found = (truth != background) & known, (prediction != background) & known
    union = int((wanted | found).sum())
    return float((wanted & found).sum() / union) if union else 1.0


def mask_score(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], *, n_classes: int) -> float:
    """IoU of the object, or the mean over the classes that occur when there are more than two."""
    if n_classes == 2:
        return object_iou(truth, prediction)
    return float(np.nanmean(iou_per_class(confusion(truth, prediction, n_classes))))
