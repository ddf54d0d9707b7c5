"""Pictures of what was counted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

STRENGTH = 0.75
"""How much of the colour covers the picture where objects are surest."""


def density_picture(rgb: NDArray[np.uint8], likely: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A grey picture under the colours of viridis (van der Walt and Smith 2015): the brighter, the likelier an object.

    Args:
        rgb: (H, W, 3).
        likely: (h, w) over the same field of view, how likely an object is there, 0 to 1.

    Returns:
        (H, W, 3) uint8.
    """
    size = (rgb.shape[1], rgb.shape[0])
    smooth = cv2.resize(np.clip(likely, 0, 1).astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    table = cv2.applyColorMap(np.rint(smooth * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    colours = cv2.cvtColor(table, cv2.COLOR_BGR2RGB).astype(np.float32)
    grey = np.repeat(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.float32)
    share = (STRENGTH * np.sqrt(smooth))[..., None]
    return np.rint(grey * (1 - share) + colours * share).astype(np.uint8)
