"""Masks of image files that are in no project, by a saved model or by what a project knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.adapters.devices import pick_device
from fcnlab.adapters.exports.index_png import index_png
from fcnlab.adapters.files import write_whole
from fcnlab.adapters.images import decode
from fcnlab.adapters.weights import load_encoder
from fcnlab.core.clicks import Clicks
from fcnlab.core.encoder import StageEncoder
from fcnlab.core.learner import Segmentation, full_size, prepare, segment
from fcnlab.core.looks import ChosenNetwork, rounded_probabilities
from fcnlab.core.model import Model
from fcnlab.core.naming import export_stems
from fcnlab.core.network_model import NetworkModel
from fcnlab.core.painting import Painting, painted
from fcnlab.core.palette import palette_of
from fcnlab.core.picture import array_id, to_rgb8
from fcnlab.core.plain import plain_segmentation
from fcnlab.core.working import working_picture
from fcnlab.domain import DEFAULT_PALETTE, ClassLabel
from fcnlab.errors import ExportFailed, ImportRefused
from fcnlab.services.fitting import Maker
from fcnlab.services.model_files import Content
from fcnlab.services.networks import NetworkPredictor
from fcnlab.services.overlapping import overlapped


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A picture file read: (H, W, 3) uint8 upright, and what models may know it by."""

    rgb: NDArray[np.uint8]
    content_hash: str
    pixel_id: str


@dataclass(frozen=True, slots=True)
class Prediction:
    """One file further; `mask` is the file written, `refused` why there is none."""

    done: int
    total: int
    image: Path
    mask: Path | None = None
    refused: str = ""


def labels_of_model(content: Content) -> tuple[ClassLabel, ...]:
    """The classes of a model in the default colours."""
    return tuple(
        ClassLabel(class_id, name, DEFAULT_PALETTE[place % len(DEFAULT_PALETTE)], place)
        for place, (class_id, name) in enumerate(content.classes)
    )


class Predictor:
    """Applies what makes masks to any picture.

    A network alone says what it says; one that a project chose obeys the project's settings and clicks, as an instant
    model does with those it knows.

    Args:
        is_plain: of an instant model, take the head alone, without walker and sharpened borders: several times as
            fast, for many pictures.
        paintings: what was painted on pictures by hand, by the hash of their file; it lies over what is predicted.
    """

    def __init__(
        self,
        maker: Maker | NetworkModel,
        *,
        device: str,
        max_pixels: int,
        is_plain: bool = False,
        paintings: Mapping[str, Painting] | None = None,
    ) -> None:
        self._is_plain, self._paintings = is_plain, paintings or {}
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

    def mask_of_file(self, path: Path) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of the upright picture; see `read` and `mask`."""
        return self.mask(self.read(path))

    def read(self, path: Path) -> Reading:
        """The picture of a file; safe on any thread.

        Raises:
            ImportRefused, InvalidImage: the file is not an image fcnlab can read.
        """
        try:
            content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as failure:
            raise ImportRefused(f"{path} cannot be read ({failure.strerror}); check the path") from failure
        pixels = decode(path, name=path.name, max_pixels=self._max_pixels).pixels
        return Reading(to_rgb8(pixels)[0], content_hash, array_id(pixels))

    def mask(self, reading: Reading) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 at the size of the picture; clicks the model knows on it are obeyed, strokes too."""
        rgb, maker = reading.rgb, self._maker
        if isinstance(maker, NetworkModel):
            return NetworkPredictor(maker, device=self._device).mask(rgb)
        hw = (rgb.shape[0], rgb.shape[1])
        # a model saved by a project names images by their file, one saved by PointSegmenter by their pixels
        by_file, by_pixels = (maker.clicks_of(one, hw) for one in (reading.content_hash, reading.pixel_id))
        clicks = by_file if len(by_file) else by_pixels
        mask = full_size(self._segmentation(maker, rgb, clicks), hw, clicks)
        painting = self._paintings.get(reading.content_hash)
        return painted(mask, painting) if painting is not None and painting.image_hw == hw else mask

    def _segmentation(self, maker: Maker, rgb: NDArray[np.uint8], clicks: Clicks) -> Segmentation:
        working = working_picture(rgb, maker.spec.working_side)
        if isinstance(maker, ChosenNetwork):
            answer = rounded_probabilities(maker.model, rgb, device=self._device)
            return maker.segment(maker.look(working, answer), clicks)
        stages = self._encoder.encode(working, scales=maker.spec.scales, position=maker.spec.position)
        with torch.inference_mode():
            if self._is_plain:
                return plain_segmentation(stages, maker.head)
            return segment(prepare(working, stages), maker.head, clicks, maker.spec, background=maker.background)


def predict_files(
    predictor: Predictor, files: Sequence[Path], *, labels: Sequence[ClassLabel], to: Path
) -> Iterator[Prediction]:
    """Write one palette PNG per file into a folder; a file that fails is named, the rest goes on.

    Raises:
        ExportFailed: the folder cannot be written.
    """
    palette = palette_of(labels)
    items = list(zip(files, (to / f"{stem}.png" for stem in _stems(files)), strict=True))

    def write(item: tuple[Path, Path], mask: NDArray[np.uint8]) -> Path:
        path = item[1]
        try:
            write_whole(path, index_png(mask, palette))
        except OSError as failure:
            raise ExportFailed(f"{path} cannot be written ({failure.strerror}); choose another folder") from failure
        return path

    steps = overlapped(items, read=lambda item: predictor.read(item[0]), work=predictor.mask, write=write)
    for number, one in enumerate(steps, start=1):
        if isinstance(one.refused, ExportFailed):
            raise one.refused
        yield Prediction(number, len(files), one.item[0], mask=one.kept, refused=str(one.refused or ""))


def _stems(files: Sequence[Path]) -> list[str]:
    """A name for the mask of each file, by the rule of exports; files of one name are told apart by a number."""
    names: list[str] = []
    for file in files:
        number, name = 1, file.name
        while name in names:
            number += 1
            name = f"{file.stem}_{number}{file.suffix}"
        names.append(name)
    stems = export_stems(names)
    return [stems[name] for name in names]
