"""What a comparison is asked, and what came out for each of those compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from fcnlab.domain.counting import Objective
from fcnlab.domain.network import NetworkSpec, without_defaults
from fcnlab.domain.scores import Score, score_from_dict, score_to_dict
from fcnlab.domain.training import Training, TrainingSpec, TrainingState, counting_training
from fcnlab.errors import InvalidSetting


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


LINEAR, LARGER = "instant", "instant-larger"
"""Keys of the instant learner with its linear head, and with the larger one."""

LARGER_FROM = 300
"""Points from which the larger head takes part: with fewer it has nothing to gain."""

NO_EPOCH_LIMIT = 100_000


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """What is compared, on what, for how long.

    Attributes:
        networks: each is trained once.
        minutes: of training for each network.
        image_ids: whose points are learned from; empty means all with points.
        shown_ids: images whose masks are kept to look at; empty means a few, held-out ones first.
        has_instant: whether the instant learner takes part.
        holdout: part of the images that nobody learns from.
        seed: of the images held out and of every training.
        working_side: longer side at which all look at a picture, in pixels.
        staged: train FCN-16s and FCN-8s coarse to fine; each is measured at its own stage alone.
        as_of: the moment whose points all learn from; set when the comparison starts, like the next two.
        newest_point: the highest number of a point then; None: the clock says which points came later.
        held_out: images nobody learns from.
        class_ids: classes with points.
        objectives: what each network is trained for, in a project that counts; empty: to tell points apart.
        grades: ids of the classes that are grades, the lowest first; set like `as_of`.
        absent_weight: see `TrainingSpec`; counters learn nothing from tags.
        complete: images that were all marked then; spacing, magnification: of the counters; set like `as_of`.
    """

    networks: tuple[NetworkSpec, ...]
    minutes: float = 1.0
    image_ids: tuple[int, ...] = ()
    shown_ids: tuple[int, ...] = ()
    has_instant: bool = True
    holdout: float = 0.25
    seed: int = 0
    working_side: int = 384
    staged: bool = True
    as_of: str = ""
    held_out: tuple[int, ...] = ()
    class_ids: tuple[int, ...] = ()
    objectives: tuple[str, ...] = ()
    complete: tuple[int, ...] = ()
    spacing: float = 0.0
    magnification: float = 0.0
    newest_point: int | None = None
    grades: tuple[int, ...] = ()
    absent_weight: float = 0.0

    def __post_init__(self) -> None:
        if not self.networks:
            raise InvalidSetting("a comparison needs a network: choose at least one")
        if len(set(self.networks)) < len(self.networks):
            raise InvalidSetting(
                "a comparison names one network twice: leave one out, or change its upsampling or its order of grades"
            )
        if not self.minutes > 0:
            raise InvalidSetting(f"minutes {self.minutes:g} must be more than none: all networks get the same time")
        self.training_specs()

    @property
    def is_counting(self) -> bool:
        """Whether counters are compared."""
        return bool(self.objectives)

    def training_specs(self) -> tuple[TrainingSpec, ...]:
        """How each network is trained, once for each. Raises InvalidSetting for values out of bounds."""
        return tuple(
            replace(
                counting_training(Objective(objective)),
                epochs=NO_EPOCH_LIMIT,
                minutes=self.minutes,
                holdout=self.holdout,
                seed=self.seed,
                magnification=self.magnification,
            )
            for objective in self.objectives
        ) or (self.training_spec(),)

    def training_spec(self) -> TrainingSpec:
        """How each network is trained: by the clock alone. Raises InvalidSetting for values out of bounds."""
        return TrainingSpec(
            epochs=NO_EPOCH_LIMIT,
            minutes=self.minutes,
            holdout=self.holdout,
            seed=self.seed,
            working_side=self.working_side,
            staged=self.staged,
            grades=self.grades,
            absent_weight=self.absent_weight,
        )

    def plan(self) -> dict[str, Any]:
        """The plan for TrainingPoints: the same split for every participant."""
        decided: dict[str, Any] = {"held_out": list(self.held_out), "classes": list(self.class_ids)}
        if self.newest_point is not None:
            decided["newest_point"] = self.newest_point
        if self.is_counting:
            decided |= {"complete": list(self.complete), "spacing": self.spacing, "magnification": self.magnification}
        return decided

    def as_of_time(self) -> datetime:
        """`as_of` as a time."""
        return datetime.fromisoformat(self.as_of)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        whole = {**fields, "networks": [network.to_dict() for network in self.networks]}
        return without_defaults(whole, grades=[], absent_weight=0.0)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The spec that `to_dict` wrote."""
        fields: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        return cls(**fields | {"networks": tuple(NetworkSpec.from_dict(network) for network in values["networks"])})


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one picture takes from pixels to classes, each time after a run to warm up.

    Attributes:
        seconds: the median of several runs.
        hw: size of the picture.
        pixels: how many of its pixels were computed; fewer than all: the seconds are extrapolated from them.
        threads: of the processor; 0 on a graphics card.
        low, high: of the quickest and the slowest run.
        runs: number of runs; 0 where it was not recorded.
        is_by_turns: all in the comparison ran once, then all again, so that what else the machine did met them alike.
    """

    seconds: float
    hw: tuple[int, int]
    pixels: int
    threads: int
    low: float = 0.0
    high: float = 0.0
    runs: int = 0
    is_by_turns: bool = False

    @property
    def is_extrapolated(self) -> bool:
        """Whether only a part of the picture was computed."""
        return self.pixels < self.hw[0] * self.hw[1]

    def spread(self) -> str:
        """The quickest and the slowest run in seconds, for people; empty where they were not recorded."""
        return f"{self.low:.3g} to {self.high:.3g}" if self.runs else ""


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one participant of a comparison.

    Attributes:
        score: on held-out points; None when nothing was held out.
        mean_iou: on expert masks of held-out images, or where there are none, on the masks that those of them keep
            which are done; None when there are neither.
        n_masks: number of those masks.
        by_experts: they are expert masks.
        timing: of one picture.
        parameters: all numbers in it. learned: those that were learned from the points.
        n_points: points learned from.
        seconds: of learning.
        masks: by image id, its mask for the page, a file in the comparisons folder.
    """

    score: Score | None
    mean_iou: float | None
    n_masks: int
    timing: Timing
    parameters: int
    learned: int
    n_points: int
    seconds: float
    masks: dict[int, str] = field(default_factory=dict)
    by_experts: bool = False

    @property
    def is_untrained(self) -> bool:
        """Whether the figures are those of a network that is no better than its random weights: no result of it."""
        return self.score is not None and self.score.kept is not None and self.score.kept.is_untrained

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            **asdict(self),
            "score": None if self.score is None else score_to_dict(self.score),
            "timing": {**asdict(self.timing), "hw": list(self.timing.hw)},
            "masks": {str(image_id): file for image_id, file in self.masks.items()},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The figures that `to_dict` wrote."""
        score, timing = values["score"], values["timing"]
        fields = {
            "score": None if score is None else score_from_dict(score),
            "timing": Timing(**{**timing, "hw": tuple(timing["hw"])}),
            "masks": {int(image_id): file for image_id, file in values["masks"].items()},
        }
        return cls(**{**values, **fields})


@dataclass(frozen=True, slots=True)
class Participant:
    """One of those compared, and how far it is.

    Attributes:
        key: unique in its comparison.
        title, summary: for people.
        training: of a network; None for the instant learner.
        message: why it failed, or has no result although it is finished.
        measured: once it is finished; see `result`.
        model_id: the version it was kept as, if it was.
    """

    key: str
    title: str
    summary: str
    training: Training | None
    state: TrainingState
    message: str
    measured: Measured | None
    model_id: int | None

    @property
    def result(self) -> Measured | None:
        """Its figures; None before it is finished, and for a network that is no better than untrained."""
        return None if self.measured is None or self.measured.is_untrained else self.measured

    @property
    def seconds_per_epoch(self) -> float | None:
        """Mean time of an epoch; None for the instant learner, and before the first."""
        if self.training is None or not self.training.epoch:
            return None
        return self.training.seconds / self.training.epoch


def timing_in_words(results: Sequence[Measured]) -> str:
    """How the times of those compared, at least one, were taken."""
    timings = [measured.timing for measured in results]
    fewest = min(timing.runs for timing in timings)
    if not fewest:
        return "the median of three runs, each network by itself"
    most = max(timing.runs for timing in timings)
    runs = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    apart = sum(not timing.is_by_turns for timing in timings)
    turns = "by turns" if not apart else "each by itself" if apart == len(timings) else f"{apart} of them by itself"
    return f"the median of {runs} runs, each after one to warm up, {turns}"


def key_of(training_id: int) -> str:
    """The key of a network among those compared."""
    return f"training-{training_id}"


def mask_file(comparison_id: int, key: str, image_id: int) -> str:
    """Name of a mask in the comparisons folder."""
    return f"{comparison_id}/{key}-{image_id}.png"
