"""The instant learner as one among those compared: fitted on the same points, scored on the same held-out ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages
from fcnlab.core.images.coords import working_picture
from fcnlab.core.learner import learner
from fcnlab.core.learner.ensemble import GRID, ensemble_probabilities, fit_ensemble
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.samples import Clicks, canonical_clicks, join_samples
from fcnlab.core.training.scores import score_of
from fcnlab.domain.project import Project
from fcnlab.domain.scores import Score
from fcnlab.lab import Lab
from fcnlab.services.images.importing import read_picture
from fcnlab.services.training.training_points import TrainingPoints
from fcnlab.storage.files.weights import load_encoder


class InstantParticipant(ABC):
    """The learner of a project with one kind of head, fitted when it is built.

    It looks at pictures as the networks of the comparison do: at their working size, and at each as one nobody
    clicked in, without object mode.

    Raises:
        NoPoints: fewer than two classes have points.
        UnknownEncoder, WeightsUnavailable: its encoder cannot be loaded.
    """

    def __init__(self, points: TrainingPoints, project: Project, lab: Lab, *, working_side: int) -> None:
        self._points, self._lab = points, lab
        self._spec = replace(project.learner, object_mode=False, working_side=working_side, resolution=None)
        self._background = project.background
        trained = load_encoder(self._spec.encoder, self._spec.encoder_weights)
        self._encoder = StageEncoder.of(trained, device=lab.device)
        image_samples = []
        for image, clicks in points.clicks(held=False):
            rgb = working_picture(read_picture(lab, image), working_side)
            picture = learner.prepare(rgb, self._stages(rgb))
            image_samples.append(learner.extract_samples(picture, clicks, self._spec, background=self._background))
        self._fit(image_samples)

    def score(self) -> Score | None:
        """The score on the held-out points; None when there are none."""
        indices = {class_id: index for index, (class_id, _) in enumerate(self._points.classes)}
        predicted, wanted, images = [], [], []
        for image, clicks in self._points.clicks(held=True):
            class_map = self._class_map(working_picture(read_picture(self._lab, image), self._spec.working_side))
            rows, cols = clicks.pixels_on((class_map.shape[0], class_map.shape[1]))
            predicted += [indices[int(class_id)] for class_id in class_map[rows, cols]]
            wanted += [indices[int(class_id)] for class_id in clicks.class_ids]
            images += [image.id] * len(clicks.class_ids)
        if not wanted:
            return None
        ids = [class_id for class_id, _ in self._points.classes]
        score = score_of(
            np.array(predicted, np.intp),
            np.array(wanted, np.int64),
            class_ids=ids,
            grades=self._points.training.grades,
            images=np.array(images, np.int64),
        )
        return self._points.described(score)

    @abstractmethod
    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of a picture (H, W, 3) uint8."""

    @abstractmethod
    def learned(self) -> int:
        """Number of parameters learned from the points."""

    def frozen(self) -> int:
        """Number of parameters of the encoder."""
        return self._encoder.n_parameters

    @abstractmethod
    def _fit(self, image_samples: list[learner.ImageSamples]) -> None: ...

    @abstractmethod
    def _class_map(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids of a working picture."""

    def _stages(self, rgb: NDArray[np.uint8]) -> Stages:
        return self._encoder.encode(rgb, scales=self._spec.scales, position=self._spec.position)


class Linear(InstantParticipant):
    """The instant learner with its linear head and what follows it: similarity, walker, sharpened borders."""

    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of a picture (H, W, 3) uint8."""
        hw = (rgb.shape[0], rgb.shape[1])
        class_map = self._segmented(working_picture(rgb, self._spec.working_side))
        return full_size(class_map, hw, _no_clicks(hw))

    def learned(self) -> int:
        """Number of weights and biases of the head, and of thresholds between grades."""
        scale = self._head.scale
        return int(self._head.weights.size + self._head.bias.size + (0 if scale is None else scale.thresholds.size))

    def _fit(self, image_samples: list[learner.ImageSamples]) -> None:
        self._head = learner.fit(image_samples, self._spec)

    def _class_map(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._segmented(rgb).class_map

    @torch.inference_mode()
    def _segmented(self, rgb: NDArray[np.uint8]) -> learner.Segmentation:
        picture = learner.prepare(rgb, self._stages(rgb))
        clicks = _no_clicks((rgb.shape[0], rgb.shape[1]))
        return learner.segment(picture, self._head, clicks, self._spec, background=self._background)


class Larger(InstantParticipant):
    """The instant learner with an ensemble of small networks for a head, and nothing after it."""

    def mask(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of a picture (H, W, 3) uint8."""
        probabilities = self._probabilities(working_picture(rgb, self._spec.working_side))
        if probabilities.shape[1:] != rgb.shape[:2]:
            size = (rgb.shape[1], rgb.shape[0])
            probabilities = np.stack(
                [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in probabilities]
            )
        return self._winners(probabilities)

    def learned(self) -> int:
        """Number of weights and biases of all members of the ensemble."""
        members = self._head.members
        return int(sum(a.inner.size + a.inner_bias.size + a.outer.size + a.outer_bias.size for a in members))

    def _fit(self, image_samples: list[learner.ImageSamples]) -> None:
        samples = join_samples([extracted.clicked for extracted in image_samples])
        self._head = fit_ensemble(samples, class_weight=self._spec.class_weight)

    def _class_map(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return self._winners(self._probabilities(rgb))

    @torch.inference_mode()
    def _probabilities(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(K, h, w) float32 of a working picture (h, w, 3)."""
        height, width = rgb.shape[:2]
        small = ensemble_probabilities(self._stages(rgb), self._head).mean(axis=0)
        size = (small.shape[2] * GRID, small.shape[1] * GRID)
        grown = [cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)[:height, :width] for plane in small]
        return np.asarray(np.stack(grown), np.float32)

    def _winners(self, probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
        return np.asarray(np.asarray(self._head.class_ids, np.uint8)[probabilities.argmax(axis=0)], np.uint8)


def _no_clicks(hw: tuple[int, int]) -> Clicks:
    return canonical_clicks([], hw)
