"""Training a network on the points of a project, from the database to a checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fcnlab.adapters.checkpoints import load_checkpoint, save_checkpoint
from fcnlab.core.course import Course
from fcnlab.core.courses import course_of
from fcnlab.core.head_course import HeadCourse
from fcnlab.core.network_model import NetworkModel, fitting_spec, network_to_arrays
from fcnlab.errors import CheckpointError
from fcnlab.lab import Lab
from fcnlab.services.networks import encoder_parts, load_network
from fcnlab.services.training_points import TrainingPoints
from fcnlab.specs import SCRATCH, NetworkSpec, PointScore, TrainingProgress, TrainingSpec

log = logging.getLogger(__name__)


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
    parent = None if resume is not None or not job.training.parent else parent_of(lab, job.training)
    plan = values.get("plan", job.plan if parent is None else parent[1])
    points = TrainingPoints(lab, job.project_id, job.training, image_ids=job.image_ids, plan=plan, as_of=job.as_of)
    spec = fitting_spec(job.network, n_classes=len(points.classes), image_hw=points.usual_hw())
    if resume is not None and spec.input_hw is not None:  # a fixed size stays, whatever was labelled since
        spec = replace(spec, input_hw=_resumed_hw(values) or spec.input_hw)
    if parent is not None:
        _refuse_parent(parent[0], job.training.parent, spec, points.clicked)
    points.look_with(spec)
    course = course_of(
        spec,
        job.training,
        encoder=None if spec.encoder == SCRATCH else encoder_parts(spec.encoder, spec.encoder_weights),
        class_ids=[class_id for class_id, _ in points.classes],
        device=lab.device,
        now=time.monotonic,
        parent=None if parent is None else parent[0].network,
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
                kept_at = time.monotonic()
                is_kept = _tried_to_keep(course, points, checkpoint)
            yield replace(step, score=points.described(step.score))
    except GeneratorExit:
        if not is_kept:
            _tried_to_keep(course, points, checkpoint)
        raise
    outcome = course.outcome(points.held_out())
    point_set = points.point_set_hash()
    score = points.described(outcome.score)
    model = NetworkModel(
        outcome.network, points.classes, job.training, outcome.temperature, score, point_set, points.n_points()
    )
    made, described = network_to_arrays(model)
    return TrainedNetwork(made, {**described, "plan": points.plan()}, score, point_set, points.n_points())


def parent_of(lab: Lab, training: TrainingSpec) -> tuple[NetworkModel, dict[str, Any]]:
    """The model to start from, and a plan that holds out what it held out: it knows all other images.

    Nothing is held out when the file does not say what was.

    Raises:
        CheckpointError: it is gone, damaged or no network.
    """
    path = lab.folders.checkpoints / Path(training.parent).name
    model = load_network(path, device="cpu")
    plan = load_checkpoint(path)[1].get("plan", {})
    return model, {"held_out": list(plan.get("held_out", [])), "classes": list(model.class_ids)}


def _refuse_parent(model: NetworkModel, name: str, spec: NetworkSpec, classes: tuple[tuple[int, str], ...]) -> None:
    """Raises CheckpointError for a model of other settings, or of other classes than have points now."""
    wanted = replace(spec, encoder_weights="")
    if replace(model.network.spec, encoder_weights="") != wanted:
        raise CheckpointError(
            f"{name} is {model.network.spec.network} with other settings than the {spec.network} wanted: "
            "choose the same network, encoder and upsampling, or start from the encoder"
        )
    if model.class_ids != tuple(class_id for class_id, _ in classes):
        raise CheckpointError(
            f"{name} knows other classes than those that have points now: start from the encoder, or remove the "
            "points of the new class"
        )


def _resumed_hw(values: Mapping[str, Any]) -> tuple[int, ...] | None:
    found = values.get("course", {}).get("state", {}).get("network", {}).get("input_hw")
    return None if found is None else tuple(int(side) for side in found)


def _tried_to_keep(course: Course | HeadCourse, points: TrainingPoints, checkpoint: Path) -> bool:
    """Write the resume file; without room for it training goes on, and an older file still serves."""
    try:
        _keep(course, points, checkpoint)
    except OSError as failure:
        log.warning("%s cannot be written (%s): an interruption would cost more than it should", checkpoint, failure)
        return False
    return True


def _keep(course: Course | HeadCourse, points: TrainingPoints, checkpoint: Path) -> None:
    arrays, values = course.snapshot()
    save_checkpoint(checkpoint, arrays, {"kind": "training", "course": values, "plan": points.plan()})
