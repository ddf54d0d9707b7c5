"""Reading .npy files: one image, or a stack of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import ImportRefused
from fcnlab.storage.image_readers.decoding import Header, as_numbers

MAGIC = b"\x93NUMPY"

CHANNELS_MOST = 16
"""A third axis this short, and shorter than the others, holds channels; else the first axis counts images."""


def numpy_header(path: Path, *, name: str) -> Header:
    """What the array says of itself; (N, H, W) and (N, H, W, C) are stacks of N images.

    Raises:
        ImportRefused: it has no form of an image, or holds Python objects, which are never loaded.
        ValueError, OSError: it is damaged.
    """
    array = _mapped(path, name=name)
    n_axes, shape = array.ndim, array.shape
    if n_axes not in (2, 3, 4) or 0 in shape:
        raise ImportRefused(
            f"{name} has the shape {shape}; save an array (height, width), (height, width, channels), or a stack of it"
        )
    is_stack = _is_stack(shape)
    height, width = shape[1:3] if is_stack else shape[:2]
    channels = shape[-1] if n_axes - is_stack == 3 else 1
    return Header("npy", (height, width), array.dtype, channels, count=shape[0] if is_stack else 1)


def numpy_pixels(path: Path, *, index: int, name: str) -> NDArray[Any]:
    """The pixels (H, W) or (H, W, C) of one image of the file. Raises as `numpy_header`."""
    array = _mapped(path, name=name)
    pixels = as_numbers(np.array(array[index] if _is_stack(array.shape) else array, order="C"))
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def _mapped(path: Path, *, name: str) -> NDArray[Any]:
    """The array, left on the disk."""
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as failure:
        if "objects" in str(failure):
            raise ImportRefused(
                f"{name} holds Python objects, which could run programs when read; save an array of numbers"
            ) from failure
        raise


def _is_stack(shape: tuple[int, ...]) -> bool:
    holds_channels = len(shape) == 3 and shape[2] <= CHANNELS_MOST and shape[2] < min(shape[:2])
    return len(shape) == 4 or (len(shape) == 3 and not holds_channels)
