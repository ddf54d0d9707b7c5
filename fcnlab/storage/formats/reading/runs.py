"""Masks as lengths of runs: counts of pixels outside and inside by turns, outside first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fcnlab.errors import ImportRefused

GROUP_BITS = 5
CONTINUES, NEGATIVE = 0x20, 0x10
FIRST_CHARACTER = 48
MOST_GROUPS = 7
"""Of a count: far more pixels than an image has, and so few that no sum of what a file can hold leaves 64 bits."""


def pixels_of_runs(counts: NDArray[np.int64], n_pixels: int, what: str) -> NDArray[np.bool_]:
    """(n_pixels,) bool from counts that sum to it. Raises ImportRefused: they do not, or one of them cannot be."""
    if (counts < 0).any() or (counts > n_pixels).any():  # before they are summed: a sum can come round to n_pixels
        strange = int(counts[(counts < 0) | (counts > n_pixels)][0])
        raise ImportRefused(f"a run of {what} has {strange} pixels, the mask has {n_pixels}")
    if int(counts.sum()) != n_pixels:
        raise ImportRefused(f"the runs of {what} cover {int(counts.sum())} pixels, the mask has {n_pixels}")
    return np.repeat(np.arange(len(counts)) % 2 == 1, counts)


def counts_of_text(packed: str | bytes, what: str) -> NDArray[np.int64]:
    """Counts from COCO's compressed text: five bits a character, least first; from the fourth count on, differences.

    pycocotools reads it as well, but takes counts that do not fill the mask, and leaves the rest of it to chance.

    Raises:
        ImportRefused: characters that cannot be, or an unfinished count.
    """
    data = packed.encode("ascii", "replace") if isinstance(packed, str) else packed
    codes = np.frombuffer(data, np.uint8).astype(np.int64) - FIRST_CHARACTER
    ends = np.flatnonzero((codes & CONTINUES) == 0)
    if len(codes) == 0 or (codes < 0).any() or (codes >= 2 * CONTINUES).any() or ends[-1:].tolist() != [len(codes) - 1]:
        raise ImportRefused(f"the compressed runs of {what} are damaged or cut off")
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > MOST_GROUPS:
        raise ImportRefused(f"the compressed runs of {what} hold a number that is too large")
    position = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & (CONTINUES - 1)) << (GROUP_BITS * position), starts)
    values -= np.where(codes[ends] & NEGATIVE, np.int64(1) << (GROUP_BITS * lengths), 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values
