"""How a network is trained, how far it has come, and who trains it. Frozen values, checked when built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fcnlab.domain.counting import Objective
from fcnlab.domain.events import PointSource
from fcnlab.domain.network import JsonSpec, NetworkName, NetworkSpec, without_defaults
from fcnlab.domain.scores import Score
from fcnlab.errors import InvalidSetting
from fcnlab.validation import check_fields

LEAST_CROP = 16
"""Pixels; less is hardly ever more than one thing."""

ABSENT_IN_WORDS = (
    "Images of which tags or whole masks say that they do not contain a class teach the network not to see it there, "
    "without a click. 0: tags teach nothing. With 1, such an image counts as much as the points."
)
"""What `TrainingSpec.absent_weight` does, for people."""


@dataclass(frozen=True, slots=True)
class TrainingSpec(JsonSpec):
    """How a network is trained.

    Attributes:
        epochs: passes over the images, at most.
        minutes: wall-clock time after which training ends; 0 means no limit.
        batch_size: pictures per step.
        learning_rate: highest rate of decoder and scores.
        encoder_rate: rate of the encoder as a part of `learning_rate`.
        freeze_encoder: leave the encoder as it is.
        weight_decay: of AdamW.
        warmup: part of training in which the rate rises from zero; it then falls as a half cosine.
        clip: largest norm of the gradient.
        ema: weight of the past in the moving average of weights, per step; the average is what is kept.
        class_weight: "balanced" weighs every class alike, "none" every point alike.
        source_weights: weight of points by their source, as "source=weight"; sources not named weigh 1.
        flip: mirror left to right at random.
        scale: largest factor by which a picture is enlarged or reduced.
        rotate: largest turn, in degrees.
        colour: strength of changes of brightness, contrast, saturation and hue, 0 to 1.
        crop: longer side of what is cut out of a picture for a step, in working pixels; 0 takes all of it.
        working_side: longer side at which the network looks at a picture, in pixels.
        holdout: part of the images with points that training never sees.
        patience: epochs without a better held-out score after which training ends; 0 means never.
        staged: train fcn16s and fcn8s coarse to fine, each from the one before; else all at once.
        seed: of every random choice.
        parent: file of the model to start from, in the checkpoints folder; empty starts from the encoder.
        objective: what the network is trained for; the others than POINTS count objects.
        magnification: by how much pictures are enlarged for a network that counts, whatever their size; 0 chooses it
            by the usual distance between objects, so that pictures are not enlarged beyond `working_side`.
        pair: names trainings of one project that hold out the same images, so that the project may use the one of
            them that counts best; empty: it stands alone.
        grades: ids of the classes that are grades of one thing, the lowest first; empty where no class has an order.
        absent_weight: weight of the penalty on classes that tags say an image does not contain; 0 leaves tags out.
    """

    epochs: int = 40
    minutes: float = 0.0
    batch_size: int = 4
    learning_rate: float = 1e-3
    encoder_rate: float = 0.1
    freeze_encoder: bool = False
    weight_decay: float = 1e-2
    warmup: float = 0.05
    clip: float = 1.0
    ema: float = 0.98
    class_weight: str = "balanced"
    source_weights: tuple[str, ...] = ()
    flip: bool = True
    scale: float = 1.5
    rotate: float = 10.0
    colour: float = 0.3
    crop: int = 512
    working_side: int = 1024
    holdout: float = 0.2
    patience: int = 0
    staged: bool = True
    seed: int = 0
    parent: str = ""
    objective: Objective = Objective.POINTS
    magnification: float = 0.0
    pair: str = ""
    grades: tuple[int, ...] = ()
    absent_weight: float = 0.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "objective", Objective(self.objective))
        except ValueError as failure:
            raise InvalidSetting(f"objective {self.objective!r} is none of {', '.join(Objective)}") from failure
        check_fields(self)
        bounds: dict[str, tuple[float, float]] = {
            "epochs": (1, 100_000),
            "minutes": (0, 100_000),
            "batch_size": (1, 256),
            "learning_rate": (1e-9, 1),
            "encoder_rate": (0, 1),
            "weight_decay": (0, 1),
            "warmup": (0, 0.9),
            "clip": (1e-3, 1e3),
            "ema": (0, 0.99999),
            "scale": (1, 4),
            "rotate": (0, 180),
            "colour": (0, 1),
            "crop": (0, 8192),
            "working_side": (64, 8192),
            "holdout": (0, 0.9),
            "patience": (0, 100_000),
            "seed": (0, 2**63 - 1),
            "magnification": (0, 8),
            "absent_weight": (0, 100),
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidSetting(f"{name} {value} must be between {low:g} and {high:g}")
        if 0 < self.crop < LEAST_CROP:
            raise InvalidSetting(f"crop {self.crop} must be 0, for the whole image, or at least {LEAST_CROP} pixels")
        if self.class_weight not in ("balanced", "none"):
            raise InvalidSetting(f"class_weight {self.class_weight!r} is neither 'balanced' nor 'none'")
        if len(self.grades) == 1 or len(set(self.grades)) != len(self.grades):
            raise InvalidSetting(f"grades {self.grades} must name at least two classes, and each once")
        if self.grades and self.objective.is_counting:
            raise InvalidSetting(f"grades have an order, and objective {self.objective!r} counts: leave them out")
        if self.absent_weight and self.objective.is_counting:
            raise InvalidSetting(f"tags teach networks that segment, and objective {self.objective!r} counts")
        self.weight_by_source()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse. Without grades and tags as of earlier versions."""
        return without_defaults(JsonSpec.to_dict(self), grades=[], absent_weight=0.0)

    def weight_by_source(self) -> dict[PointSource, float]:
        """Weight of a point by its source. Raises InvalidSetting for an unknown source or a negative weight."""
        weights = dict.fromkeys(PointSource, 1.0)
        for entry in self.source_weights:
            name, _, text = entry.partition("=")
            try:
                weights[PointSource(name.strip())] = float(text)
            except ValueError as failure:
                sources = ", ".join(PointSource)
                raise InvalidSetting(f"source weight {entry!r} is not 'source=weight'; sources: {sources}") from failure
        if any(not 0 <= weight < float("inf") for weight in weights.values()):
            raise InvalidSetting(f"source weights {list(self.source_weights)} must be zero or more")
        return weights


def counting_training(objective: Objective) -> TrainingSpec:
    """How networks that count are trained unless told otherwise; measured on three sets of cells."""
    return TrainingSpec(
        epochs=10_000,
        minutes=5.0,
        batch_size=2,
        learning_rate=2e-3,
        encoder_rate=0.3,
        ema=0.99,
        scale=1.0,
        rotate=0.0,
        colour=0.1,
        crop=384,
        working_side=4096,
        staged=False,
        objective=objective,
    )


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """How a training stands after one more epoch.

    Attributes:
        epoch, epochs: epochs finished, and planned.
        network: the network trained just now; staged training goes through several.
        loss: mean loss of the epoch.
        seconds: since training began, pauses left out.
        images_per_second: pictures that went through the network.
        seconds_left: estimate, by epochs or by the time limit.
        score: on held-out points or images, None when there are none.
        is_best: whether its weights are those that would be kept now.
    """

    epoch: int
    epochs: int
    network: NetworkName
    loss: float
    seconds: float
    images_per_second: float
    seconds_left: float
    score: Score | None = None
    is_best: bool = False


class TrainingState(StrEnum):
    """How far a training has come."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    FAILED = "failed"


OPEN_STATES = frozenset({TrainingState.QUEUED, TrainingState.RUNNING, TrainingState.PAUSED})
"""A training in one of these may still go on."""


class Wanted(StrEnum):
    """What people want of a training; its worker obeys as soon as it can."""

    RUN = "run"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Training:
    """One network on its way from points to a model.

    Attributes:
        image_ids: images whose points it learns from; None means all with points.
        comparison_id: the comparison it belongs to, if any.
        labeller: who asked for it.
        message: why it failed, for people.
        epoch, epochs: finished and planned, as last reported; the next four likewise.
        network_now: the network trained just now; staged training goes through several.
        seconds: of training, pauses left out. seconds_left: estimated.
        model_id: the model it made, once it is finished.
    """

    id: int
    project_id: int
    network: NetworkSpec
    training: TrainingSpec
    image_ids: tuple[int, ...] | None
    comparison_id: int | None
    state: TrainingState
    wanted: Wanted
    labeller: str
    message: str
    epoch: int
    epochs: int
    network_now: str
    seconds: float
    seconds_left: float
    images_per_second: float
    model_id: int | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it may still go on."""
        return self.state in OPEN_STATES

    @property
    def can_go_on(self) -> bool:
        """Whether it may still become a model: it is open, or failed and may be tried again."""
        return (self.is_open and self.wanted is not Wanted.CANCEL) or self.state is TrainingState.FAILED

    @property
    def resume_file(self) -> str:
        """Name of the file in the resume folder from which it goes on."""
        return resume_file_of(self.id)

    @property
    def checkpoint_file(self) -> str:
        """Name of the file in the checkpoints folder in which its network is kept."""
        return checkpoint_file_of(self.project_id, self.id)


def resume_file_of(training_id: int) -> str:
    """Name of the file in the resume folder from which a training goes on."""
    return f"training-{training_id}.resume"


def checkpoint_file_of(project_id: int, training_id: int) -> str:
    """Name of the file in the checkpoints folder in which the network of a training is kept."""
    return f"network-{project_id}-{training_id}.safetensors"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch of a training, as it was reported, and when."""

    progress: TrainingProgress
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process among all that ever ran: numbers are given again, a number with its start time is not."""

    host: str
    pid: int
    started: float


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to train for a project, held by one process as long as it says that it is alive."""

    project_id: int
    process: ProcessId
    heartbeat_at: datetime
