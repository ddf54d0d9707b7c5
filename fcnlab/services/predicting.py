"""Masks of image files that are in no project, by a saved model or by what a project knows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.adapters.checkpoints import load_checkpoint
from fcnlab.adapters.devices import pick_device
from fcnlab.adapters.exports.index_png import index_png
from fcnlab.adapters.files import write_whole
from fcnlab.adapters.images import decode
from fcnlab.adapters.weights import load_encoder
from fcnlab.core.clicks import Clicks
from fcnlab.core.encoder import StageEncoder
from fcnlab.core.learner import full_size, prepare, segment
from fcnlab.core.model import Model, model_from_arrays
from fcnlab.core.naming import export_stems
from fcnlab.core.palette import palette_of
from fcnlab.core.picture import array_id, to_rgb8
from fcnlab.core.working import working_picture
from fcnlab.domain import DEFAULT_PALETTE, ClassLabel
from fcnlab.errors import ExportFailed, FcnlabError, ImportRefused


@dataclass(frozen=True, slots=True)
class Prediction:
    """One file further; `mask` is the file written, `refused` why there is none."""

    done: int
    total: int
    image: Path
    mask: Path | None = None
    refused: str = ""


def load_model(path: Path) -> Model:
    """A saved model. Raises CheckpointError."""
    return model_from_arrays(*load_checkpoint(path))


def labels_of_model(model: Model) -> tuple[ClassLabel, ...]:
    """The classes of a model in the default colours."""
    return tuple(
        ClassLabel(class_id, name, DEFAULT_PALETTE[place % len(DEFAULT_PALETTE)], place)
        for place, (class_id, name) in enumerate(model.classes)
    )


class Predictor:
    """Applies one model to any picture."""

    def __init__(self, model: Model, *, device: str, max_pixels: int) -> None:
        self._model, self._max_pixels = model, max_pixels
        trained = load_encoder(model.spec.encoder, model.spec.encoder_weights)
        self._encoder = StageEncoder(
            trained.network, strides=trained.strides, mean=trained.mean, std=trained.std, device=pick_device(device)
        )

    def mask_of_file(self, path: Path) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of the upright picture; clicks the model knows on it are obeyed.

        Raises:
            ImportRefused, InvalidImage: the file is not an image fcnlab can read.
        """
        try:
            content_hash = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as failure:
            raise ImportRefused(f"{path} cannot be read ({failure.strerror}); check the path") from failure
        pixels = decode(path, name=path.name, max_pixels=self._max_pixels).pixels
        rgb, _ = to_rgb8(pixels)
        hw = (rgb.shape[0], rgb.shape[1])
        spec = self._model.spec
        working = working_picture(rgb, spec.working_side)
        stages = self._encoder.encode(working, scales=spec.scales, position=spec.position)
        clicks = self._clicks((content_hash, array_id(pixels)), hw)
        with torch.inference_mode():
            segmentation = segment(
                prepare(working, stages), self._model.head, clicks, spec, background=self._model.background
            )
        return full_size(segmentation, hw, clicks)

    def _clicks(self, image_ids: tuple[str, str], hw: tuple[int, int]) -> Clicks:
        """A model saved by a project names images by their file, one saved by PointSegmenter by their pixels."""
        by_file, by_pixels = (self._model.clicks_of(one, hw) for one in image_ids)
        return by_file if len(by_file) else by_pixels


def predict_files(
    predictor: Predictor, files: Sequence[Path], *, labels: Sequence[ClassLabel], to: Path
) -> Iterator[Prediction]:
    """Write one palette PNG per file into a folder; a file that fails is named, the rest goes on.

    Raises:
        ExportFailed: the folder cannot be written.
    """
    palette = palette_of(labels)
    stems = _stems(files)
    for number, file in enumerate(files, start=1):
        try:
            data = index_png(predictor.mask_of_file(file), palette)
        except FcnlabError as failure:
            yield Prediction(number, len(files), file, refused=str(failure))
            continue
        path = to / f"{stems[number - 1]}.png"
        try:
            write_whole(path, data)
        except OSError as failure:
            raise ExportFailed(f"{path} cannot be written ({failure.strerror}); choose another folder") from failure
        yield Prediction(number, len(files), file, mask=path)


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
