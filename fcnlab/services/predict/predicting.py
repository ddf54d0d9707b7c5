"""Masks of image files that are in no project, by a saved model or by what a project knows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.images.coords import learner_picture
from fcnlab.core.images.painting import Painting, painted
from fcnlab.core.images.palette import coloured_labels
from fcnlab.core.images.picture import array_id, make_picture
from fcnlab.core.learner.encoder import StageEncoder
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.learner import Segmentation
from fcnlab.core.learner.model import Model
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.tiling.large import is_large, open_picture, plain_segmentation, segment_any
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


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Class ids (H, W) uint8 of a picture; class ids and probabilities (K, h, w) over it, where they were asked for."""

    mask: NDArray[np.uint8]
    probabilities: tuple[tuple[int, ...], NDArray[np.floating]] | None = None


def labels_of_model(content: Content) -> tuple[ClassLabel, ...]:
    """The classes of a model in the default colours."""
    return coloured_labels((class_id, name, "") for class_id, name in content.classes)


class Predictor:
    """Applies what makes masks to any picture.

    A network alone says what it says; one that a project chose obeys the project's settings and clicks, as an instant
    model does with those it knows.

    Args:
        is_plain: of an instant model, take the head alone, without walker and sharpened borders: several times as
            fast, for many pictures.
        paintings: what was painted on pictures by hand, by the hash of their file; it lies over what is predicted.
        imaging: how pictures are made of files.
    """

    def __init__(
        self,
        maker: Model | ChosenNetwork | NetworkModel,
        *,
        device: str,
        max_pixels: int,
        is_plain: bool = False,
        paintings: Mapping[str, Painting] | None = None,
        imaging: Imaging | None = None,
    ) -> None:
        self._is_plain, self._paintings, self._imaging = is_plain, paintings or {}, imaging or Imaging()
        self._maker, self._max_pixels, self._device = maker, max_pixels, pick_device(device)
        network = maker.model if isinstance(maker, ChosenNetwork) else maker
        if isinstance(network, NetworkModel):
            network.network.to(self._device)

    @cached_property
    def _encoder(self) -> StageEncoder:
        assert isinstance(self._maker, Model)
        trained = load_encoder(self._maker.spec.encoder, self._maker.spec.encoder_weights)
        return StageEncoder(
            trained.network, strides=trained.strides, mean=trained.mean, std=trained.std, device=self._device
        )

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
        return self.answer(reading).mask

    def answer(self, reading: Reading, *, with_probabilities: bool = False) -> Answer:
        """The mask of a picture, and what it was made from."""
        rgb, maker = reading.rgb, self._maker
        if isinstance(maker, NetworkModel):
            network = NetworkPredictor(maker, device=self._device)
            found = (maker.class_ids, network.probabilities(rgb)) if with_probabilities else None
            return Answer(network.mask(rgb), found)
        hw = (rgb.shape[0], rgb.shape[1])
        # a model saved by a project names images by their file, one saved by PointSegmenter by their pixels
        by_file, by_pixels = (maker.clicks_of(one, hw) for one in (reading.content_hash, reading.pixel_id))
        clicks = by_file if len(by_file) else by_pixels
        opinion = self._segmentation(maker, rgb, clicks)
        mask = full_size(opinion, hw, clicks)
        painting = self._paintings.get(reading.content_hash)
        if painting is not None and painting.image_hw == hw:
            mask = painted(mask, painting)
        return Answer(mask, (opinion.class_ids, opinion.probabilities) if with_probabilities else None)

    def _segmentation(self, maker: Model | ChosenNetwork, rgb: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        working = learner_picture(rgb, maker.spec)
        if isinstance(maker, ChosenNetwork):
            answer = rounded_probabilities(maker.model, rgb, device=self._device)
            return maker.segment(maker.look(working, answer), clicks)
        spec, encoder = maker.spec, self._encoder
        with torch.inference_mode():
            if self._is_plain and not is_large((working.shape[0], working.shape[1])):
                stages = encoder.encode(working, scales=spec.scales, position=spec.position)
                return plain_segmentation(stages, maker.head)
            with passing_cache() as cache:
                picture = open_picture(encoder, working, spec, tile_cache=cache.tile_cache("tile"))
                return segment_any(picture, maker.head, clicks, spec, background=maker.background)
