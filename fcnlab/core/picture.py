"""From whatever an image file holds to the 8-bit RGB picture that is shown and learned from."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain import Stretch
from fcnlab.errors import InvalidImage

LOW_PERCENT, HIGH_PERCENT = 0.35, 99.65
"""The share of values below which a stretched picture is black, and above which it is white."""

COUNTED_AT_ONCE = 1 << 22
"""Values counted in one go: bounds the memory a histogram takes."""


def to_rgb8(array: NDArray[Any], *, stretch: Stretch | None = None) -> tuple[NDArray[np.uint8], Stretch | None]:
    """The 8-bit RGB picture of an array, and the stretch that made it.

    8-bit colour is taken as it is. 16-bit and grey arrays are stretched, all channels alike, so that
    hues stay. Alpha is dropped.

    Args:
        array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); uint8 or uint16.
        stretch: the stretch recorded for this image; None measures it.

    Returns:
        (H, W, 3) uint8, C-contiguous, never the caller's memory; and the stretch, None for 8-bit colour.

    Raises:
        InvalidImage: another shape or dtype, or no pixel at all.
    """
    colours = _checked(array)
    if colours.dtype == np.uint8 and colours.ndim == 3:
        return np.array(colours, order="C"), None
    used = measured_stretch(colours) if stretch is None else stretch
    stretched = stretch_to_uint8(colours, stretch=used)
    if stretched.ndim == 2:
        stretched = np.repeat(stretched[..., np.newaxis], 3, axis=2)
    return np.ascontiguousarray(stretched), used


def array_id(array: NDArray[Any]) -> str:
    """Twenty hex digits that name an array by its shape, dtype and values."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:20]


def measured_stretch(array: NDArray[Any]) -> Stretch:
    """The values at 0.35 and 99.65 percent of all values of a uint8 or uint16 array.

    Each is a value that occurs: the smallest one that this share of the values does not exceed. When both
    fall together, the smallest and the largest value are taken instead.

    Raises:
        InvalidImage: another dtype, or no value at all.
    """
    counts = _histogram(array)
    reached = np.cumsum(counts)
    wanted = np.array([LOW_PERCENT, HIGH_PERCENT]) / 100 * reached[-1]
    low, high = np.searchsorted(reached, wanted, side="left")
    if low == high:
        occurring = np.flatnonzero(counts)
        low, high = occurring[0], occurring[-1]
    return Stretch(low=float(low), high=float(high))


def stretch_to_uint8(array: NDArray[Any], *, stretch: Stretch) -> NDArray[np.uint8]:
    """Map `stretch.low` to 0 and `stretch.high` to 255, straight between, clipped outside.

    Args:
        array: any shape, uint8 or uint16.
        stretch: when both ends are equal, everything up to them is 0 and everything above 255.

    Returns:
        uint8 of the same shape.

    Raises:
        InvalidImage: another dtype.
    """
    values = np.arange(_n_values(array), dtype=np.float64)
    width = stretch.high - stretch.low
    shares = (values - stretch.low) / width if width > 0 else (values > stretch.high).astype(np.float64)
    table = np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
    return np.asarray(table[array])


def _checked(array: NDArray[Any]) -> NDArray[Any]:
    _n_values(array)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InvalidImage(
            f"an image of shape {array.shape} is neither (height, width) nor (height, width, 1, 3 or 4); "
            "choose the channels to show"
        )
    if array.size == 0:
        raise InvalidImage(f"an image of shape {array.shape} has no pixels")
    if array.ndim == 2:
        return array
    return array[..., 0] if channels == 1 else array[..., :3]


def _n_values(array: NDArray[Any]) -> int:
    if array.dtype == np.uint8:
        return 1 << 8
    if array.dtype == np.uint16:
        return 1 << 16
    raise InvalidImage(
        f"an image of {array.dtype} values is neither uint8 nor uint16; scale it to 0..255 or 0..65535 and convert it"
    )


def _histogram(array: NDArray[Any]) -> NDArray[np.int64]:
    counts = np.zeros(_n_values(array), dtype=np.int64)
    if array.size == 0:
        raise InvalidImage(f"an image of shape {array.shape} has no pixels")
    rows_at_once = max(1, COUNTED_AT_ONCE * array.shape[0] // array.size)
    for start in range(0, array.shape[0], rows_at_once):
        counts += np.bincount(array[start : start + rows_at_once].ravel(), minlength=counts.size)
    return counts
