"""What is kept of trainings, of the models they make, and of the processes that train: frozen values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fcnlab.counts import CountScore, KeptEpoch, Objective
from fcnlab.domain import LearnerSpec, PointSource
from fcnlab.specs import EXPERT_MASK, NetworkSpec, PointScore, Score, TrainingProgress, TrainingSpec


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several networks trained on the same points for the same time; `results` is filled as they come in."""

    id: int
    project_id: int
    spec: dict[str, Any]
    state: TrainingState
    results: dict[str, Any]
    labeller: str
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


def best_counter(models: Sequence[ModelRecord]) -> ModelRecord:
    """The one of these models, at least one, whose counts of held-out images are least off; without a score the oldest.

    Densities win among equals: they count more steadily.
    """

    def merit(one: ModelRecord) -> tuple[bool, float, bool, int]:
        error = one.score.mae if isinstance(one.score, CountScore) else 0.0
        return not isinstance(one.score, CountScore), error, one.objective is not Objective.DENSITY, one.id

    return min(models, key=merit)


SOURCES_IN_WORDS = {
    EXPERT_MASK: ("point drawn from expert masks", "points drawn from expert masks"),
    PointSource.RANDOM_QUERY: ("randomly drawn pixel", "randomly drawn pixels"),
    PointSource.QUERY: ("answer about an uncertain pixel", "answers about uncertain pixels"),
    PointSource.CLICK: ("click", "clicks"),
    PointSource.ACCEPTED: ("accepted object", "accepted objects"),
    PointSource.SCRIBBLE: ("point of scribbles", "points of scribbles"),
    PointSource.IMPORT: ("imported point", "imported points"),
    PointSource.SIMULATION: ("simulated click", "simulated clicks"),
}
"""Points by their source, one and several, in the order in which they are named."""

TOO_LOW: dict[str, str] = {
    PointSource.CLICK: "labellers click where the mask is wrong",
    PointSource.QUERY: "the page asks where the mask is unsure",
    PointSource.SIMULATION: "simulated labellers click where the mask is wrong",
}
TOO_HIGH: dict[str, str] = {EXPERT_MASK: "points of expert masks lie away from borders"}
AS_IT_IS: dict[str, str] = {PointSource.RANDOM_QUERY: "nobody chose where they lie"}
"""Why accuracy on points of a source is lower than on all pixels, higher, or neither; of others that is not known."""


def sources_in_words(score: PointScore) -> str:
    """What the points of a score are: `100 points drawn from expert masks and 20 clicks`."""
    named = [
        f"{count:,} {SOURCES_IN_WORDS[source][count != 1]}"
        for source in SOURCES_IN_WORDS
        if (count := score.sources.get(source, 0))
    ]
    if not named:
        return f"{score.n_points:,} points of unknown origin"
    return " and ".join(filter(None, (", ".join(named[:-1]), named[-1])))


def taken_on(score: PointScore) -> str:
    """What a score was taken on, and which way that bends it if that is known; every door says it beside the figure."""
    sources = [source for source in SOURCES_IN_WORDS if score.sources.get(source)]
    known = [(TOO_LOW, "so this is rather too low"), (TOO_HIGH, "so this is rather too high"), (AS_IT_IS, "")]
    bend = "whether this is too high or too low is not known"
    for reasons, result in known:
        bent = [reasons[source] for source in sources if source in reasons]
        if bent and all(source in reasons or source in AS_IT_IS for source in sources):
            bend = ", ".join(filter(None, (" and ".join(bent), result)))
            break
    return f"on {sources_in_words(score)}: {bend}"


def kept_in_words(score: Score) -> str:
    """Which epoch a score is of, and what chose it, in a sentence; empty where that was not recorded."""
    kept = score.kept
    if kept is None:
        return ""
    judges = "points" if isinstance(score, PointScore) else "images"
    if kept.is_untrained:
        which = f"epoch {kept.epoch} of {kept.epochs}"
        return f"No epoch was better than the untrained network: {which} is kept, train longer."
    if not kept.epoch:
        began = {"model": "the model it began with", "fitted": "the head it began with, fitted to the points,"}
        return f"No epoch was better: {began.get(kept.start, 'what it began with')} is kept."
    if kept.n_compared < 2:
        return f"Of epoch {kept.epoch} of {kept.epochs}."
    return f"Of epoch {kept.epoch} of {kept.epochs}, which the same {judges} chose: that flatters it."


def kept_in_brief(score: Score | None, epochs: int) -> str:
    """Which epoch was kept, for a table: `12 of 40`; the last one where nothing was held out that could choose."""
    kept = None if score is None else score.kept
    if kept is None:
        return "" if score is not None or not epochs else f"{epochs} of {epochs}, the last"
    if not kept.epoch:
        return "none: " + {"model": "the model before", "fitted": "the fitted head"}.get(kept.start, "the start")
    return f"{kept.epoch} of {kept.epochs}" + (", no better than untrained" if kept.is_untrained else "")


def mean_iou_in_words(score: PointScore) -> str:
    """Mean IoU on the expert masks of held-out images, in a sentence; empty where there are none."""
    if score.mean_iou is None:
        return ""
    masks = "expert mask" if score.n_masks == 1 else "expert masks"
    return f"Mean IoU {score.mean_iou:.3f} on {score.n_masks} {masks} of held-out images."


def duration_in_words(seconds: float) -> str:
    """A span of time for people: `40 s`, `12 min`, `1.5 h`."""
    whole = round(seconds)
    if whole < 90:
        return f"{whole} s"
    return f"{whole / 60:.0f} min" if whole < 5400 else f"{whole / 3600:.1f} h"


def score_to_plain(score: Score) -> dict[str, Any]:
    """Plain values for JSON, whose keys are texts; `score_from_plain` is the inverse."""
    plain = {**asdict(score), "per_class": {str(class_id): share for class_id, share in score.per_class.items()}}
    return {**plain, "game": list(score.game)} if isinstance(score, CountScore) else plain


def score_from_plain(values: Mapping[str, Any]) -> Score:
    """The score that `score_to_plain` wrote; one of counts is known by its mean absolute error."""
    kept = values.get("kept")
    plain = {
        **values,
        "per_class": {int(class_id): share for class_id, share in values["per_class"].items()},
        "kept": None if kept is None else KeptEpoch(**kept),
    }
    if "mae" in values:
        return CountScore(**plain | {"game": tuple(float(one) for one in values["game"])})
    if plain.pop("drawn", "") == "query":  # versions before this one knew randomly drawn pixels from all others
        plain["sources"] = {PointSource.RANDOM_QUERY.value: values["n_points"]}
    return PointScore(**plain)


def figure_name(objective: Objective) -> str:
    """What the figure is called by which models of one objective are told apart."""
    return "Held-out MAE" if objective.counts else "Held-out accuracy"


def figure(score: Score) -> str:
    """That figure of a score: the accuracy, or the mean absolute error of the counts."""
    return f"{score.mae:.2f}" if isinstance(score, CountScore) else f"{score.accuracy:.1%}"


def figure_in_brief(score: Score) -> str:
    """A score in a few words: how good, and how sure that is."""
    if isinstance(score, CountScore):
        return f"{score.mae:.2f} (F {score.f_score:.2f})"
    return f"{score.accuracy:.1%} ({score.low:.0%}–{score.high:.0%})"


def score_in_a_sentence(score: Score) -> str:
    """What a score says and what it was taken on, for people."""
    if isinstance(score, CountScore):
        counts = (
            f"Counts of {score.n_images} held-out images with {score.n_objects} objects: off by {score.mae:.2f} on "
            f"average (MAE), which is {score.mre:.0%} of the count; precision {score.precision:.0%}, recall "
            f"{score.recall:.0%} of the objects found."
        )
        return " ".join(filter(None, (counts, kept_in_words(score))))
    accuracy = (
        f"Accuracy on {score.n_points} held-out points, 95% sure to be between {score.low:.0%} and {score.high:.0%}, "
        f"{taken_on(score)}."
    )
    return " ".join(filter(None, (accuracy, mean_iou_in_words(score), kept_in_words(score))))


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
