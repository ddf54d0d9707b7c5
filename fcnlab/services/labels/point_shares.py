"""How many training points each imported mask gives, so that a project stays quick to learn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

MOST_PER_IMAGE = 100
LEAST_PER_IMAGE = 10
MOST_PER_PROJECT = 20_000
"""Imported points of a project, as far as LEAST_PER_IMAGE allows."""

MOST_IMAGES = 500
"""Images of one import that give points: the instant learner encodes every image that has some."""


@dataclass(frozen=True, slots=True)
class PointShare:
    """What each mask of an import gives.

    Attributes:
        per_image: points drawn from a mask.
        chosen: numbers of the images that give points; None when all do.
        words: what was decided, for people; empty when nothing had to be.
    """

    per_image: int
    chosen: frozenset[int] | None = None
    words: str = ""

    def of_image(self, image_id: int) -> int:
        """Points to draw from the mask of an image."""
        return self.per_image if self.chosen is None or image_id in self.chosen else 0


def shared_points(images: Sequence[int], *, earlier: int, seed: int) -> PointShare:
    """Share what a project may take among the masks of an import; equal arguments give equal shares.

    Of more than MOST_IMAGES one is drawn from each of MOST_IMAGES stretches that are as long as each other.

    Args:
        images: numbers of the images that have a mask, in the order of the project.
        earlier: points that other imports brought before.
        seed: decides which images of many.
    """
    count = min(len(images), MOST_IMAGES)
    left = max(MOST_PER_PROJECT - earlier, 0)
    per_image = min(max(left // max(count, 1), LEAST_PER_IMAGE), MOST_PER_IMAGE)
    if len(images) <= MOST_IMAGES:
        masks = "the mask" if count == 1 else f"each of {count} masks"
        words = "" if per_image == MOST_PER_IMAGE else f"{per_image} points from {masks}"
        return PointShare(per_image, None, words)
    borders = np.arange(count + 1, dtype=np.int64) * len(images) // count
    places = np.random.default_rng(seed).integers(borders[:-1], borders[1:])
    words = f"{per_image} points from each of {count} masks, spread evenly over {len(images)}; all are kept as truth"
    return PointShare(per_image, frozenset(images[int(place)] for place in places), words)


def earlier_points(sources: Mapping[str, int], own: str) -> int:
    """Points of the sources before `own`, or of all when it is new.

    Args:
        sources: points that each source has given, in the order in which sources came first.
        own: the source of this import. What came after it does not count, so that importing again changes nothing.
    """
    names = list(sources)
    before = names[: names.index(own)] if own in sources else names
    return sum(sources[name] for name in before)
