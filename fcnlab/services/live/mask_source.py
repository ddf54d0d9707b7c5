"""What makes the mask of an image, one interface for all kinds of it.

Of one moment, for exports and done images: a model of the instant learner (ModelSource) or a network (NetworkSource),
each with the clicks of then. On the label page, by the newest points: see `live_sources`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.learner import Mark, Segmentation, unmarked
from fcnlab.core.learner.model import Model
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.large import segment_any
from fcnlab.core.tiling.tiles import Box
from fcnlab.core.training.network_output import ChosenNetwork
from fcnlab.domain.counting import ImageCount
from fcnlab.domain.images import ImageInfo
from fcnlab.services.live.picture_store import PictureStore


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a source predicts for an image.

    Attributes:
        segmentation: class ids, probabilities and class map at working size.
        changed: the box outside of which the probabilities are those of the last prediction; None: new everywhere.
        count: objects and their numbers, in a project that counts.
    """

    segmentation: Segmentation
    changed: Box | None = None
    count: ImageCount | None = None


class MaskSource(Protocol):
    """What makes the masks of the images of a project. Used by one thread at a time."""

    @property
    def content(self) -> Model | ChosenNetwork | None:
        """The model with its settings and clicks, for pictures that are in no project; None: it follows the points."""

    @property
    def keeps_masks(self) -> bool:
        """Whether done images keep its masks."""

    def clicks_of(self, image: ImageInfo) -> Clicks:
        """The clicks on an image that its masks obey."""

    def waits_for(self, image: ImageInfo) -> str:
        """What has to be done before `predict` answers, in words for people; empty when it answers at once."""

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """The mask of an image.

        Args:
            keeps: somebody looks at the image, and will click.
            mark: is told when a part is finished: encode, samples, fit, score, walk, refine.

        Raises:
            NoPoints: too little was clicked to tell classes apart.
            ImportRefused: the original is gone or damaged.
            CheckpointError, UnknownEncoder, InvalidClasses: the model that the project chose cannot be used.
        """

    def unrefined(self, image: ImageInfo) -> NDArray[np.float32]:
        """Probabilities (K, h, w) at a quarter of the working size, quick and rough; raises as `predict`."""

    def progress(self, image: ImageInfo) -> float:
        """How much of an image was predicted by what is known now, 0 to 1: a wide one is made tile by tile."""

    def has_pending_tile(self, image: ImageInfo) -> bool:
        """Whether the newest click was answered coarsely, and its tile is still to be made."""

    def encode_next(self, image: ImageInfo) -> bool:
        """Encode a part of an image ahead, before anybody clicks; whether others wait. Raises ImportRefused."""

    def encode_due(self, image: ImageInfo) -> None:
        """Encode what the next `predict` needs, so that it is quick. Raises ImportRefused."""


class WholeImages:
    """Base of the sources that predict an image in one step."""

    keeps_masks = True

    def progress(self, image: ImageInfo) -> float:
        """1.0: an image is predicted whole."""
        del image
        return 1.0

    def has_pending_tile(self, image: ImageInfo) -> bool:
        """False: no click is answered coarsely."""
        del image
        return False

    def encode_next(self, image: ImageInfo) -> bool:
        """False: there are no tiles to encode ahead."""
        del image
        return False

    def encode_due(self, image: ImageInfo) -> None:
        """Does nothing: there are no tiles to encode."""


class ModelSource(WholeImages):
    """A fitted model of the instant learner, at one moment."""

    def __init__(self, model: Model, pictures: PictureStore, *, name: str = "") -> None:
        self.content, self._pictures, self._name = model, pictures, name

    def clicks_of(self, image: ImageInfo) -> Clicks:
        """The clicks the model learned from, or that were made by the moment it was chosen."""
        return self.content.clicks_of(image.content_hash, image.hw)

    def waits_for(self, image: ImageInfo) -> str:
        """Words for people while the picture has to be encoded; else empty."""
        return "" if self._pictures.is_ready(image, self.content.spec) else f"asking {self._name}"

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """The mask by its head and the whole path of the instant learner: similarity, walker, refinement."""
        model, picture_of = self.content, self._pictures.picture if keeps else self._pictures.passing_picture
        picture = picture_of(image, model.spec)
        mark("encode")
        clicks = self.clicks_of(image)
        return Prediction(segment_any(picture, model.head, clicks, model.spec, background=model.background, mark=mark))

    def unrefined(self, image: ImageInfo) -> NDArray[np.float32]:
        """Probabilities by its head alone."""
        return self._pictures.unrefined(image, self.content.spec, self.content.head)


class NetworkSource(WholeImages):
    """A trained network that a project chose; it is asked once per picture, and clicks are obeyed."""

    def __init__(self, network: ChosenNetwork, pictures: PictureStore, *, name: str = "") -> None:
        self.content, self._cache, self._name = network, pictures.model_cache, name

    def clicks_of(self, image: ImageInfo) -> Clicks:
        """The clicks of the moment at which the source was made."""
        return self.content.clicks_of(image.content_hash, image.hw)

    def waits_for(self, image: ImageInfo) -> str:
        """Words for people while the network has to be run on the picture; else empty."""
        return "" if self._cache.is_ready(image, self.content) else f"asking {self._name}"

    def predict(self, image: ImageInfo, *, keeps: bool = False, mark: Mark = unmarked) -> Prediction:
        """The mask by the network, obeying the clicks."""
        output = self._cache.network_output(image, self.content, keeps=keeps)
        mark("encode")
        segmentation = self.content.segment(output, self.clicks_of(image))
        mark("refine")
        return Prediction(segmentation)

    def unrefined(self, image: ImageInfo) -> NDArray[np.float32]:
        """Probabilities of the network at a quarter of the working size."""
        return self._cache.coarse_probabilities(image, self.content)
