"""Training points drawn from a mask that somebody made elsewhere."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.events import Point
from fcnlab.domain.project import IGNORE

CLEARANCE_PX = 2
"""Points keep this far from where the class changes: that is where masks are least to be trusted."""

TRIES_PER_POINT = 40
LARGE_PIXELS = 4_000_000
"""From this size on, pixels are tried at random in place of being listed."""


def sampled_points(mask: NDArray[np.uint8], count: int, *, rng: np.random.Generator) -> list[Point]:
    """Pixels of a mask with their classes: as many of each class as of the others, away from borders where possible.

    A class with fewer pixels than its share gives all it has, and the others take what is left over. Equal masks,
    counts and generators give equal points, in the order of rows.

    Args:
        mask: (H, W) uint8 class ids, IGNORE where nothing is known.
        count: how many at most.
        rng: decides which.
    """
    present = classes_in(mask)
    if not present or count <= 0:
        return []
    inner = _inner(mask)
    drawn = {class_id: _drawn(mask, inner, class_id, count, rng) for class_id in present}
    shares = _shares({class_id: len(pixels) for class_id, pixels in drawn.items()}, count)
    width = mask.shape[1]
    points = [
        Point(int(pixel) // width, int(pixel) % width, class_id)
        for class_id, pixels in drawn.items()
        for pixel in pixels[: shares[class_id]]
    ]
    return sorted(points)


def classes_in(mask: NDArray[np.uint8]) -> tuple[int, ...]:
    """The values that (H, W) uint8 has, in order, without IGNORE; counted in parts, for that takes eight bytes each."""
    counts = np.zeros(IGNORE + 1, np.int64)
    flat = mask.ravel()
    for start in range(0, flat.size, LARGE_PIXELS):
        counts += np.bincount(flat[start : start + LARGE_PIXELS], minlength=counts.size)
    return tuple(np.flatnonzero(counts[:IGNORE]).tolist())


def _inner(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(H, W) bool: all pixels within CLEARANCE_PX are of the same class; outside the image does not count."""
    kernel = np.ones((2 * CLEARANCE_PX + 1,) * 2, np.uint8)
    return np.asarray(cv2.erode(mask, kernel) == cv2.dilate(mask, kernel))


def _drawn(
    mask: NDArray[np.uint8], inner: NDArray[np.bool_], class_id: int, count: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Flat places of at most `count` pixels of a class in random order, inner ones first."""
    of_class = mask == class_id
    chosen = _some(of_class & inner, count, rng)
    if len(chosen) < count:
        chosen = np.concatenate([chosen, _some(of_class & ~inner, count - len(chosen), rng)])
    return chosen


def _some(wanted: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Flat places of at most `count` true pixels, in random order."""
    if wanted.size > LARGE_PIXELS:
        tried = _tried(wanted, count, rng)
        if len(tried) == count:
            return tried
    pixels = np.flatnonzero(wanted)
    return np.asarray(rng.choice(pixels, min(count, len(pixels)), replace=False), np.int64)


def _tried(wanted: NDArray[np.bool_], count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    flat = wanted.ravel()
    tried = rng.integers(0, flat.size, TRIES_PER_POINT * count)
    hits = tried[flat[tried]]
    _, first = np.unique(hits, return_index=True)
    return np.asarray(hits[np.sort(first)][:count], np.int64)


def _shares(available: dict[int, int], count: int) -> dict[int, int]:
    """How many of each class, as equal as what there is allows; the lowest ids get what cannot be divided."""
    shares: dict[int, int] = {}
    left = count
    for done, class_id in enumerate(sorted(available, key=lambda class_id: (available[class_id], class_id))):
        share = left // (len(available) - done)
        shares[class_id] = min(available[class_id], share)
        left -= shares[class_id]
    for class_id in sorted(available):
        extra = min(left, available[class_id] - shares[class_id], 1)
        shares[class_id] += extra
        left -= extra
    return shares
