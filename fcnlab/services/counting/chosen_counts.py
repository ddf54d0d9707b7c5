"""Counts by a network that a project chose: what it sees in a picture is asked once, whatever is clicked."""

from __future__ import annotations

from dataclasses import replace

from cachetools import LRUCache

from fcnlab.core.counting.count_maps import CountMaps, network_count_maps
from fcnlab.core.counting.counted import Counted, count_on_maps, with_intervals
from fcnlab.core.counting.counting import calibration_of
from fcnlab.core.images.coords import learner_hw
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.wide import counting_spec
from fcnlab.core.training.network_model import NetworkModel
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.domain.project import Project
from fcnlab.errors import CheckpointError
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.models.model_cache import ModelCache

COUNT_MAPS_KEPT = 2
"""Images whose maps are held: the one shown and the one before."""


class ChosenCounts:
    """Counts images of projects by the models they chose. Used by one thread at a time."""

    def __init__(self, lab: Lab, model_cache: ModelCache) -> None:
        self._lab, self._cache = lab, model_cache
        self._count_maps: LRUCache[tuple[object, ...], CountMaps] = LRUCache(COUNT_MAPS_KEPT)

    def is_ready(self, record: ModelRecord, project: Project, image: ImageInfo) -> bool:
        """Whether `count` answers at once."""
        return _key(record, project, image) in self._count_maps

    def count(
        self, record: ModelRecord, project: Project, image: ImageInfo, clicks: Clicks, *, keeps: bool = True
    ) -> Counted:
        """The count of an image by a network; points are obeyed, and where all objects are marked they are the count.

        Args:
            keeps: somebody looks at the image, and will click.

        Raises:
            CheckpointError, UnknownEncoder: the model cannot be used, or does not count.
            ImportRefused: the original is gone or damaged.
        """
        model = self._cache.content(record)
        if not isinstance(model, NetworkModel):
            raise CheckpointError(
                f"the version {record.name!r} makes masks and does not count: choose another, or the instant counter, "
                "on the Models page"
            )
        key = _key(record, project, image)
        count_maps = self._count_maps.get(key)
        if count_maps is None:
            class_ids = tuple(label.id for label in project.background_first)
            count_maps = network_count_maps(
                model, read_picture(self._lab, image), class_ids=class_ids, device=self._lab.device
            )
        if keeps:
            self._count_maps[key] = count_maps
        out_hw = learner_hw(image.hw, counting_spec(image.hw, project.learner))
        counted = count_on_maps(count_maps, clicks, is_complete=image.is_complete, out_hw=out_hw)
        return replace(counted, count=with_intervals(counted.count, calibration_of(model).spread))


def _key(record: ModelRecord, project: Project, image: ImageInfo) -> tuple[object, ...]:
    return record.id, record.file, image.picture_id, tuple(label.id for label in project.background_first)
