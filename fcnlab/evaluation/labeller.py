"""A simulated labeller: where somebody who sees the truth would click next."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.events import Point
from fcnlab.domain.project import IGNORE

ClickStyle = Literal["centre", "jittered", "random"]


def first_clicks(
    truth: NDArray[np.uint8], class_ids: tuple[int, ...], *, style: ClickStyle, rng: np.random.Generator
) -> list[Point]:
    """One click in each class that is in the picture, the highest class id (the object) first.

    Args:
        truth: (H, W) uint8 class ids, IGNORE where nobody knows.
    """
    return [
        click_inside(truth == class_id, class_id, style=style, rng=rng)
        for class_id in sorted(class_ids, reverse=True)
        if (truth == class_id).any()
    ]


def next_click(
    truth: NDArray[np.uint8],
    prediction: NDArray[np.uint8],
    *,
    taken: NDArray[np.bool_],
    style: ClickStyle,
    rng: np.random.Generator,
) -> Point | None:
    """A click in the largest wrong region of any class; None when nothing clickable is wrong.

    Args:
        truth, prediction: (H, W) uint8 class ids; IGNORE in truth is never wrong.
        taken: (H, W) bool, pixels already clicked.
    """
    wrong = (truth != prediction) & (truth != IGNORE)
    best: tuple[int, int, NDArray[np.bool_]] | None = None
    for class_id in np.unique(truth[wrong & ~taken]):
        _, labels, stats, _ = cv2.connectedComponentsWithStats(
            (wrong & (truth == class_id)).astype(np.uint8), connectivity=8
        )
        for label in np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:5] + 1:
            area = int(stats[label, cv2.CC_STAT_AREA])
            region = labels == label
            if (best is None or area > best[0]) and (region & ~taken).any():
                best = area, int(class_id), region
                break
    if best is None:
        return None
    return click_inside(best[2], best[1], taken=taken, style=style, rng=rng)


def click_inside(
    region: NDArray[np.bool_],
    class_id: int,
    *,
    style: ClickStyle,
    rng: np.random.Generator,
    taken: NDArray[np.bool_] | None = None,
) -> Point:
    """A pixel of the region: its centre, near its centre, or anywhere.

    The centre is the maximum of the distance transform, the picture's border counting as outside. "jittered" draws
    among the pixels at least half as deep as the centre.
    """
    depth = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    free = region if taken is None else region & ~taken
    depth = np.where(free, depth, 0)
    if style == "centre":
        row, col = np.unravel_index(int(depth.argmax()), depth.shape)
    else:
        floor = depth.max() / 2 if style == "jittered" else 0.0
        candidates = np.flatnonzero((depth >= floor) & free)
        row, col = np.unravel_index(int(rng.choice(candidates)), depth.shape)
    return Point(int(row), int(col), class_id)


def balanced_pixels(truth: NDArray[np.uint8], count: int, rng: np.random.Generator) -> list[Point]:
    """`count` random pixels, as evenly over the classes in the picture as their sizes allow."""
    present = [int(class_id) for class_id in np.unique(truth) if class_id != IGNORE]
    shares = np.array([count // len(present) + (k < count % len(present)) for k in range(len(present))])
    points = []
    for class_id, share in zip(present, shares, strict=True):
        candidates = np.flatnonzero(truth == class_id)
        for index in rng.choice(candidates, size=min(int(share), len(candidates)), replace=False):
            row, col = np.unravel_index(int(index), truth.shape)
            points.append(Point(int(row), int(col), class_id))
    return points
