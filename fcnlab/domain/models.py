"""Models of a project: what is kept of them. Frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fcnlab.domain.counting import CountScore, Objective
from fcnlab.domain.project import LearnerSpec
from fcnlab.domain.scores import Score
from fcnlab.domain.training import TrainingSpec


class ModelKind(StrEnum):
    """What a model is: a whole network, or a head of the instant learner."""

    NETWORK = "network"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True)
class ModelDraft:
    """A model before it is stored.

    Attributes:
        name: for people.
        spec: of the network, or of the learner for the instant kind.
        training: how it was trained, if a training made it.
        classes: (id, name, colour) in the order of its scores.
        point_set_hash, n_points: what it learned from.
        score: on held-out points or images, if there were any.
        parent_id: the model it started from. training_id: the training that made it.
        labeller: who asked for it.
        file: in the checkpoints folder; `size` in bytes.
        seconds: of training.
    """

    name: str
    kind: ModelKind
    spec: dict[str, Any]
    training: TrainingSpec | None
    classes: tuple[tuple[int, str, str], ...]
    point_set_hash: str
    n_points: int
    score: Score | None
    parent_id: int | None
    training_id: int | None
    labeller: str
    file: str
    size: int
    seconds: float

    @property
    def objective(self) -> Objective:
        """What it was trained for; the instant learner tells pixels apart."""
        return Objective.POINTS if self.training is None else self.training.objective


@dataclass(frozen=True, slots=True)
class ModelRecord(ModelDraft):
    """A model of a project, as stored. `removed_at`: when somebody took it out of the list."""

    id: int
    project_id: int
    created_at: datetime
    removed_at: datetime | None


def best_counter(models: Sequence[ModelRecord]) -> ModelRecord:
    """The one of these models, at least one, whose counts of held-out images are least off; without a score the oldest.

    Densities win among equals: they count more steadily.
    """

    def merit(model: ModelRecord) -> tuple[bool, float, bool, int]:
        error = model.score.mae if isinstance(model.score, CountScore) else 0.0
        return not isinstance(model.score, CountScore), error, model.objective is not Objective.DENSITY, model.id

    return min(models, key=merit)


@dataclass(frozen=True, slots=True)
class FitRecord:
    """A finished fit: what was learned from which points, and the checkpoint file it left."""

    id: int
    project_id: int
    learner: LearnerSpec
    point_set_hash: str
    n_points: int
    checkpoint: str
    milliseconds: float
    created_at: datetime
