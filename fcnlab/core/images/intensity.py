"""Intensity: which values of an image become black and white."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.images import Stretch
from fcnlab.errors import InvalidImage

LOW_PERCENT, HIGH_PERCENT = 0.35, 99.65
"""The share of values below which a stretched picture is black, and above which it is white."""

COUNTED_AT_ONCE = 1 << 22
"""Values read in one go: bounds the memory that counting and stretching take."""

HALF = 1 << 16


def measured_stretch(array: NDArray[Any]) -> Stretch:
    """The values at 0.35 and 99.65 percent of all values.

    Each is a value that occurs: the smallest one that this share of the values does not exceed. When both
    fall together, the smallest and the largest value are taken instead. Values other than uint8 and uint16 are
    rounded to float32; those that are not finite do not count.

    Args:
        array: any shape, of real numbers.

    Raises:
        InvalidImage: another dtype, or no finite value at all.
    """
    if array.size == 0:
        raise InvalidImage(f"an image of shape {array.shape} has no pixels")
    if array.dtype in (np.uint8, np.uint16):
        counts = np.zeros(n_values(array), dtype=np.int64)
        for part in _parts(array):
            counts += np.bincount(part.ravel(), minlength=counts.size)
        low, high = _places(counts)
        return Stretch(low=float(low), high=float(high))
    if array.dtype.kind not in "iuf":
        raise InvalidImage(f"an image of {array.dtype} values cannot be shown; convert it to whole or real numbers")
    return _measured_float(array)


def value_range(array: NDArray[Any]) -> Stretch:
    """The smallest and the largest finite value. Raises InvalidImage: there is none."""
    lows, highs = [], []
    for part in _parts(array):
        finite = part[np.isfinite(part)] if part.dtype.kind == "f" else part
        if finite.size:
            lows.append(float(finite.min()))
            highs.append(float(finite.max()))
    if not lows:
        raise InvalidImage("an image without a single finite value has nothing to show")
    return Stretch(min(lows), max(highs))


def stretch_to_uint8(array: NDArray[Any], *, stretch: Stretch) -> NDArray[np.uint8]:
    """Map `stretch.low` to 0 and `stretch.high` to 255, straight between, clipped outside; NaN becomes 0.

    Args:
        array: any shape, of real numbers.
        stretch: when both ends are equal, everything up to them is 0 and everything above 255.

    Returns:
        uint8 of the same shape.

    Raises:
        InvalidImage: another dtype.
    """
    if array.dtype in (np.uint8, np.uint16):
        table = _shares(np.arange(n_values(array), dtype=np.float64), stretch)
        return np.asarray(table[array])
    if array.dtype.kind not in "iuf":
        raise InvalidImage(f"an image of {array.dtype} values cannot be shown; convert it to whole or real numbers")
    stretched = np.empty(array.shape, np.uint8)
    for part, target in zip(_parts(array), _parts(stretched), strict=True):
        target[...] = _shares(part.astype(np.float64), stretch)
    return stretched


def n_values(array: NDArray[Any]) -> int:
    """How many values a uint8 or uint16 array may hold. Raises InvalidImage: another dtype."""
    if array.dtype == np.uint8:
        return 1 << 8
    if array.dtype == np.uint16:
        return 1 << 16
    raise InvalidImage(
        f"an image of {array.dtype} values is neither uint8 nor uint16; scale it to 0..255 or 0..65535 and convert it"
    )


def _shares(values: NDArray[np.float64], stretch: Stretch) -> NDArray[np.uint8]:
    width = stretch.high - stretch.low
    if width > 0:
        values = np.nan_to_num(values, nan=stretch.low, posinf=stretch.high, neginf=stretch.low)
        shares = (values - stretch.low) / width
    else:
        shares = (values > stretch.high).astype(np.float64)
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _measured_float(array: NDArray[Any]) -> Stretch:
    """By counting float32 values in the order of their bits: first the upper halves, then the lower ones of two."""
    upper = np.zeros(HALF, np.int64)
    for keys in _keys(array):
        upper += np.bincount(keys >> 16, minlength=HALF)
    if not upper.any():
        raise InvalidImage("an image without a single finite value has nothing to show")
    total, before = int(upper.sum()), np.cumsum(upper)
    ranks = [max(1, int(np.ceil(percent / 100 * total))) for percent in (LOW_PERCENT, HIGH_PERCENT)]
    bins = [int(np.searchsorted(before, rank, side="left")) for rank in ranks]
    lower = {bin_index: np.zeros(HALF, np.int64) for bin_index in bins}
    for keys in _keys(array):
        for bin_index, counts in lower.items():
            counts += np.bincount(keys[keys >> 16 == bin_index] & (HALF - 1), minlength=HALF)
    ends = []
    for rank, bin_index in zip(ranks, bins, strict=True):
        inside = rank - (int(before[bin_index - 1]) if bin_index else 0)
        ends.append(_value((bin_index << 16) | int(np.searchsorted(np.cumsum(lower[bin_index]), inside, side="left"))))
    return Stretch(*ends) if ends[0] < ends[1] else value_range(array)


def _keys(array: NDArray[Any]) -> Iterator[NDArray[np.uint32]]:
    """The finite values as numbers that are ordered as they are."""
    for part in _parts(array):
        with np.errstate(over="ignore"):
            values = part.astype(np.float32).ravel()
        bits = (values[np.isfinite(values)] + np.float32(0)).view(np.uint32)  # adding 0 makes -0 into 0
        yield np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value(key: int) -> float:
    bits = key & ~(1 << 31) if key >> 31 else ~key & 0xFFFFFFFF
    return float(np.array(bits, np.uint32).view(np.float32))


def _places(counts: NDArray[np.int64]) -> tuple[int, int]:
    reached = np.cumsum(counts)
    wanted = np.array([LOW_PERCENT, HIGH_PERCENT]) / 100 * reached[-1]
    low, high = np.searchsorted(reached, wanted, side="left")
    if low == high:
        occurring = np.flatnonzero(counts)
        low, high = occurring[0], occurring[-1]
    return int(low), int(high)


def _parts(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    if array.ndim == 0:
        yield array[np.newaxis]
        return
    rows_at_once = max(1, COUNTED_AT_ONCE * array.shape[0] // max(1, array.size))
    for start in range(0, array.shape[0], rows_at_once):
        yield array[start : start + rows_at_once]
