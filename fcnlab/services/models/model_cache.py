"""Models at hand: those that projects chose, and outputs of networks for the pictures shown."""

from __future__ import annotations

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_hw, learner_picture
from fcnlab.core.training.network_output import (
    ChosenNetwork,
    NetworkOutput,
    coarse_probabilities,
    rounded_probabilities,
)
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.models import ModelRecord
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.models.files import Content, open_model, with_class_ids

MODELS_KEPT = 2
OUTPUTS_KEPT = 2
"""Pictures held ready for clicks: the one shown and the one before."""

PROBABILITY_BYTES = 128_000_000
"""Probabilities that are kept, so that going back to an image, or ranking images again, runs no network."""


class ModelCache:
    """Keeps models and their outputs in memory. Used by one thread at a time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._models: LRUCache[int, Content] = LRUCache(MODELS_KEPT)
        self._probabilities: LRUCache[tuple[str, str], NDArray[np.float16]] = LRUCache(
            PROBABILITY_BYTES, getsizeof=_at_most
        )
        self._outputs: LRUCache[tuple[object, ...], NetworkOutput] = LRUCache(OUTPUTS_KEPT)

    def content(self, record: ModelRecord) -> Content:
        """A model with the class ids of its project, opened now if it is not at hand.

        Raises:
            CheckpointError: its file is missing or damaged.
            UnknownEncoder: it needs an encoder that timm does not know here.
        """
        model = self._models.get(record.id)
        if model is None:
            content = open_model(self._lab.folders.checkpoints / record.file, device=self._lab.device)
            model = with_class_ids(content, tuple(class_id for class_id, _, _ in record.classes))
            self._models[record.id] = model
        return model

    def is_ready(self, image: ImageInfo, chosen: ChosenNetwork) -> bool:
        """Whether `network_output` answers at once."""
        return _output_key(image, chosen) in self._outputs

    def network_output(self, image: ImageInfo, chosen: ChosenNetwork, *, keeps: bool = True) -> NetworkOutput:
        """The output of a network for an image; `keeps`: somebody looks at it, and will click.

        Raises:
            ImportRefused: the original is gone or damaged.
            InvalidClasses: fewer than two classes of the network are in use.
        """
        key = _output_key(image, chosen)
        output = self._outputs.get(key)
        if output is None:
            rgb = read_picture(self._lab, image)
            probabilities = self._probabilities_of(image, chosen, rgb, keeps=keeps)
            output = chosen.output_of(learner_picture(rgb, chosen.spec), probabilities)
        if keeps:
            self._outputs[key] = output
        return output

    def coarse_probabilities(self, image: ImageInfo, chosen: ChosenNetwork) -> NDArray[np.float32]:
        """Probabilities (K, h, w) float32 of an image at a quarter of the working size; raises as `network_output`."""
        probabilities = self._probabilities.get(_probabilities_key(image, chosen))
        if probabilities is None:
            probabilities = self._probabilities_of(image, chosen, read_picture(self._lab, image), keeps=False)
        hw = learner_hw(image.hw, chosen.spec)
        return coarse_probabilities(probabilities, chosen.model.class_ids, hw, used=chosen.used)

    def _probabilities_of(
        self, image: ImageInfo, chosen: ChosenNetwork, rgb: NDArray[np.uint8], *, keeps: bool
    ) -> NDArray[np.float16]:
        key = _probabilities_key(image, chosen)
        probabilities = self._probabilities.get(key)
        if probabilities is None:
            probabilities = rounded_probabilities(chosen.model, rgb, device=self._lab.device)
        if keeps:
            self._probabilities[key] = probabilities
        return probabilities


def _at_most(probabilities: NDArray[np.float16]) -> float:
    """Bytes of probabilities; what is larger than the memory is kept alone."""
    return min(probabilities.nbytes, PROBABILITY_BYTES)


def _probabilities_key(image: ImageInfo, chosen: ChosenNetwork) -> tuple[str, str]:
    return chosen.name, image.picture_id


def _output_key(image: ImageInfo, chosen: ChosenNetwork) -> tuple[object, ...]:
    spec = chosen.spec
    return (*_probabilities_key(image, chosen), learner_hw(image.hw, spec), spec.refine, chosen.used)
