"""What points and masks say about the tags of an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE

YES, NO, UNKNOWN = 1, 0, -1
"""Answers: a class is in an image, is not, or nobody said."""


def implied(present: Collection[int], is_complete: bool, class_ids: Sequence[int]) -> NDArray[np.int8]:
    """Answers (K,) int8 that the labels of an image imply for `class_ids`: YES, NO or UNKNOWN.

    A class with a point, a stroke or a pixel of an expert mask is there. One without is absent only where every pixel
    has a label; else nobody has said.

    Args:
        present: ids of the classes that label anything in the image; IGNORE is none, and says nothing.
        is_complete: every pixel has a label, of an expert mask or, in an image that is done, of a stroke.
        class_ids: K of them.
    """
    there = set(present) - {IGNORE}
    absent = NO if is_complete else UNKNOWN
    return np.array([YES if class_id in there else absent for class_id in class_ids], np.int8)


def present_in(mask: NDArray[np.uint8]) -> tuple[frozenset[int], bool]:
    """The classes of a mask (H, W) uint8, and whether every pixel has a label: the first two arguments of `implied`."""
    values = set(np.flatnonzero(np.bincount(mask.ravel(), minlength=IGNORE + 1)).tolist())
    return frozenset(values - {IGNORE}), IGNORE not in values
