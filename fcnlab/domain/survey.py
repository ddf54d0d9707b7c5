"""Values of cover surveys: what is planned, which pixels are asked about, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self, cast, get_args

from fcnlab.errors import InvalidSurvey

Plan = Literal["random", "stratified", "grid"]
"""How pixels are drawn in an image: each on its own, one in each of as many equal parts, or on a grid with a random
start."""

PLANS: tuple[Plan, ...] = get_args(Plan)
PRIORS = {"uniform": 1.0, "jeffreys": 0.5}
"""Pseudo-counts of each class by the name of the prior."""

WHOLE = ""
"""The name of the stratum of a survey that has no strata."""

MOST_POINTS = 100_000
"""Of a survey; more than anybody answers."""

MOST_NAME_CHARS = 100
LEAST_PRIOR, MOST_PRIOR = 0.001, 1_000_000
"""Pseudo-counts of a class; beyond them floating-point numbers end."""


@dataclass(frozen=True, slots=True)
class SurveySpec:
    """What a survey asks.

    Attributes:
        name: for people.
        n_images: images to draw from each stratum, by its name (WHOLE without strata); a stratum with fewer gives all.
        n_per_image: points in each of them.
        plan: how pixels are drawn in an image.
        seed: the same images and pixels come from the same seed.
        prior: of the posterior: "uniform", "jeffreys", or pseudo-counts for each class, LEAST_PRIOR to MOST_PRIOR.
        level: how often intervals hold the truth.

    Raises:
        InvalidSurvey: a number is out of range, or the name is empty.
    """

    name: str
    n_images: Mapping[str, int]
    n_per_image: int = 10
    plan: Plan = "random"
    seed: int = 0
    prior: str | float = "jeffreys"
    level: float = 0.9

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name) > MOST_NAME_CHARS:
            raise InvalidSurvey(f"a survey has a name of 1 to {MOST_NAME_CHARS} characters")
        if self.plan not in PLANS:
            raise InvalidSurvey(f"there is no plan {self.plan!r}: take {', '.join(PLANS)}")
        if not self.n_images or min(self.n_images.values()) < 0 or sum(self.n_images.values()) < 1:
            raise InvalidSurvey("a survey asks about at least one image: say how many of each stratum")
        if self.n_per_image < 1:
            raise InvalidSurvey(f"{self.n_per_image} points in an image are too few: ask about at least one")
        if sum(self.n_images.values()) * self.n_per_image > MOST_POINTS:
            raise InvalidSurvey(f"a survey asks about at most {MOST_POINTS:,} points: take fewer images or points")
        if not 0.5 <= self.level < 1:
            raise InvalidSurvey(f"intervals that hold the truth in {self.level:.0%} of cases: take 50 % to 99 %")
        if isinstance(self.prior, str) and self.prior not in PRIORS:
            raise InvalidSurvey(f"there is no prior {self.prior!r}: take uniform, jeffreys, or a number above 0")
        if not isinstance(self.prior, str) and not LEAST_PRIOR <= self.prior <= MOST_PRIOR:
            raise InvalidSurvey(f"the pseudo-counts of a prior are {LEAST_PRIOR} to {MOST_PRIOR:,}, not {self.prior:g}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {
            "name": self.name,
            "n_images": dict(self.n_images),
            "n_per_image": self.n_per_image,
            "plan": self.plan,
            "seed": self.seed,
            "prior": self.prior,
            "level": self.level,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The spec of plain values. Raises InvalidSurvey as the class."""
        plan = cast(Plan, values["plan"])
        return cls(**{**values, "plan": plan, "n_images": dict(values["n_images"])})


@dataclass(frozen=True, slots=True)
class PredictedBy:
    """What predicted the masks of all images of a survey, and when."""

    model: str
    revision: int
    at: str


@dataclass(frozen=True, slots=True)
class Survey:
    """A survey of a project.

    Attributes:
        closed_at: since then it takes no answers.
        taught_at: since then its answers are points of the project as well.
        n_points, n_answered, n_unknown: points, those with an answer, and those of them that are "don't know".
        predicted_by: None until masks of all its images were predicted.
    """

    id: int
    project_id: int
    spec: SurveySpec
    labeller: str
    created_at: datetime
    closed_at: datetime | None
    taught_at: datetime | None
    n_points: int
    n_answered: int
    n_unknown: int
    predicted_by: PredictedBy | None = None

    @property
    def is_open(self) -> bool:
        """Whether it takes answers."""
        return self.closed_at is None


@dataclass(frozen=True, slots=True)
class SurveyImage:
    """An image of the population of a survey; `shares` of each class id in its predicted mask, None before."""

    image_id: int
    name: str
    hw: tuple[int, int]
    stratum: str
    shares: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True)
class SurveyPoint:
    """A pixel that a survey asks about, in the order of asking.

    Attributes:
        row, col: of the upright image at full size.
        class_id: what was answered; None without an answer, and for "don't know".
        is_unknown: the answer is "don't know".
        predicted: the class predicted there, None before.
    """

    id: int
    image_id: int
    row: int
    col: int
    class_id: int | None = None
    is_unknown: bool = False
    labeller: str = ""
    answered_at: datetime | None = None
    predicted: int | None = None

    @property
    def is_answered(self) -> bool:
        """Whether anybody answered, be it "don't know"."""
        return self.is_unknown or self.class_id is not None


@dataclass(frozen=True, slots=True)
class SurveyAnswer:
    """An answer on its way in: a class, or "don't know"; neither takes back what was answered."""

    point_id: int
    class_id: int | None = None
    is_unknown: bool = False
