"""Training a network on the points of a project, from the database to a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fcnlab.adapters import repository_points
from fcnlab.adapters.checkpoints import load_checkpoint, save_checkpoint
from fcnlab.adapters.database import reading
from fcnlab.core.course import Course
from fcnlab.core.network_model import NetworkModel, network_to_arrays
from fcnlab.core.networks.base import PointNetwork
from fcnlab.errors import CheckpointError
from fcnlab.lab import Lab
from fcnlab.services.networks import encoder_parts, load_network
from fcnlab.services.training_points import TrainingPoints
from fcnlab.specs import SCRATCH, NetworkName, NetworkSpec, PointScore, TrainingProgress, TrainingSpec

FIXED_SIDE = 256
"""Longer side of what a network of fixed size looks at, unless its spec says another size."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What to train on what.

    Attributes:
        image_ids: None means every image with points.
        plan, as_of: held-out images, classes and the moment of the points, where several trainings share them.
    """

    project_id: int
    network: NetworkSpec
    training: TrainingSpec
    image_ids: tuple[int, ...] | None = None
    plan: Mapping[str, Any] | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A finished training: arrays and spec of its checkpoint, and what is told about it."""

    arrays: Mapping[str, NDArray[Any]]
    spec: Mapping[str, Any]
    score: PointScore | None
    point_set_hash: str
    n_points: int


def train(
    lab: Lab, job: TrainingJob, *, resume: Path | None, checkpoint: Path, snapshot_every_s: float = 30.0
) -> Generator[TrainingProgress, None, TrainedNetwork]:
    """Train a network, one value per epoch. Points that are added meanwhile join the next epoch.

    Args:
        resume: a file that an interrupted training of this job left; it goes on from there. None starts anew.
        checkpoint: where to leave such a file: after an epoch when the last one is older than `snapshot_every_s`,
            and when the generator is closed.

    Raises:
        NoPoints: fewer than two classes have points.
        CheckpointError: `resume` is damaged or of another training, or the parent does not fit.
        WeightsUnavailable, UnknownEncoder, InvalidSetting: the network cannot be built.
    """
    arrays, values = load_checkpoint(resume) if resume is not None else ({}, {})
    plan = values.get("plan", job.plan)
    points = TrainingPoints(lab, job.project_id, job.training, image_ids=job.image_ids, plan=plan, as_of=job.as_of)
    spec = fitting_spec(job.network, n_classes=len(points.classes), image_hw=points.usual_hw())
    points.look_with(spec)
    course = Course(
        spec,
        job.training,
        encoder=None if spec.encoder == SCRATCH else encoder_parts(spec.encoder, spec.encoder_weights),
        class_ids=[class_id for class_id, _ in points.classes],
        device=lab.device,
        now=time.monotonic,
        parent=parent_of(lab, job.training, spec, points.classes),
    )
    if resume is not None:
        if "course" not in values:
            raise CheckpointError(f"{resume} holds no interrupted training: start a new one")
        course.restore(arrays, values["course"])
    kept_at, is_kept = time.monotonic(), True
    try:
        for step in course.run(points.learned_from, points.held_out):
            is_kept = False
            if time.monotonic() - kept_at > snapshot_every_s:
                _keep(course, points, checkpoint)
                kept_at, is_kept = time.monotonic(), True
            yield replace(step, score=points.described(step.score))
    except GeneratorExit:
        if not is_kept:
            with suppress(OSError):  # a full disk: the older file, if there is one, still serves
                _keep(course, points, checkpoint)
        raise
    outcome = course.outcome(points.held_out())
    with reading(lab.sessions) as session:
        point_set = repository_points.point_set_hash(session, project_id=job.project_id)
    score = points.described(outcome.score)
    model = NetworkModel(
        outcome.network, points.classes, job.training, outcome.temperature, score, point_set, points.n_points()
    )
    return TrainedNetwork(*network_to_arrays(model), score, point_set, points.n_points())


def fitting_spec(spec: NetworkSpec, *, n_classes: int, image_hw: tuple[int, int]) -> NetworkSpec:
    """The spec with as many classes as have points, and for a network of fixed size the size it will take."""
    if spec.network is not NetworkName.FULLY_CONNECTED or spec.input_hw is not None:
        return replace(spec, n_classes=n_classes)
    factor = FIXED_SIDE / max(image_hw)
    height, width = (max(64, round(side * factor / 32) * 32) for side in image_hw)
    return replace(spec, n_classes=n_classes, input_hw=(height, width))


def parent_of(
    lab: Lab, training: TrainingSpec, spec: NetworkSpec, classes: tuple[tuple[int, str], ...]
) -> PointNetwork | None:
    """The network to start from, if one is named.

    Raises:
        CheckpointError: it is gone or damaged, or another network, or knows other classes than have points now.
    """
    if not training.parent:
        return None
    model = load_network(lab.folders.checkpoints / Path(training.parent).name, device="cpu")
    if replace(model.network.spec, encoder_weights="") != replace(spec, encoder_weights=""):
        raise CheckpointError(
            f"{training.parent} is {model.network.spec.network} with other settings than the {spec.network} wanted: "
            "choose the same network, encoder and upsampling, or start from the encoder"
        )
    known, wanted = model.class_ids, tuple(class_id for class_id, _ in classes)
    if known != wanted:
        raise CheckpointError(
            f"{training.parent} knows the classes {list(known)}, points are of {list(wanted)}: start from the encoder"
        )
    return model.network


def _keep(course: Course, points: TrainingPoints, checkpoint: Path) -> None:
    arrays, values = course.snapshot()
    save_checkpoint(checkpoint, arrays, {"kind": "training", "course": values, "plan": points.plan()})
