"""From whatever an image file holds to the 8-bit RGB picture that is shown and learned from."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.intensity import measured_stretch, n_values, stretch_to_uint8, value_range
from fcnlab.domain.images import Imaging, Recipe, Stretch
from fcnlab.errors import InvalidImage

DIRECT_CHANNELS = 4
"""Images of more channels are no colour photographs: each channel has its own contrast."""


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
    n_values(array)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InvalidImage(
            f"an image of shape {array.shape} is neither (height, width) nor (height, width, 1, 3 or 4); "
            "choose the channels to show"
        )
    return _as_it_comes(array, stretch)


def make_picture(
    array: NDArray[Any],
    *,
    wanted: Imaging,
    stated: Stretch | None = None,
    is_window: bool = False,
    nodata: float | None = None,
) -> tuple[NDArray[np.uint8], Recipe]:
    """The picture of an image of which none was made yet, and how it was made.

    Args:
        array: (H, W) or (H, W, C), of real numbers.
        wanted: what the project says. An image that lacks one of its channels is shown by its first ones.
        stated: the range that the file itself states; one that its values exceed is not believed, for nothing is
            clipped silently.
        is_window: the file asks to be shown in that range, and values outside to be cut off.
        nodata: the value of pixels about which nothing is known: they are left out of every range, and black.

    Returns:
        (H, W, 3) uint8, C-contiguous, never the caller's memory; and the recipe: `repeat_picture` makes the same again.

    Raises:
        InvalidImage: another shape or dtype, no pixel, or no finite value.
    """
    count = _channel_count(array)
    if stated is not None and not is_window and not _covers(stated, known_values(array, nodata)):
        stated = None
    if wanted.is_default and count <= DIRECT_CHANNELS:
        rgb, stretch = _as_it_comes(array, stated, nodata)
        return rgb, Recipe(stretch)
    fits = bool(wanted.channels) and max(wanted.channels) <= count
    channels = wanted.channels if fits else ((1, 2, 3) if count >= 3 else (1,))
    limits = wanted.limits
    if not limits and stated is not None:
        limits = (stated,)
    elif not limits and array.dtype != np.uint8:
        limits = (None,) * len(channels)
    recipe = Recipe(imaging=Imaging(channels, _measured(array, channels, limits, nodata)))
    return repeat_picture(array, recipe, nodata=nodata), recipe


def repeat_picture(array: NDArray[Any], recipe: Recipe, *, nodata: float | None = None) -> NDArray[np.uint8]:
    """The picture (H, W, 3) uint8 of an image as it was made before.

    Args:
        array: (H, W) or (H, W, C), of real numbers.
        recipe: what `make_picture` returned for it.
        nodata: as for `make_picture`.

    Raises:
        InvalidImage: the array is none that this recipe was made for.
    """
    count = _channel_count(array)
    used = recipe.imaging
    if used is None:
        return _as_it_comes(array, recipe.stretch, nodata)[0]
    if max(used.channels) > count:
        raise InvalidImage(f"an image of {count} channels has no channel {max(used.channels)}")
    rgb = np.empty((*array.shape[:2], 3), np.uint8)
    for index, channel in enumerate(used.channels):
        values = _channel(array, channel)
        stretch = used.limits[index] if used.limits else None
        rgb[..., index] = values if stretch is None else stretch_to_uint8(values, stretch=stretch)
        if nodata is not None and stretch is not None:
            rgb[_is_nodata(values, nodata), index] = 0
    if len(used.channels) == 1:
        rgb[..., 1:] = rgb[..., :1]
    if nodata is not None:
        nothing = [_is_nodata(_channel(array, channel), nodata) for channel in used.channels]
        rgb[np.logical_and.reduce(nothing)] = 0
    return rgb


def array_id(array: NDArray[Any]) -> str:
    """Twenty hex digits that name an array by its shape, dtype and values."""
    digest = hashlib.sha256(f"{array.shape} {array.dtype}".encode())
    digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:20]


def _as_it_comes(
    array: NDArray[Any], stretch: Stretch | None, nodata: float | None = None
) -> tuple[NDArray[np.uint8], Stretch | None]:
    if array.size == 0:
        raise InvalidImage(f"an image of shape {array.shape} has no pixels")
    colours = array
    if array.ndim == 3:  # one channel, or grey and alpha
        colours = array[..., :3] if array.shape[2] > 2 else array[..., 0]
    if colours.dtype == np.uint8 and colours.ndim == 3:
        return _without_nodata(np.array(colours, order="C"), colours, nodata), None
    used = measured_stretch(known_values(colours, nodata)) if stretch is None else stretch
    stretched = stretch_to_uint8(colours, stretch=used)
    if stretched.ndim == 2:
        stretched = np.repeat(stretched[..., np.newaxis], 3, axis=2)
    return _without_nodata(np.ascontiguousarray(stretched), colours, nodata), used


def _is_nodata(values: NDArray[Any], nodata: float) -> NDArray[np.bool_]:
    """Where values of any shape are the one that stands for nothing; NaN is the same as NaN."""
    return np.isnan(values) if np.isnan(nodata) else np.asarray(values == nodata, np.bool_)


def known_values(array: NDArray[Any], nodata: float | None) -> NDArray[Any]:
    """The values (N,) that stand for something; the array itself where all of them do, or none of them."""
    if nodata is None or np.isnan(nodata):  # what is not finite counts nowhere anyway
        return array
    missing = _is_nodata(array, nodata)
    return array if not missing.any() or missing.all() else array[~missing]


def _without_nodata(rgb: NDArray[np.uint8], values: NDArray[Any], nodata: float | None) -> NDArray[np.uint8]:
    """The picture (H, W, 3), changed in place: black where all channels of the values (H, W, C) stand for nothing."""
    if nodata is not None:
        missing = _is_nodata(values, nodata)
        rgb[missing.all(axis=-1) if missing.ndim == 3 else missing] = 0
    return rgb


def _channel_count(array: NDArray[Any]) -> int:
    if array.ndim not in (2, 3) or array.size == 0:
        raise InvalidImage(f"an image of shape {array.shape} is not (height, width) or (height, width, channels)")
    return 1 if array.ndim == 2 else int(array.shape[2])


def _channel(array: NDArray[Any], channel: int) -> NDArray[Any]:
    return array if array.ndim == 2 else array[..., channel - 1]


def _measured(
    array: NDArray[Any], channels: tuple[int, ...], limits: tuple[Stretch | None, ...], nodata: float | None
) -> tuple[Stretch | None, ...]:
    """One stretch for each channel that is shown; empty where 8-bit values stay."""
    if len(limits) == 1:
        stretch = limits[0]
        if stretch is None:
            together = np.stack([_channel(array, channel) for channel in channels])
            stretch = _apart(measured_stretch(known_values(together, nodata)))
        return (stretch,) * len(channels)
    return tuple(
        given or _apart(measured_stretch(known_values(_channel(array, channel), nodata)))
        for channel, given in zip(channels, limits, strict=False)
    )


def _apart(stretch: Stretch) -> Stretch:
    """Limits that differ, also of a channel of one value: it becomes black."""
    return (
        stretch
        if stretch.low < stretch.high
        else Stretch(stretch.low, float(np.nextafter(np.float32(stretch.low), np.inf)))
    )


def _covers(stated: Stretch, array: NDArray[Any]) -> bool:
    actual = value_range(array)
    return stated.low <= actual.low and actual.high <= stated.high and stated.low < stated.high
