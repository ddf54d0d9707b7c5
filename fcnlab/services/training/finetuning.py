"""Training a network on the points of a project, from the database to a checkpoint."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from fcnlab.core.networks.ordinal import with_order
from fcnlab.core.training.batches import LabelledPicture
from fcnlab.core.training.head_trainer import HeadTrainer, build_trainer
from fcnlab.core.training.network_model import NetworkModel, fitting_spec, network_to_arrays
from fcnlab.core.training.objectives import TrainingObjective
from fcnlab.core.training.trainer import NetworkTrainer
from fcnlab.domain.network import SCRATCH, NetworkSpec
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingProgress, TrainingSpec
from fcnlab.errors import CheckpointError
from fcnlab.lab import Lab
from fcnlab.services.counting.training_points import points_for
from fcnlab.services.models.files import encoder_parts, load_network
from fcnlab.storage.database import repository_models
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.checkpoints import load_checkpoint, save_checkpoint

log = logging.getLogger(__name__)

LOST_SHARE = WRITING_SHARE = 0.1
SNAPSHOT_MOST_S = 30.0

LEARNED_IMAGES = "learned_images"
"""In the file of a network that counts: hashes of the images it learned from, on which it is not to be evaluated."""

CALIBRATED_IMAGES = "calibrated_images"
"""Also there: hashes of the images that were held out; they calibrated it, and chose its weights and its objective."""


class SnapshotPace:
    """After which epochs a resume file is written: after the first, then so that a process which is killed loses at
    most LOST_SHARE of its time, and never more than `most_s` and an epoch, while it spends no more than WRITING_SHARE
    of it on writing."""

    def __init__(self, now: Callable[[], float], *, most_s: float = SNAPSHOT_MOST_S) -> None:
        self._now, self._most_s = now, most_s
        self._started = self._kept_at = self._ended_at = now()
        self._spent = self._cost = 0.0
        self._is_first = True

    def is_due(self) -> bool:
        """Whether to write now; called at the end of every epoch."""
        now = self._now()
        epoch_s, self._ended_at = now - self._ended_at, now
        next_end = now + epoch_s  # of the next epoch, which is lost with those before it when nothing is written now
        lost, may_be_lost = next_end - self._kept_at, LOST_SHARE * (next_end - self._started)
        is_affordable = self._spent + self._cost <= WRITING_SHARE * (now - self._started)
        return self._is_first or (lost > min(may_be_lost, self._most_s) and is_affordable)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the writing of the file, whose time counts."""
        self._kept_at, self._is_first = self._now(), False
        yield
        self._ended_at = self._now()
        self._cost = self._ended_at - self._kept_at
        self._spent += self._cost


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


class LearnedFrom(Protocol):
    """Pictures and points to learn from, as TrainingPoints gives those of a project."""

    classes: tuple[tuple[int, str], ...]
    clicked: tuple[tuple[int, str], ...]
    background: int | None

    @property
    def training(self) -> TrainingSpec: ...  # noqa: D102
    def objective(self, device: str, /) -> TrainingObjective[Any] | None: ...  # noqa: D102
    def prepare_for(self, network: NetworkSpec) -> None: ...  # noqa: D102
    def usual_hw(self) -> tuple[int, int]: ...  # noqa: D102
    def learned_from(self) -> list[LabelledPicture]: ...  # noqa: D102
    def held_out(self) -> list[LabelledPicture]: ...  # noqa: D102
    def described(self, score: Score | None) -> Score | None: ...  # noqa: D102
    def measured(self, model: NetworkModel) -> Score | None: ...  # noqa: D102
    def plan(self) -> dict[str, Any]: ...  # noqa: D102
    def n_points(self) -> int: ...  # noqa: D102
    def point_set_hash(self) -> str: ...  # noqa: D102
    def learned_images(self) -> list[str]: ...  # noqa: D102
    def calibrated_images(self) -> list[str]: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class TrainedNetwork:
    """A finished training: arrays and spec of its checkpoint, and what is told about it."""

    arrays: Mapping[str, NDArray[Any]]
    spec: Mapping[str, Any]
    score: Score | None
    point_set_hash: str
    n_points: int


def train(
    lab: Lab, job: TrainingJob, *, resume: Path | None, checkpoint: Path, snapshot_every_s: float = SNAPSHOT_MOST_S
) -> Generator[TrainingProgress, None, TrainedNetwork]:
    """Train a network, one value per epoch. Points that are added meanwhile join the next epoch.

    Args:
        resume: a file that an interrupted training of this job left; it goes on from there. None starts anew.
        checkpoint: where to leave such a file: after the first epoch, then as SnapshotPace says, and when the generator
            is closed.

    Raises:
        NoPoints: fewer than two classes have points.
        CheckpointError: `resume` is damaged or of another training, or the parent does not fit.
        WeightsUnavailable, UnknownEncoder, InvalidSetting: the network cannot be built.
    """
    arrays, values = load_checkpoint(resume) if resume is not None else ({}, {})
    parent = None if resume is not None or not job.training.parent else parent_of(lab, job.training)
    decided = (job.plan or plan_of_pair(lab, job)) if parent is None else parent[1]
    plan = values.get("plan", decided)
    points = points_for(lab, job.project_id, job.training, image_ids=job.image_ids, plan=plan, as_of=job.as_of)
    return (
        yield from train_on(
            points,
            job.network,
            device=lab.device,
            parent=None if parent is None else parent[0],
            resumed=None if resume is None else (arrays, values),
            checkpoint=checkpoint,
            snapshot_every_s=snapshot_every_s,
        )
    )


def train_on(
    points: LearnedFrom,
    network: NetworkSpec,
    *,
    device: str,
    parent: NetworkModel | None = None,
    resumed: tuple[dict[str, NDArray[Any]], Mapping[str, Any]] | None = None,
    checkpoint: Path | None = None,
    snapshot_every_s: float = SNAPSHOT_MOST_S,
) -> Generator[TrainingProgress, None, TrainedNetwork]:
    """As `train`, for any pictures and points.

    Args:
        points: what is learned from, and how.
        network: which one, of any number of classes.
        device: where it learns.
        parent: the model to start from.
        resumed: contents of a resume file to go on from.
        checkpoint: see `train`; None leaves no file.
        snapshot_every_s: see `most_s` of SnapshotPace.
    """
    spec = fitting_spec(network, n_classes=len(points.classes), image_hw=points.usual_hw())
    class_ids = [class_id for class_id, _ in points.classes]
    if parent is not None and network.order is None:  # a version that goes on keeps its layers
        spec = replace(spec, order=parent.network.spec.order, grades=parent.network.spec.grades)
    else:
        spec = with_order(spec, class_ids=class_ids, grades=points.training.grades)
    if resumed is not None and spec.input_hw is not None:  # a fixed size stays, whatever was labelled since
        spec = replace(spec, input_hw=_resumed_hw(resumed[1]) or spec.input_hw)
    if parent is not None:
        _refuse_parent(parent, spec, points)
    points.prepare_for(spec)
    trainer = build_trainer(
        spec,
        points.training,
        encoder=None if spec.encoder == SCRATCH else encoder_parts(spec.encoder, spec.encoder_weights),
        class_ids=class_ids,
        device=device,
        now=time.monotonic,
        parent=None if parent is None else parent.network,
        objective=points.objective(device),
    )
    if resumed is not None:
        if "course" not in resumed[1]:
            raise CheckpointError("the resume file holds no interrupted training: start a new one")
        trainer.restore(resumed[0], resumed[1]["course"])
    pace, is_kept, epoch = SnapshotPace(time.monotonic, most_s=snapshot_every_s), True, 0
    try:
        for step in trainer.run(points.learned_from, points.held_out):
            epoch, is_kept = step.epoch, checkpoint is None
            if checkpoint is not None and pace.is_due():
                with pace.writing():
                    is_kept = _tried_to_keep(trainer, points, checkpoint, epoch=epoch)
            yield replace(step, score=points.described(step.score))
    except GeneratorExit:
        if checkpoint is not None and not is_kept:
            _tried_to_keep(trainer, points, checkpoint, epoch=epoch)
        raise
    return _trained(trainer, points)


def _trained(trainer: NetworkTrainer | HeadTrainer, points: LearnedFrom) -> TrainedNetwork:
    learned = points.learned_from() if points.training.objective.is_counting else ()
    outcome = trainer.outcome(points.held_out(), learned)
    point_set = points.point_set_hash()
    model = NetworkModel(
        outcome.network,
        points.classes,
        points.training,
        outcome.temperature,
        points.described(outcome.score),
        point_set,
        points.n_points(),
        outcome.calibration,
        points.background if points.background in dict(points.classes) else None,
    )
    score = points.measured(model)
    made, described = network_to_arrays(replace(model, score=score))
    spec = {**described, "plan": points.plan()}
    if points.training.objective.is_counting:
        spec[LEARNED_IMAGES] = points.learned_images()
        spec[CALIBRATED_IMAGES] = points.calibrated_images()
    return TrainedNetwork(made, spec, score, point_set, points.n_points())


def parent_of(lab: Lab, training: TrainingSpec) -> tuple[NetworkModel, dict[str, Any]]:
    """The model to start from, and a plan that holds out what it held out: it knows all other images.

    Nothing is held out when the file does not say what was.

    Raises:
        CheckpointError: it is gone, damaged or no network.
    """
    path = lab.folders.checkpoints / Path(training.parent).name
    model = load_network(path, device="cpu")
    plan = load_checkpoint(path)[1].get("plan", {})
    decided: dict[str, Any] = {"held_out": list(plan.get("held_out", [])), "classes": list(model.class_ids)}
    if model.calibration is not None:
        decided |= {"spacing": model.calibration.spacing, "magnification": model.training.magnification}
    return model, decided


def plan_of_pair(lab: Lab, job: TrainingJob) -> dict[str, Any] | None:
    """What the other training of a pair decided at its beginning; None when this one is the first, or alone.

    Raises:
        CheckpointError: the model of the other one is damaged.
    """
    if not job.training.pair:
        return None
    with reading(lab.sessions) as session:
        models = repository_models.models(session, project_id=job.project_id, include_removed=True)
    for model in models:
        if model.training is not None and model.training.pair == job.training.pair:
            path = lab.folders.checkpoints / model.file
            plan: dict[str, Any] | None = load_checkpoint(path)[1].get("plan")
            return plan
    return None


def _refuse_parent(model: NetworkModel, spec: NetworkSpec, points: LearnedFrom) -> None:
    """Raises CheckpointError for a model of other settings, or of other classes than have points now."""
    name, objective = points.training.parent, points.training.objective
    if model.training.objective is not objective:
        raise CheckpointError(
            f"{name} was trained for {model.training.objective}, not for {objective}: choose a version of the same "
            "objective, or start from the encoder"
        )
    wanted = replace(spec, encoder_weights="")
    if replace(model.network.spec, encoder_weights="") != wanted:
        raise CheckpointError(
            f"{name} is {model.network.spec.network} with other settings than the {spec.network} wanted: "
            "choose the same network, encoder, upsampling and order of grades, or start from the encoder"
        )
    if model.class_ids != tuple(class_id for class_id, _ in points.clicked):
        raise CheckpointError(
            f"{name} knows other classes than those that have points now: start from the encoder, or remove the "
            "points of the new class"
        )
    told = [model.class_ids[place] for place in model.network.spec.grades]
    if told and told != [class_id for class_id in points.training.grades if class_id in model.class_ids]:
        names = dict(model.classes)
        raise CheckpointError(
            f"{name} learned the order {', '.join(names[class_id] for class_id in told)}, which is not that of the "
            "project any more: start from the encoder, or set the grades as they were"
        )


def _resumed_hw(values: Mapping[str, Any]) -> tuple[int, ...] | None:
    input_hw = values.get("course", {}).get("state", {}).get("network", {}).get("input_hw")
    return None if input_hw is None else tuple(int(side) for side in input_hw)


def _tried_to_keep(trainer: NetworkTrainer | HeadTrainer, points: LearnedFrom, checkpoint: Path, *, epoch: int) -> bool:
    """Write the resume file; without room for it training goes on, and an older file still serves."""
    try:
        arrays, values = trainer.snapshot()
        spec = {"kind": "training", "course": values, "plan": points.plan(), "epoch": epoch}
        save_checkpoint(checkpoint, arrays, spec)
    except OSError as failure:
        log.warning("%s cannot be written (%s): an interruption would cost more than it should", checkpoint, failure)
        return False
    return True
