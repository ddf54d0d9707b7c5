"""How PointSegmenter trains a whole network: its images and points as a trainer takes them."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.coords import to_working
from fcnlab.core.learner.head import missing_message
from fcnlab.core.learner.learner import Segmentation, segment_from_probabilities
from fcnlab.core.learner.samples import Clicks
from fcnlab.core.networks.base import EncoderParts
from fcnlab.core.networks.ordinal import refuse_order, with_order
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.head_trainer import build_trainer
from fcnlab.core.training.network_model import (
    NetworkModel,
    network_from_arrays,
    network_probabilities,
    seen_hw,
    seen_picture,
)
from fcnlab.core.training.network_output import output_from_probabilities
from fcnlab.core.training.splits import groups_alike, held_out, picture_descriptor
from fcnlab.domain.events import Point
from fcnlab.domain.network import DEFAULT_ENCODER, SCRATCH, USUAL_UPSAMPLING, NetworkSpec
from fcnlab.domain.project import LearnerSpec
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError, InvalidSetting, NoPoints
from fcnlab.storage.files.weights import TrainedEncoder, load_encoder, untrained_encoder

OF_NETWORK = {field.name for field in fields(NetworkSpec)} - {"network", "n_classes", "grades"}
OF_TRAINING = {field.name for field in fields(TrainingSpec)}


def specs_of(network: str, n_classes: int, options: Mapping[str, Any]) -> tuple[NetworkSpec, TrainingSpec]:
    """The two specs that the options of `finetune` mean. Raises InvalidSetting for an option that does not exist."""
    unknown = set(options) - OF_NETWORK - OF_TRAINING
    if unknown:
        options_in_words = ", ".join(sorted(OF_NETWORK | OF_TRAINING))
        raise InvalidSetting(f"unknown option {sorted(unknown)[0]!r} of finetune; known: {options_in_words}")
    spec = NetworkSpec(network, n_classes)  # type: ignore[arg-type]  # it makes a NetworkName of it
    default = DEFAULT_ENCODER if NETWORKS[spec.network].uses_encoder else SCRATCH
    usual = USUAL_UPSAMPLING.get(spec.network, spec.upsampling)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    network_options = {
        "encoder": default,
        "upsampling": usual,
        **{name: value for name, value in options.items() if name in OF_NETWORK},
    }
    training = TrainingSpec(**{name: value for name, value in options.items() if name in OF_TRAINING})
    return replace(spec, **network_options), training


def train_network(
    pictures: Mapping[str, NDArray[np.uint8]],
    points: Mapping[str, Sequence[Point]],
    image_hw: Mapping[str, tuple[int, int]],
    *,
    classes: Sequence[str],
    background: int | None,
    spec: NetworkSpec,
    training: TrainingSpec,
    device: str,
) -> Generator[TrainingProgress, None, NetworkModel]:
    """Train on the points of these working pictures (H, W, 3) uint8; one value per epoch, the model at the end.

    Raises:
        NoPoints: fewer than two classes have points.
        WeightsUnavailable, UnknownEncoder, InvalidSetting: the network cannot be built.
    """
    present = sorted({point.class_id for image_points in points.values() for point in image_points})
    if len(present) < 2:
        raise NoPoints(missing_message(tuple(present)))
    refuse_order(spec, grades=training.grades, is_counting=training.objective.is_counting)
    spec = with_order(replace(spec, n_classes=len(present)), class_ids=present, grades=training.grades)
    labelled = [
        _labelled(image, pictures[image], points[image], image_hw[image], present, spec, training)
        for image in sorted(points)
        if points[image]
    ]
    descriptors = [picture_descriptor(pictures[picture.image]) for picture in labelled]
    rng = np.random.default_rng(training.seed)
    held = held_out(
        groups_alike(descriptors), [picture.classes for picture in labelled], share=training.holdout, rng=rng
    )
    learned = [picture for index, picture in enumerate(labelled) if index not in held]
    scored = [picture for index, picture in enumerate(labelled) if index in held]
    trainer = build_trainer(
        spec,
        training,
        encoder=None if spec.encoder == SCRATCH else _parts(load_encoder(spec.encoder, spec.encoder_weights)),
        class_ids=present,
        device=device,
        now=time.monotonic,
    )
    yield from trainer.run(lambda: learned, lambda: scored)
    outcome = trainer.outcome(scored)
    names = tuple((class_id, classes[class_id]) for class_id in present)
    model_background = background if background in present else None
    n_points = sum(len(picture.classes) for picture in learned)
    return NetworkModel(
        outcome.network,
        names,
        training,
        outcome.temperature,
        outcome.score,
        n_points=n_points,
        background=model_background,
    )


def network_of(arrays: dict[str, NDArray[Any]], spec: dict[str, Any], *, device: str) -> NetworkModel:
    """A saved network, on a device. Raises CheckpointError, UnknownEncoder."""
    model = network_from_arrays(arrays, spec, encoder=lambda name: _parts(untrained_encoder(name)))
    model.network.to(device)
    return model


def class_names(spec: Mapping[str, Any]) -> list[str]:
    """Names by class id, for a saved network; ids between them that it does not know get a name of their own.

    Raises:
        CheckpointError: the file names no classes.
    """
    try:
        names = {int(class_id): str(name) for class_id, name in spec["classes"]}
        return [names.get(class_id, f"class {class_id}") for class_id in range(max(names) + 1)]
    except (KeyError, TypeError, ValueError) as failure:
        raise CheckpointError("the network names no classes: save or fetch it again") from failure


def network_segmentation(
    model: NetworkModel, working: NDArray[np.uint8], clicks: Clicks, spec: LearnerSpec, device: str
) -> Segmentation:
    """The mask of a working picture (H, W, 3) uint8 by a network; clicks are obeyed."""
    probabilities = network_probabilities(model, working, device=device)
    output = output_from_probabilities(working, probabilities, model.class_ids, spec, used=frozenset(model.class_ids))
    return segment_from_probabilities(
        output.class_ids, output.probabilities, clicks, output.lab, spec, background=model.background
    )


def _labelled(
    image: str,
    picture: NDArray[np.uint8],
    points: Sequence[Point],
    image_hw: tuple[int, int],
    present: Sequence[int],
    spec: NetworkSpec,
    training: TrainingSpec,
) -> LabelledPicture:
    hw = seen_hw(image_hw, spec, training)
    seen = seen_picture(picture, hw)
    ordered = sorted(points)
    rows = np.array([point.row for point in ordered], np.int64)
    cols = np.array([point.col for point in ordered], np.int64)
    return LabelledPicture(
        image,
        lambda: seen,
        to_working(rows, full=image_hw[0], working=hw[0])[0].astype(np.float32),
        to_working(cols, full=image_hw[1], working=hw[1])[0].astype(np.float32),
        np.array([present.index(point.class_id) for point in ordered], np.int64),
        np.ones(len(ordered), np.float32),
    )


def _parts(encoder: TrainedEncoder) -> EncoderParts:
    return EncoderParts(encoder.network, encoder.strides, encoder.channels, encoder.mean, encoder.std)
