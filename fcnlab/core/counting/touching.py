"""Blobs that are several objects touching one another, divided at their necks."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max

from fcnlab.core.counting.flooding import basins_of

NEAREST_SHARE = 1 / 3
"""Centres of two objects are at least this part of the usual spacing apart."""

NECK = 0.75
"""Two parts of a blob are two objects where the neck between them is narrower than this part of the narrower one."""

ROUND = 1.1
"""A part at most so many times as large as the largest disc in it is one object, whatever its border looks like."""


def split(parts: NDArray[np.int32], spacing: float) -> NDArray[np.int32]:
    """Divide parts that look like several touching objects; numbers from 1 on.

    Centres are peaks of the distance to the border, a third of `spacing` apart at least; a watershed from them divides
    the part. Divisions that are no neck are undone: the widest place between two objects must be narrower than both.

    Args:
        parts: (H, W), numbers of connected parts, 0 elsewhere.
    """
    inside = parts > 0
    padded = np.pad(inside, 1).astype(np.uint8)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)
    wide = _not_round(parts, depth)
    smooth = ndimage.gaussian_filter(depth, max(0.5, spacing / 16)) * wide
    peaks = peak_local_max(  # type: ignore[no-untyped-call]
        smooth,
        min_distance=max(1, round(spacing * NEAREST_SHARE)),
        exclude_border=False,
        labels=np.where(wide, parts, 0),
    )
    if not len(peaks):
        return parts
    markers = np.zeros(parts.shape, np.int32)
    markers[peaks[:, 0], peaks[:, 1]] = np.arange(1, len(peaks) + 1)
    basins = _without_wide_necks(basins_of(-smooth, markers, wide), smooth, smooth[peaks[:, 0], peaks[:, 1]])
    return _numbered(np.where(basins > 0, basins + int(parts.max()), parts))


def _not_round(parts: NDArray[np.int32], depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels of parts that are clearly larger than the largest disc in them: only these can be several objects."""
    sizes = np.bincount(parts.ravel())
    deepest = np.zeros(len(sizes))
    np.maximum.at(deepest, parts[parts > 0], depth[parts > 0])
    is_wide = sizes > ROUND * math.pi * deepest**2
    is_wide[0] = False
    return np.asarray(is_wide[parts], np.bool_)


def _numbered(parts: NDArray[np.int32]) -> NDArray[np.int32]:
    """The same parts with numbers from 1 on, none left out."""
    used = np.bincount(parts.ravel()) > 0
    used[0] = False
    return np.asarray((np.cumsum(used) * used).astype(np.int32)[parts], np.int32)


def _without_wide_necks(
    basins: NDArray[np.int32], depth: NDArray[np.float32], tops: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Join basins where the deepest place between them is not clearly shallower than the shallower of the two."""
    roots = joined_at_necks(basins, depth, tops, neck=NECK)
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int32)[basins]


def joined_at_necks(
    basins: NDArray[np.int32], depth: NDArray[np.float32], tops: NDArray[np.floating], *, neck: float
) -> NDArray[np.int64]:
    """For 0 and each basin the highest of those it is one with: a saddle of `neck` times the lower top joins two.

    Args:
        basins: (H, W), numbers from 1 on.
        depth: (H, W), of the surface they are basins of.
        tops: (N,) of the basins; an infinite one is never joined to another that is infinite.
    """
    pairs, saddles = _saddles(basins, depth)
    root = np.arange(len(tops) + 1)
    top = np.concatenate([[0.0], tops])

    def root_of(number: int) -> int:
        while root[number] != number:
            number = int(root[number])
        return number

    for index in np.argsort(-saddles, kind="stable"):
        one, other = (root_of(int(number)) for number in pairs[index])
        if one != other and saddles[index] >= neck * min(top[one], top[other]):
            keep, drop = (one, other) if top[one] >= top[other] else (other, one)
            root[drop] = keep
    return np.array([root_of(number) for number in range(len(root))], np.int64)


def _saddles(basins: NDArray[np.int32], depth: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Pairs (M, 2) of basins that touch, and the greatest depth at which they do."""
    keys, depths = [], []
    n = int(basins.max()) + 1
    for first, second in ((np.s_[:-1, :], np.s_[1:, :]), (np.s_[:, :-1], np.s_[:, 1:])):
        a, b = basins[first], basins[second]
        touch = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[touch], b[touch]).astype(np.int64), np.maximum(a[touch], b[touch])
        keys.append(low * n + high)
        depths.append(np.minimum(depth[first][touch], depth[second][touch]))
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    deepest = np.zeros(len(unique), np.float32)
    np.maximum.at(deepest, inverse, np.concatenate(depths))
    return np.column_stack([unique // n, unique % n]), deepest
