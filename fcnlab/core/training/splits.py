"""Which images are held out: whole ones, with everything that looks like them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from scipy.sparse.csgraph import connected_components

SIDE = 16
BLOCK = 1024
"""Images that are compared with all others at once."""

ALIKE = 0.9
"""Correlation of two small grey pictures above which they count as alike: frames of a film, quarters of a field."""


def picture_descriptor(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture (H, W, 3) uint8 as a unit vector (SIDE * SIDE,) float32 that hardly changes with light or size."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def groups_alike(descriptors: Sequence[NDArray[np.float32]]) -> list[list[int]]:
    """Groups of image numbers that look alike, directly or through others; each in order of its first image.

    Compared in blocks of rows, so that memory grows with the images and not with their pairs.
    """
    if not descriptors:
        return []
    table = np.stack(descriptors)
    blocks = [csr_array(table[start : start + BLOCK] @ table.T > ALIKE) for start in range(0, len(table), BLOCK)]
    _, group = connected_components(vstack(blocks), directed=False)
    groups: dict[int, list[int]] = {}
    for image, label in enumerate(group.tolist()):
        groups.setdefault(label, []).append(image)
    return list(groups.values())


def held_out(
    groups: Sequence[Sequence[int]],
    classes: Sequence[NDArray[np.int64]],
    *,
    share: float,
    rng: np.random.Generator,
) -> frozenset[int]:
    """Numbers of the images that training never sees: whole groups, drawn at random.

    No group is held out that would leave a class without a point to learn from, nor one that would take more than
    half as much again as wanted. With fewer than three groups nothing is held out.

    Args:
        groups: image numbers that belong together, see `groups_alike`.
        classes: the classes (N,) of the points of each image.
        share: wanted part of all images.
    """
    n_images = sum(len(group) for group in groups)
    wanted = round(share * n_images)
    if len(groups) < 3 or wanted == 0:
        return frozenset()
    left = np.bincount(np.concatenate(list(classes)))
    chosen: set[int] = set()
    for index in rng.permutation(len(groups)):
        group = groups[index]
        if len(chosen) >= wanted:
            break
        taken = np.bincount(np.concatenate([classes[image] for image in group]), minlength=len(left))
        if len(chosen) + len(group) > 1.5 * wanted or ((left > 0) & (left - taken <= 0)).any():
            continue
        left = left - taken
        chosen.update(group)
    return frozenset(chosen)


def shared_out(
    groups: Sequence[Sequence[int]], *, shares: Sequence[float], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The part (N,) each image falls into: whole groups, drawn at random, each to the part that lacks most.

    Large groups are dealt first. With as many groups as parts with a share or more, no such part stays empty.

    Args:
        groups: image numbers 0..N-1 that belong together, see `groups_alike`.
        shares: wanted part of all images for each part, summing to one.
        rng: decides among groups of one size.
    """
    n_images = sum(len(group) for group in groups)
    parts = np.zeros(n_images, np.int64)
    wanted = np.asarray(shares, np.float64) * n_images
    given = np.zeros(len(wanted))
    drawn = [groups[index] for index in rng.permutation(len(groups))]
    dealt = sorted(drawn, key=len, reverse=True)
    for index, group in enumerate(dealt):
        empty = (given == 0) & (wanted > 0)
        lack = wanted - given
        if len(dealt) - index <= empty.sum():  # the last groups go to parts that would stay empty
            lack = np.where(empty, lack, -np.inf)
        part = int(lack.argmax())
        parts[list(group)] = part
        given[part] += len(group)
    return parts
