"""Who is measured on a data set: the instant learner with a larger head, a random forest, networks of the family."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.encoding.stages import Stages, score_stages
from fcnlab.core.images.coords import to_working
from fcnlab.core.learner.ensemble import GRID, MEMBERS, EnsembleHead, ensemble_probabilities, fit_ensemble
from fcnlab.core.learner.head import Head, Samples, fit_head
from fcnlab.core.learner.samples import join_samples, samples_at
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.ordinal import with_order
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.head_trainer import build_trainer
from fcnlab.core.training.network_model import (
    NetworkModel,
    fitting_spec,
    network_probabilities,
    seen_hw,
    seen_picture,
)
from fcnlab.domain.network import DEFAULT_ENCODER, SCRATCH, NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.evaluation.datasets import Labels
from fcnlab.evaluation.images import Example, forest_features, grown_forest
from fcnlab.storage.files.devices import pick_device
from fcnlab.storage.files.weights import load_encoder

DATASET_SCALES = (0.5, 1.0, 2.0)
MEMORY_BYTES = 8_000_000_000
"""Encoded pictures kept in memory; the others are encoded again whenever they are needed."""

LINEAR_CAUTION = 0.05


class InstantDatasetLearner:
    """Frozen features at several scales, and a head: an ensemble of small networks, or the linear one."""

    def __init__(
        self, *, device: str, members: int = MEMBERS, linear: bool = False, scales: tuple[float, ...] = DATASET_SCALES
    ) -> None:
        self._device = pick_device(device)
        trained = load_encoder(DEFAULT_ENCODER)
        self._encoder = StageEncoder.of(trained, device=self._device)
        self._members, self._linear, self._scales = members, linear, scales
        self._kept: dict[str, Stages] = {}
        self._pictures: dict[str, NDArray[np.uint8]] = {}
        self._samples: dict[str, tuple[Labels, Samples]] = {}
        self._head: EnsembleHead | Head | None = None
        self._n_classes = 0

    def prepare(self, example: Example) -> None:
        """Encode the picture."""
        self._pictures[example.name] = example.rgb
        self._stages(example.name)

    def learn(self, labels: Mapping[str, Labels], n_classes: int) -> None:
        """Sample the features at the labels, then fit the head."""
        for name, image_labels in labels.items():
            if name not in self._samples or self._samples[name][0] is not image_labels:
                rows, cols = image_labels.rows.astype(np.float64), image_labels.cols.astype(np.float64)
                weights = np.ones(len(rows), np.float32)
                samples = Samples(samples_at(self._stages(name), rows, cols), image_labels.class_ids, weights)
                self._samples[name] = image_labels, samples
        samples = join_samples([self._samples[name][1] for name in sorted(labels)])
        self._n_classes = n_classes
        if self._linear:
            self._head = fit_head(samples, regularisation=LINEAR_CAUTION)
        else:
            self._head = fit_ensemble(samples, members=self._members)

    def probabilities(self, example: Example) -> NDArray[np.float32]:
        """(K, H, W) float32: the mean of the members, or the linear head's, interpolated to full size."""
        stages, head = self._stages(example.name), self._head
        assert head is not None
        if isinstance(head, EnsembleHead):
            small = ensemble_probabilities(stages, head).mean(axis=0)
        else:
            scores = score_stages(stages, head.weights, head.bias, grid=GRID)
            small = torch.from_numpy(scores).softmax(dim=0).numpy()
        return _all_classes(_grown(small, stages.hw), head.class_ids, self._n_classes)

    def _stages(self, name: str) -> Stages:
        stages = self._kept.get(name)
        if stages is None:
            stages = self._encoder.encode(self._pictures[name], scales=self._scales, position=True)
            if sum(cached.nbytes() for cached in self._kept.values()) + stages.nbytes() <= MEMORY_BYTES:
                self._kept[name] = stages
        return stages


class ForestDatasetLearner:
    """The peer: a random forest on multiscale filter features. Features are computed anew: they fill no memory."""

    def __init__(self) -> None:
        self._forest: Any = None
        self._examples: dict[str, Example] = {}
        self._n_classes = 0

    def prepare(self, example: Example) -> None:
        """Remember the picture."""
        self._examples[example.name] = example

    def learn(self, labels: Mapping[str, Labels], n_classes: int) -> None:
        """Grow a new forest."""
        self._n_classes = n_classes
        samples = []
        for name in sorted(labels):
            features = forest_features(self._examples[name].rgb)
            samples.append(features[labels[name].rows, labels[name].cols])
        class_ids = np.concatenate([labels[name].class_ids for name in sorted(labels)])
        self._forest = grown_forest(np.concatenate(samples), class_ids.tolist())

    def probabilities(self, example: Example) -> NDArray[np.float32]:
        """(K, H, W) float32: the mean of the trees' class shares."""
        features = forest_features(example.rgb)
        shares = self._forest.predict_proba(features.reshape(-1, features.shape[-1]))
        class_shares = np.moveaxis(shares.reshape(*features.shape[:2], -1), 2, 0).astype(np.float32)
        return _all_classes(class_shares, [int(class_id) for class_id in self._forest.classes_], self._n_classes)


class NetworkDatasetLearner:
    """A network of the family, trained end to end on the labelled pixels."""

    def __init__(self, spec: NetworkSpec, training: TrainingSpec, *, device: str) -> None:
        self._spec, self._training, self._device = spec, training, pick_device(device)
        self._examples: dict[str, Example] = {}
        self._model: NetworkModel | None = None

    def prepare(self, example: Example) -> None:
        """Remember the picture."""
        self._examples[example.name] = example

    def learn(self, labels: Mapping[str, Labels], n_classes: int) -> None:
        """Train a new network."""
        pictures = [self._picture(name, labels[name], self._fitting(n_classes)) for name in sorted(labels)]
        encoder = None
        if self._spec.encoder != SCRATCH:
            stage_encoder = load_encoder(self._spec.encoder, self._spec.encoder_weights)
            encoder = EncoderParts(
                stage_encoder.network,
                stage_encoder.strides,
                stage_encoder.channels,
                stage_encoder.mean,
                stage_encoder.std,
            )
        spec = self._fitting(n_classes)
        trainer = build_trainer(
            spec,
            self._training,
            encoder=encoder,
            class_ids=range(n_classes),
            device=self._device,
            now=time.monotonic,
        )
        for _ in trainer.run(lambda: pictures, lambda: []):
            pass
        classes = tuple((class_id, str(class_id)) for class_id in range(n_classes))
        self._model = NetworkModel(trainer.outcome([]).network, classes, self._training)

    def probabilities(self, example: Example) -> NDArray[np.float32]:
        """(K, H, W) float32: the network's, interpolated to full size."""
        assert self._model is not None
        return _grown(network_probabilities(self._model, example.rgb, device=self._device), example.truth.shape)

    def _fitting(self, n_classes: int) -> NetworkSpec:
        image_hw = next(iter(self._examples.values())).truth.shape
        fitting = fitting_spec(self._spec, n_classes=n_classes, image_hw=(image_hw[0], image_hw[1]))
        return with_order(fitting, class_ids=range(n_classes), grades=self._training.grades)

    def _picture(self, name: str, labels: Labels, spec: NetworkSpec) -> LabelledPicture:
        example = self._examples[name]
        height, width = example.truth.shape
        hw = seen_hw((height, width), spec, self._training)
        return LabelledPicture(
            name,
            lambda: seen_picture(example.rgb, hw),
            to_working(labels.rows, full=height, working=hw[0])[0].astype(np.float32),
            to_working(labels.cols, full=width, working=hw[1])[0].astype(np.float32),
            labels.class_ids,
            np.ones(len(labels.rows), np.float32),
        )


def _grown(small: NDArray[np.float32], hw: tuple[int, ...]) -> NDArray[np.float32]:
    """Maps (K, h, w) on the ensemble's grid, or any other, at full size (K, H, W)."""
    if small.shape[1:] == hw:
        return small
    height, width = hw
    on_grid = small.shape[1:] == (-(-height // GRID), -(-width // GRID))
    size = (small.shape[2] * GRID, small.shape[1] * GRID) if on_grid else (width, height)
    grown = [cv2.resize(class_map, size, interpolation=cv2.INTER_LINEAR)[:height, :width] for class_map in small]
    return np.asarray(np.stack(grown), np.float32)


def _all_classes(probabilities: NDArray[np.float32], class_ids: Sequence[int], n_classes: int) -> NDArray[np.float32]:
    """(K, H, W) of every class; zero for one that nobody labelled."""
    if tuple(class_ids) == tuple(range(n_classes)):
        return probabilities
    result = np.zeros((n_classes, *probabilities.shape[1:]), np.float32)
    result[list(class_ids)] = probabilities
    return result
