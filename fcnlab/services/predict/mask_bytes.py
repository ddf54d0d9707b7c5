"""A mask as the bytes of a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.palette import palette_of
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.formats.masks.index_masks import index_png


def index_mask(mask: NDArray[np.uint8], labels: Sequence[ClassLabel]) -> bytes:
    """PNG of class ids (H, W) uint8: pixel value = class id, the colours of the classes as palette."""
    return index_png(mask, palette_of(labels))
