"""PointSegmenter: the learner without database or browser, in the manner of scikit-learn."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from cachetools import LRUCache
from numpy.typing import ArrayLike, NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.images.coords import learner_picture
from fcnlab.core.images.picture import array_id, to_rgb8
from fcnlab.core.learner import learner
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.head import Head, missing_message
from fcnlab.core.learner.model import (
    LabelledSamples,
    Model,
    canonical_samples,
    model_from_arrays,
    model_to_arrays,
)
from fcnlab.core.learner.samples import Clicks, canonical_clicks
from fcnlab.core.tiling.large import AnyPicture, open_picture, segment_any
from fcnlab.core.tiling.tiled_stages import MemoryTileCache
from fcnlab.core.tiling.wide import is_wide
from fcnlab.core.training.network_model import KIND, NetworkModel, network_to_arrays
from fcnlab.domain.events import Point
from fcnlab.domain.network import SCRATCH, NetworkSpec
from fcnlab.domain.project import LearnerSpec, checked_classes
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError, InvalidClasses, InvalidPoints, NoPoints, NotFitted, UnknownImage
from fcnlab.segmenter.checks import as_array, checked_background, checked_grades, renumbered, whole_numbers
from fcnlab.segmenter.training import (
    class_names,
    network_of,
    network_segmentation,
    specs_of,
    train_network,
)
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint
from fcnlab.storage.files.devices import pick_device
from fcnlab.storage.files.weights import check_encoder, load_encoder
from fcnlab.validation import checked_call

PICTURES_KEPT = 4
"""Encoded pictures kept in memory; others are encoded again when needed."""


class PointSegmenter:
    """Learns a segmentation from single labelled pixels of any number of images.

    Args:
        classes: names; class ids are places in this list.
        background: name or place of the class that is no object, the first one by default; None: every class is a thing
            of its own, and object mode has no effect.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        seed: seed of every random choice (the default learner makes none).
        grades: names or places of the classes that are grades of one thing, the lowest first; a predicted grade that is
            wrong is then seldom far off.
        encoder: a timm network; encoder_weights: a local weight file, empty for bundled or hub weights.
        scales, working_side, resolution, object_mode, refine, class_weight, regularisation, position: see LearnerSpec.

    Raises:
        InvalidClasses: no class, too many, one name twice, or a background or grade that is none of them.
        InvalidSetting, UnknownEncoder, WeightsUnavailable: see the options.
    """

    @checked_call(leave=("classes", "background", "grades"))
    def __init__(
        self,
        classes: Sequence[str],
        *,
        background: int | str | None = 0,
        device: str = "auto",
        seed: int = 0,
        grades: Sequence[int | str] = (),
        **options: Any,
    ) -> None:
        self.classes = checked_classes(classes)
        self.background = checked_background(background, self.classes)
        self.seed = seed
        self.spec = LearnerSpec.from_dict(
            {"resolution": "auto", **options, "grades": checked_grades(grades, self.classes)}
        )
        self.device = pick_device(device)
        check_encoder(self.spec.encoder, self.spec.encoder_weights)
        self._encoder: StageEncoder | None = None
        self._pictures: LRUCache[str, AnyPicture] = LRUCache(PICTURES_KEPT)
        self._working: dict[str, NDArray[np.uint8]] = {}
        self._image_hw: dict[str, tuple[int, int]] = {}
        self._points: dict[str, list[Point]] = {}
        self._ordered: dict[str, Clicks] = {}
        self._samples: dict[str, LabelledSamples] = {}
        self._head: Head | None = None
        self._network: NetworkModel | None = None

    def add_image(self, array: ArrayLike) -> Hashable:
        """Make an image known; the same array twice is one image.

        Args:
            array: (H, W), (H, W, 3) or (H, W, 4) uint8 or uint16; alpha is ignored.

        Returns an id for the other methods. Raises InvalidImage for anything else.
        """
        given = as_array(array)
        rgb, _ = to_rgb8(given)
        image = array_id(given)
        self._image_hw[image] = (rgb.shape[0], rgb.shape[1])
        self._working[image] = learner_picture(rgb, self.spec)
        self._points.setdefault(image, [])
        return image

    def add_points(self, image: Hashable, rows: ArrayLike, cols: ArrayLike, class_ids: ArrayLike) -> None:
        """Add labelled pixels (N,) each, in pixels of the image; a pixel labelled again takes the new class.

        Raises:
            UnknownImage, ClickOutsideImage, InvalidPoints, InvalidClasses: nothing is added then.
        """
        key = self._known(image)
        columns = [
            whole_numbers(values, name) for values, name in ((rows, "rows"), (cols, "cols"), (class_ids, "class_ids"))
        ]
        lengths = [len(column) for column in columns]
        if len(set(lengths)) != 1:
            raise InvalidPoints(f"rows, cols and class_ids have lengths {lengths}; they must be equal")
        for class_id in columns[2]:
            if not 0 <= class_id < len(self.classes):
                raise InvalidClasses(f"class id {class_id} is unknown: ids run from 0 to {len(self.classes) - 1}")
        new = [Point(int(r), int(c), int(k)) for r, c, k in zip(*columns, strict=True)]
        canonical_clicks(new, self._image_hw[key])
        merged = {(point.row, point.col): point for point in [*self._points[key], *new]}
        self._points[key] = list(merged.values())
        self._forget(key)

    def clear_points(self, image: Hashable) -> None:
        """Forget the points of an image."""
        key = self._known(image)
        self._points[key] = []
        self._forget(key)

    def encode(self, image: Hashable) -> None:
        """Encode an image now, so that neither fit nor predict has to wait for it. Raises UnknownImage."""
        self._picture(self._known(image))

    def reset(self) -> None:
        """Forget every image, every point and what was learned; the encoder stays loaded."""
        for table in (self._pictures, self._working, self._image_hw, self._points, self._ordered, self._samples):
            table.clear()
        self._head = self._network = None

    @checked_call()
    def fit(self, *, warm: bool = False) -> PointSegmenter:
        """Learn from every point of every image.

        While few points are there, all of one class that is not the background, a first guess is made: what is far
        from them, and the border, counts faintly as background.

        Args:
            warm: start at the last head; same result within the tolerance, sooner.

        Raises:
            NoPoints: fewer than two classes have points, and no guess can be made.
        """
        for image, points in self._points.items():
            if points and image not in self._samples:
                clicks = self._clicks(image)
                extracted = learner.extract_samples(self._picture(image), clicks, self.spec, background=self.background)
                self._samples[image] = LabelledSamples(image, clicks, extracted)
        self._guess()
        samples = canonical_samples(self._samples.values())
        if not samples:
            raise NoPoints(missing_message(()))
        self._head = learner.fit(samples, self.spec, start=self._head if warm else None)
        if warm and learner.wants_preparation(self._head, sum(map(len, self._points.values()))):
            self._head = learner.prepared(self._head, samples, self.spec)
        self._network = None
        return self

    def _guess(self) -> None:
        """Give all samples what stands for the background while one class alone has points, and only then."""
        clicked = {point.class_id for points in self._points.values() for point in points}
        is_guessing = learner.wants_guess(clicked, sum(map(len, self._points.values())), self.background)
        for image, labelled in self._samples.items():
            guess = labelled.samples.guess if is_guessing else None
            if is_guessing and guess is None and self.background is not None:
                picture = self._picture(image)
                if not is_wide(picture.hw):
                    guess = learner.first_guess(picture, labelled.clicks, background=self.background)
            self._samples[image] = replace(labelled, samples=replace(labelled.samples, guess=guess))

    @checked_call()
    def finetune(self, network: str = "fcn8s", **options: Any) -> Iterator[TrainingProgress]:
        """Train a whole network on every point of every image; go through the iterator to do so.

        Predictions are the network's once the iterator has ended, until the next `fit`.

        Args:
            network: a name of the family, see NetworkName.
            options: fields of NetworkSpec (encoder, upsampling, width, order, ...) and TrainingSpec (epochs, ...).

        Yields one value per epoch. Raises:
            NoPoints: fewer than two classes have points.
            InvalidSetting, UnknownEncoder, WeightsUnavailable: see the options.
        """
        usual = {"seed": self.seed, "working_side": self.spec.working_side, "grades": self.spec.grades}
        options = {**usual, **options}
        spec, training = specs_of(network, max(2, len(self.classes)), options)
        if spec.encoder != SCRATCH:
            check_encoder(spec.encoder, spec.encoder_weights)
        return self._trained(spec, training)

    def _trained(self, spec: NetworkSpec, training: TrainingSpec) -> Iterator[TrainingProgress]:
        self._network = yield from train_network(
            self._working,
            self._points,
            self._image_hw,
            classes=self.classes,
            background=self.background,
            spec=spec,
            training=training,
            device=self.device,
        )

    def predict(self, image: Hashable | NDArray[Any]) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of a known image or of any array `add_image` would take.

        Raises:
            NotFitted: before the first fit. UnknownImage, InvalidImage: see `add_image`.
        """
        segmentation, image_hw, clicks = self._segmented(image)
        return full_size(segmentation, image_hw, clicks)

    def predict_proba(self, image: Hashable | NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (H, W, K) float32 that sum to one, K = number of classes; zero for a class without points.

        These are the probabilities before object mode; raises like `predict`.
        """
        segmentation, image_hw, _ = self._segmented(image)
        result = np.zeros((*image_hw, len(self.classes)), np.float32)
        for k, class_id in enumerate(segmentation.class_ids):
            result[:, :, class_id] = cv2.resize(
                segmentation.probabilities[k], (image_hw[1], image_hw[0]), interpolation=cv2.INTER_LINEAR
            )
        return np.asarray(result / result.sum(axis=2, keepdims=True), np.float32)

    @checked_call(CheckpointError)
    def save(self, path: str | Path) -> None:
        """Write what predicts to one safetensors file, whole or not at all: a network, or head, points and samples.

        Raises:
            NotFitted: before the first fit. CheckpointError: the file cannot be written there.
        """
        if self._network is not None:
            arrays, spec = network_to_arrays(self._network)
            spec = {**spec, "learner": self.spec.to_dict()}
        else:
            arrays, spec = model_to_arrays(self.model())
        try:
            save_checkpoint(Path(path), arrays, spec)
        except (OSError, ValueError) as failure:  # no such place, or no name of a file
            raise CheckpointError(f"the model cannot be saved as {path} ({failure}): name another file") from failure

    def model(self) -> Model:
        """The fitted model as a value. Raises NotFitted before the first fit."""
        classes, samples = tuple(enumerate(self.classes)), tuple(self._samples.values())
        return Model(self.spec, classes, self._fitted(), self.background, samples)

    @classmethod
    @checked_call(CheckpointError)
    def load(cls, path: str | Path, *, device: str = "auto") -> PointSegmenter:
        """A segmenter as it was saved. Images are not in the file: add them again before predicting them by id.

        Raises:
            CheckpointError: the file is missing, damaged or of another kind.
        """
        arrays, spec = load_checkpoint(Path(path))
        if spec.get("kind") == KIND:
            segmenter = cls(class_names(spec), device=device)
            segmenter.spec = LearnerSpec.from_dict(spec.get("learner", {}))
            segmenter._network = network_of(arrays, spec, device=segmenter.device)
            segmenter.background = segmenter._network.background
            return segmenter
        model = model_from_arrays(arrays, spec)
        index_of = {class_id: index for index, (class_id, _) in enumerate(model.classes)}
        background = None if model.background is None else index_of[model.background]
        segmenter = cls([name for _, name in model.classes], background=background, device=device)
        grades = tuple(index_of[class_id] for class_id in model.spec.grades_of(index_of))
        segmenter.spec = replace(model.spec, grades=grades)
        segmenter._head = replace(model.head, class_ids=tuple(index_of[class_id] for class_id in model.head.class_ids))
        for labelled in model.samples:
            renamed = renumbered(labelled, index_of)
            segmenter._samples[renamed.image] = renamed
            clicks = renamed.clicks
            table = zip(clicks.rows.tolist(), clicks.cols.tolist(), clicks.class_ids.tolist(), strict=True)
            segmenter._points[renamed.image] = [Point(*row) for row in table]
            segmenter._image_hw[renamed.image] = clicks.image_hw
        return segmenter

    def _fitted(self) -> Head:
        if self._head is None:
            raise NotFitted("nothing was learned yet: add points of two classes and call fit()")
        return self._head

    def _known(self, image: Hashable) -> str:
        if not isinstance(image, str) or image not in self._image_hw:
            raise UnknownImage(f"image {image!r} was never added: call add_image first and use the id it returns")
        return image

    def _clicks(self, image: str) -> Clicks:
        if image not in self._ordered:
            self._ordered[image] = canonical_clicks(self._points[image], self._image_hw[image])
        return self._ordered[image]

    def _forget(self, image: str) -> None:
        """Drop what was made from the points of an image, which changed."""
        self._ordered.pop(image, None)
        self._samples.pop(image, None)

    def _picture(self, image: str) -> AnyPicture:
        picture = self._pictures.get(image)
        if picture is None:
            picture = self._pictures[image] = self._encode(self._working_of(image))
        return picture

    def _working_of(self, image: str) -> NDArray[np.uint8]:
        if image not in self._working:
            raise UnknownImage(f"image {image!r} is known by its points only: add_image the same array first")
        return self._working[image]

    def _encode(self, working: NDArray[np.uint8]) -> AnyPicture:
        if self._encoder is None:
            trained = load_encoder(self.spec.encoder, self.spec.encoder_weights)
            self._encoder = StageEncoder.of(trained, device=self.device)
        return open_picture(self._encoder, working, self.spec, tile_cache=MemoryTileCache())

    def _segmented(self, image: Hashable | NDArray[Any]) -> tuple[learner.Segmentation, tuple[int, int], Clicks]:
        if isinstance(image, np.ndarray):
            rgb, _ = to_rgb8(image)
            image_hw, key = (rgb.shape[0], rgb.shape[1]), ""
            working, clicks = learner_picture(rgb, self.spec), canonical_clicks([], image_hw)
        else:
            key = self._known(image)
            working, clicks, image_hw = self._working_of(key), self._clicks(key), self._image_hw[key]
        if self._network is not None:
            return network_segmentation(self._network, working, clicks, self.spec, self.device), image_hw, clicks
        head = self._fitted()
        picture = self._picture(key) if key else self._encode(working)
        with torch.inference_mode():
            segmentation = segment_any(picture, head, clicks, self.spec, background=self.background)
        return segmentation, image_hw, clicks
