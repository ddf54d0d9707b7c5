"""Which part of a split each image of an export falls into; images that belong together stay together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.training.splits import SIDE, groups_alike, shared_out
from fcnlab.domain.export import SPLIT_NAMES, SplitSpec
from fcnlab.domain.images import ImageInfo
from fcnlab.errors import FcnlabError
from fcnlab.lab import Lab
from fcnlab.services.images.pictures import thumbnail_look


class Splitter:
    """Splits images; iterate over it to look at them, one at a time, then ask for `parts`."""

    def __init__(self, lab: Lab, images: Sequence[ImageInfo], spec: SplitSpec | None) -> None:
        self._lab, self._images, self._spec = lab, images, spec
        self._looks: list[NDArray[np.float32]] = []

    def __iter__(self) -> Iterator[ImageInfo]:
        """Each image that had to be looked at; one that cannot be read looks like no other."""
        if self._spec is not None and self._spec.by == "look":
            for image in self._images:
                self._looks.append(self._look(image))
                yield image

    def parts(self) -> dict[int, str]:
        """The name of the part of each image, by its id; none when images are not split."""
        if self._spec is None:
            return {}
        rng = np.random.default_rng(self._spec.seed)
        places = shared_out(self._groups(self._spec), shares=self._spec.shares, rng=rng)
        return {image.id: SPLIT_NAMES[place] for image, place in zip(self._images, places.tolist(), strict=True)}

    def _look(self, image: ImageInfo) -> NDArray[np.float32]:
        try:
            return thumbnail_look(self._lab, image)
        except (FcnlabError, OSError):  # the export names it when its turn comes
            return np.zeros(SIDE * SIDE, np.float32)

    def _groups(self, spec: SplitSpec) -> list[list[int]]:
        if spec.by == "look":
            return groups_alike(self._looks)
        found: dict[str, list[int]] = {}
        for number, image in enumerate(self._images):
            found.setdefault(image.name.rpartition("/")[0] if spec.by == "folder" else image.name, []).append(number)
        return list(found.values())
