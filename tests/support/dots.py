"""Pictures of bright dots on dark ground: objects that a tiny network learns to count in seconds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.training.batches import LabelledPicture

HEIGHT, WIDTH = 48, 72
SPACING = 12.0


def dot_places(number: int, n_dots: int | None = None) -> NDArray[np.int64]:
    """Rows and columns (N, 2) of the dots of a picture, SPACING apart at least."""
    rng = np.random.default_rng(number)
    cells = np.array([(row, col) for row in range(6, HEIGHT, 12) for col in range(6, WIDTH, 12)])
    chosen = rng.permutation(len(cells))[: n_dots if n_dots is not None else int(rng.integers(3, 16))]
    return np.asarray(cells[np.sort(chosen)] + rng.integers(-1, 2, (len(chosen), 2)), np.int64)


def dotted(number: int, n_dots: int | None = None) -> NDArray[np.uint8]:
    """The picture (HEIGHT, WIDTH, 3) uint8 of `dot_places`."""
    rng = np.random.default_rng([number, 1])
    pixels = rng.integers(20, 60, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    down, across = np.mgrid[:HEIGHT, :WIDTH]
    for row, col in dot_places(number, n_dots):
        pixels[(down - row) ** 2 + (across - col) ** 2 <= 9] = (240, 200, 90)
    return pixels


def marked(number: int, n_dots: int | None = None, *, is_complete: bool = True) -> LabelledPicture:
    """The picture with a point on every dot."""
    places, pixels = dot_places(number, n_dots), dotted(number, n_dots)
    rows, cols = places[:, 0].astype(np.float32), places[:, 1].astype(np.float32)
    return LabelledPicture(
        str(number),
        lambda: pixels,
        rows,
        cols,
        np.ones(len(places), np.int64),
        np.ones(len(places), np.float32),
        is_complete,
        (HEIGHT, WIDTH),
    )
