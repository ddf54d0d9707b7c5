"""Masks of image files that are in no project, by a saved model or by what a project knows."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.images.coords import learner_picture
from fcnlab.core.images.painting import Painting, painted
from fcnlab.core.images.palette import coloured_labels
from fcnlab.core.images.picture import array_id, make_picture
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.learner import Segmentation
from fcnlab.core.learner.model import Model
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.large import is_large, open_picture, segment_any, unrefined_segmentation
from fcnlab.core.training.network_model import NetworkModel
from fcnlab.core.training.network_output import ChosenNetwork, rounded_probabilities
from fcnlab.domain.images import Imaging, PixelSize, Recipe
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ImportRefused
from fcnlab.services.models.files import Content, NetworkPredictor
from fcnlab.storage.files.devices import pick_device
from fcnlab.storage.files.tensor_cache import passing_cache
from fcnlab.storage.files.weights import load_encoder
from fcnlab.storage.image_readers.decoding import DecodedImage
from fcnlab.storage.image_readers.registry import decode, open_image


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A picture file read: (H, W, 3) uint8 upright, how it was made of the file, and what models may know it by."""

    rgb: NDArray[np.uint8]
    recipe: Recipe
    content_hash: str
    pixel_id: str
    is_turned: bool = False
    pixel_size: PixelSize | None = None

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.rgb.shape[0], self.rgb.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class PictureMask:
    """Class ids (H, W) uint8 of a picture; class ids and probabilities (K, h, w) over it, where they were asked for."""

    mask: NDArray[np.uint8]
    probabilities: tuple[tuple[int, ...], NDArray[np.floating]] | None = None


class PicturePredictor(Protocol):
    """What makes masks of pictures that are in no project."""

    def predict(self, reading: Reading, *, with_probabilities: bool) -> PictureMask:
        """The mask of a picture, and its probabilities where they are asked for."""


def labels_of_model(content: Content) -> tuple[ClassLabel, ...]:
    """The classes of a model in the default colours."""
    return coloured_labels((class_id, name, "") for class_id, name in content.classes)


def picture_predictor(
    content: Model | ChosenNetwork | NetworkModel, *, device: str, is_unrefined: bool
) -> PicturePredictor:
    """What makes masks by a model, or by what a project chose: the one place that chooses among the kinds."""
    if isinstance(content, NetworkModel):
        return NetworkPictures(content, device)
    if isinstance(content, ChosenNetwork):
        return ChosenNetworkPictures(content, device)
    return HeadPictures(content, device) if is_unrefined else InstantPictures(content, device)


class NetworkPictures:
    """Makes masks by a trained network alone: no clicks are obeyed."""

    def __init__(self, model: NetworkModel, device: str) -> None:
        model.network.to(device)
        self._network = NetworkPredictor(model, device=device)

    def predict(self, reading: Reading, *, with_probabilities: bool) -> PictureMask:
        """The mask that the network makes, and its probabilities where they are asked for."""
        network, rgb = self._network, reading.rgb
        probabilities = (network.model.class_ids, network.probabilities(rgb)) if with_probabilities else None
        return PictureMask(network.mask(rgb), probabilities)


class _ObeysClicks(ABC):
    """Makes masks that obey the clicks which a model knows on a picture."""

    def __init__(self, content: Model | ChosenNetwork, device: str) -> None:
        self._clicks_of, self._spec, self._device = content.clicks_of, content.spec, device

    def predict(self, reading: Reading, *, with_probabilities: bool) -> PictureMask:
        """The mask that the model makes with its settings and the clicks it knows on the picture."""
        hw = reading.hw
        # a model saved by a project names images by their file, one saved by PointSegmenter by their pixels
        by_file, by_pixels = (self._clicks_of(key, hw) for key in (reading.content_hash, reading.pixel_id))
        clicks = by_file if len(by_file) else by_pixels
        segmentation = self._segmentation(reading.rgb, learner_picture(reading.rgb, self._spec), clicks)
        probabilities = (segmentation.class_ids, segmentation.probabilities) if with_probabilities else None
        return PictureMask(full_size(segmentation, hw, clicks), probabilities)

    @abstractmethod
    def _segmentation(self, rgb: NDArray[np.uint8], working: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        """Of a picture (H, W, 3) uint8, at its working size (h, w, 3)."""


class ChosenNetworkPictures(_ObeysClicks):
    """Makes masks by a network that a project chose, with the settings and clicks of the project."""

    def __init__(self, network: ChosenNetwork, device: str) -> None:
        super().__init__(network, device)
        network.model.network.to(device)
        self._network = network

    def _segmentation(self, rgb: NDArray[np.uint8], working: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        output = rounded_probabilities(self._network.model, rgb, device=self._device)
        return self._network.segment(self._network.output_of(working, output), clicks)


class InstantPictures(_ObeysClicks):
    """Makes masks by a model of the instant learner."""

    def __init__(self, model: Model, device: str) -> None:
        super().__init__(model, device)
        trained = load_encoder(model.spec.encoder, model.spec.encoder_weights)
        self._model = model
        self._encoder = StageEncoder.of(trained, device=device)

    def _segmentation(self, rgb: NDArray[np.uint8], working: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        del rgb
        model, spec = self._model, self._model.spec
        with torch.inference_mode(), passing_cache() as cache:
            picture = open_picture(self._encoder, working, spec, tile_cache=cache.tile_cache("tile"))
            return segment_any(picture, model.head, clicks, spec, background=model.background)


class HeadPictures(InstantPictures):
    """Makes masks by the head of an instant model, without walker and sharpened borders; large ones as ever."""

    def _segmentation(self, rgb: NDArray[np.uint8], working: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        if is_large((working.shape[0], working.shape[1])):
            return super()._segmentation(rgb, working, clicks)
        spec = self._model.spec
        with torch.inference_mode():
            stages = self._encoder.encode(working, scales=spec.scales, position=spec.position)
            return unrefined_segmentation(stages, self._model.head)


class Predictor:
    """Applies what makes masks to any picture file.

    A network alone says what it says; one that a project chose obeys the project's settings and clicks, as an instant
    model does with those it knows.

    Args:
        content: what makes the masks.
        is_unrefined: of an instant model, take the head alone: several times as fast, for many pictures.
        paintings: what was painted on pictures by hand, by the hash of their file; it lies over what is predicted.
        imaging: how pictures are made of files.

    Raises:
        UnknownEncoder, WeightsUnavailable: the encoder of an instant model cannot be loaded.
    """

    def __init__(
        self,
        content: Model | ChosenNetwork | NetworkModel,
        *,
        device: str,
        max_pixels: int,
        is_unrefined: bool = False,
        paintings: Mapping[str, Painting] | None = None,
        imaging: Imaging | None = None,
    ) -> None:
        self._paintings, self._imaging, self._max_pixels = paintings or {}, imaging or Imaging(), max_pixels
        self._predictor = picture_predictor(content, device=pick_device(device), is_unrefined=is_unrefined)

    def read(self, path: Path, *, name: str = "", page: int | None = None) -> Reading:
        """The picture of a file, called `name` in messages; safe on any thread.

        Args:
            path: the file.
            name: what it is called.
            page: which one of a stack, from 0; models know it by its pixels alone. None: the file is no stack.

        Raises:
            ImportRefused, InvalidImage: the file is not an image fcnlab can read.
        """
        if page is not None:
            with open_image(path, name=name or path.name, max_pixels=self._max_pixels) as stack:
                decoded = stack.image(page)
            return self._reading(decoded, array_id(decoded.pixels))
        try:
            content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as failure:
            raise ImportRefused(f"{path} cannot be read ({failure.strerror}); check the path") from failure
        return self._reading(decode(path, name=name or path.name, max_pixels=self._max_pixels), content_hash)

    def _reading(self, decoded: DecodedImage, content_hash: str) -> Reading:
        pixels = decoded.pixels
        rgb, recipe = make_picture(
            pixels,
            wanted=self._imaging,
            stated=decoded.stated,
            is_window=decoded.is_window,
            nodata=decoded.nodata,
        )
        return Reading(rgb, recipe, content_hash, array_id(pixels), decoded.turned, decoded.pixel_size)

    def mask(self, reading: Reading) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 at the size of the picture; clicks the model knows on it are obeyed, strokes too."""
        return self.predict(reading).mask

    def predict(self, reading: Reading, *, with_probabilities: bool = False) -> PictureMask:
        """The mask of a picture with the strokes stored for it, and its probabilities where they are asked for."""
        predicted = self._predictor.predict(reading, with_probabilities=with_probabilities)
        painting = self._paintings.get(reading.content_hash)
        if painting is None or painting.image_hw != reading.hw:
            return predicted
        return replace(predicted, mask=painted(predicted.mask, painting))
