"""Pictures kept in memory between the epochs of a training, as many as fit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

PICTURE_MEMORY_BYTES = 1_000_000_000
"""Pictures kept; others are read again."""


class PictureMemory:
    """The pictures read last, at the size they were wanted."""

    def __init__(self) -> None:
        self._pictures: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()

    def picture(self, key: Hashable, hw: tuple[int, int], read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """The picture (H, W, 3) uint8 of that name and size, read if it is not known."""
        known = self._pictures.pop(key, None)
        if known is None or known.shape[:2] != hw:
            known = read()
        self._pictures[key] = known
        while sum(one.nbytes for one in self._pictures.values()) > PICTURE_MEMORY_BYTES and len(self._pictures) > 1:
            self._pictures.popitem(last=False)
        return known
