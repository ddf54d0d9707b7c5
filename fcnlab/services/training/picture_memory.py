"""Pictures kept in memory between the epochs of a training, as many as fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

PICTURE_MEMORY_BYTES = 1_000_000_000
"""Pictures kept; others are read again."""


class PictureMemory:
    """The pictures read last, at the size they were wanted."""

    def __init__(self) -> None:
        self._pictures: LRUCache[Hashable, NDArray[np.uint8]] = LRUCache(PICTURE_MEMORY_BYTES, getsizeof=_at_most)

    def picture(self, key: Hashable, hw: tuple[int, int], read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 of that name and size, read if it is not known."""
        picture = self._pictures.get(key)
        if picture is None or picture.shape[:2] != hw:
            picture = self._pictures[key] = read()
        return picture


def _at_most(picture: NDArray[np.uint8]) -> float:
    """Bytes of a picture; one that is larger than the memory is kept alone."""
    return min(picture.nbytes, PICTURE_MEMORY_BYTES)
