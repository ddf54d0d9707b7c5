"""Which images and pixels a survey asks about: drawn at random, and the same again from the same seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.survey import PLANS, Plan
from fcnlab.errors import InvalidSurvey

DRAWN_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class PlannedImage:
    """An image of the plan: its key, and the pixels to ask about, rows and columns (n,) int64 in full size."""

    key: str
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]


def plan_points(
    strata: Mapping[str, Mapping[str, tuple[int, int]]],
    n_images: Mapping[str, int],
    n_per_image: int,
    *,
    plan: Plan,
    seed: int,
) -> dict[str, tuple[PlannedImage, ...]]:
    """Images drawn without replacement in each stratum, and pixels in each of them.

    Every image has its place in the order of drawing, and its pixels, from the seed and its key alone: the order in
    which images come does not matter, a larger plan holds the smaller one, and images that are added to a stratum
    later leave the others in their order. Simple random pixels of a larger plan hold those of a smaller one too.

    Args:
        strata: height and width of each image by its key, by the name of the stratum.
        n_images: how many of each stratum.
        n_per_image: points in each image, at least 1.
        seed: any whole number.

    Raises:
        InvalidSurvey: more images than a stratum has, a stratum nobody defined, more points than an image has pixels,
            or a plan that is none.
    """
    if plan not in PLANS:
        raise InvalidSurvey(f"there is no plan '{plan}': take {', '.join(PLANS)}")
    if set(n_images) - set(strata):
        raise InvalidSurvey(f"there is no stratum '{min(set(n_images) - set(strata))}'")
    planned = {}
    for name, sizes in strata.items():
        n = n_images.get(name, 0)
        if not 0 <= n <= len(sizes):
            raise InvalidSurvey(f"stratum '{name}' has {len(sizes)} images, of which {n} cannot be drawn")
        order = sorted(sizes, key=lambda key: _digest(seed, "image", key))
        planned[name] = tuple(
            PlannedImage(key, *points_in_image(sizes[key], n_per_image, plan=plan, rng=_generator(seed, key)))
            for key in order[:n]
        )
    return planned


def points_in_image(
    hw: tuple[int, int], n_points: int, *, plan: Plan, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns (n,) int64 of different pixels of an image; every pixel is as likely as any other.

    Raises:
        InvalidSurvey: no points, or more than the image has pixels.
    """
    height, width = hw
    if not 1 <= n_points <= height * width:
        raise InvalidSurvey(f"an image of {height} x {width} pixels cannot have {n_points} points")
    if plan == "random":
        return _random_points(hw, n_points, rng)
    top, left, down, across = equal_parts(hw, n_points).T
    place = np.broadcast_to(rng.random(2)[:, None], (2, n_points)) if plan == "grid" else rng.random((2, n_points))
    rows = np.minimum(height - 1, np.floor(top + place[0] * down)).astype(np.int64)
    cols = np.minimum(width - 1, np.floor(left + place[1] * across)).astype(np.int64)
    if len(np.unique(rows * width + cols)) < n_points:  # parts are hardly larger than pixels
        return _random_points(hw, n_points, rng)
    return rows, cols


def equal_parts(hw: tuple[int, int], n_parts: int) -> NDArray[np.float64]:
    """(n_parts, 4) float64 top, left, height and width of rectangles of the same area that make up an image.

    They lie in rows, and are about as high as wide.
    """
    height, width = hw
    n_rows = min(n_parts, max(1, round(math.sqrt(n_parts * height / width))))
    counts = [n_parts // n_rows + (row < n_parts % n_rows) for row in range(n_rows)]
    tops = np.cumsum([0, *counts[:-1]]) * (height / n_parts)
    return np.array(
        [
            (top, place * width / count, height * count / n_parts, width / count)
            for top, count in zip(tops.tolist(), counts, strict=True)
            for place in range(count)
        ]
    )


def _random_points(
    hw: tuple[int, int], n_points: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Different pixels in the order in which they are drawn, so that more of them begin with the same."""
    seen: dict[int, None] = {}
    while len(seen) < n_points:
        seen.update(dict.fromkeys(rng.integers(hw[0] * hw[1], size=DRAWN_AT_ONCE).tolist()))
    rows, cols = np.divmod(np.fromiter(seen, np.int64, len(seen))[:n_points], hw[1])
    return rows, cols


def _digest(seed: int, use: str, key: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{use}/{key}".encode(), digest_size=16).digest()


def _generator(seed: int, key: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(_digest(seed, "pixels", key), "big"))
