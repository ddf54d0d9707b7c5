"""A project: its classes, its settings, what is unlabelled. Frozen, checked when built, free of any library."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from fcnlab.domain.counting import Task
from fcnlab.domain.images import Imaging
from fcnlab.errors import InvalidClasses, InvalidName, InvalidSetting
from fcnlab.validation import check_fields, clean_name

IGNORE = 255
"""Nobody said what this pixel is. Never a class id."""

MAX_CLASSES = 255
"""Class ids run from 0 to 254, so that a mask of class ids fits uint8 beside IGNORE."""

DEFAULT_PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#D55E00",
    "#F0E442",
    "#8C6BB1",
    "#666666",
)
"""Colours that stay apart for colour-blind readers (after Okabe and Ito 2008); `palette.class_colours` goes on."""

BACKGROUND_NAMES = frozenset({"background", "bg", "unlabelled", "unlabeled", "nothing", "none", "rest"})
"""What a class is called that is taken for the background unless somebody says otherwise; case does not matter."""


@dataclass(frozen=True, slots=True)
class ClassLabel:
    """A class of a project. `id` is never reused, `order` is its place in the class bar."""

    id: int
    name: str
    colour: str
    order: int

    def __post_init__(self) -> None:
        if not 0 <= self.id < MAX_CLASSES:
            raise InvalidClasses(f"class id {self.id} is outside 0..{MAX_CLASSES - 1}")
        if not self.name.strip():
            raise InvalidClasses("a class needs a name: type at least one letter")
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.colour):
            raise InvalidClasses(f"colour {self.colour!r} of class {self.name!r} is not of the form #rrggbb")


def checked_classes(classes: object) -> tuple[str, ...]:
    """Names of classes in the order of their ids. Raises InvalidClasses."""
    if hasattr(classes, "tolist"):
        classes = classes.tolist()
    if not isinstance(classes, Sequence) or isinstance(classes, (str, bytes)):
        kind = type(classes).__name__
        raise InvalidClasses(f"classes must be a list of names in the order of their ids, not a {kind}")
    if not classes:
        raise InvalidClasses("no class: give at least two names")
    if len(classes) > MAX_CLASSES:
        raise InvalidClasses(f"{len(classes)} classes: a mask of 8 bits holds at most {MAX_CLASSES}")
    try:
        cleaned = [clean_name(name, what=f"the name of class {index}") for index, name in enumerate(classes)]
    except InvalidName as refusal:
        raise InvalidClasses(str(refusal)) from refusal
    broken = [name for name in classes if len(name.splitlines()) > 1]
    if broken:
        raise InvalidClasses(f"the class {broken[0]!r} has a line break in its name")
    doubled = sorted({name for name in cleaned if cleaned.count(name) > 1})
    if doubled:
        raise InvalidClasses(f"the class {doubled[0]!r} is named twice")
    return tuple(classes)


@dataclass(frozen=True, slots=True)
class LearnerSpec:
    """Everything that decides what the instant learner does with a set of points.

    Attributes:
        encoder: name of a timm network with features at strides 2 to 32.
        encoder_weights: path of a weight file; empty means bundled or hub weights.
        scales: image scales at which the encoder runs.
        working_side: longer side, in pixels, at which the learner works at most.
        object_mode: keep only regions that hold a click of their class, fill holes nobody clicked.
        refine: sharpen borders on the image (guided filter).
        class_weight: "balanced" weighs every class alike, "none" weighs every point alike.
        regularisation: strength of the L2 penalty on the head.
        position: let the head see where in the image a pixel is.
        resolution: pixels of the image, along one side, to one working pixel; see `coords.learner_hw` for the others.
        grades: ids of the classes that are grades of one thing, the lowest first; empty where no class has an order.
    """

    encoder: str = "tf_efficientnet_lite0"
    encoder_weights: str = ""
    scales: tuple[float, ...] = (1.0, 0.5)
    working_side: int = 1536
    object_mode: bool = False
    refine: bool = True
    class_weight: str = "balanced"
    regularisation: float = 1.0
    position: bool = True
    resolution: float | Literal["auto"] | None = "auto"
    grades: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.scales or any(not 0.1 <= scale <= 4 for scale in self.scales):
            raise InvalidSetting(f"scales {self.scales} must be between 0.1 and 4, and at least one")
        if len(set(self.scales)) != len(self.scales):
            raise InvalidSetting(f"scales {self.scales} name one scale twice")
        if not 64 <= self.working_side <= 8192:
            raise InvalidSetting(f"working_side {self.working_side} must be between 64 and 8192 pixels")
        if self.class_weight not in ("balanced", "none"):
            raise InvalidSetting(f"class_weight {self.class_weight!r} is neither 'balanced' nor 'none'")
        if not 0 < self.regularisation < float("inf"):
            raise InvalidSetting(f"regularisation {self.regularisation} must be a positive number")
        is_number = isinstance(self.resolution, (int, float)) and 1 <= self.resolution <= 64
        if self.resolution not in ("auto", None) and not is_number:
            raise InvalidSetting(f"resolution {self.resolution!r} must be 1 to 64 pixels, 'auto', or nothing")
        if len(self.grades) == 1 or len(set(self.grades)) != len(self.grades):
            raise InvalidSetting(f"grades {self.grades} must name at least two classes, and each once")
        if any(not 0 <= class_id < MAX_CLASSES for class_id in self.grades):
            raise InvalidSetting(f"grades {self.grades} must be class ids, 0 to {MAX_CLASSES - 1}")

    @property
    def of_pictures(self) -> LearnerSpec:
        """These settings as far as they decide what an encoder makes of images; the others are the usual ones."""
        return LearnerSpec(
            encoder=self.encoder,
            encoder_weights=self.encoder_weights,
            scales=self.scales,
            working_side=self.working_side,
            position=self.position,
            resolution=self.resolution,
        )

    def grades_of(self, class_ids: Iterable[int]) -> tuple[int, ...]:
        """Those of these classes that are grades, the lowest first; empty if fewer than two are."""
        present = set(class_ids)
        grades = tuple(class_id for class_id in self.grades if class_id in present)
        return grades if len(grades) > 1 else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse. Without grades it is what earlier versions read."""
        values = {**asdict(self), "scales": list(self.scales)}
        grades = values.pop("grades")
        return {**values, "grades": list(grades)} if grades else values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> LearnerSpec:
        """Raises InvalidSetting for a name this version does not know."""
        unknown = set(values) - set(cls.__slots__)
        if unknown:
            raise InvalidSetting(f"unknown learner setting {sorted(unknown)}; known: {sorted(cls.__slots__)}")
        defaults: dict[str, Any] = {"scales": cls().scales, "resolution": None, "grades": ()}
        merged = {**defaults, **values}
        tuples = {name: tuple(merged[name]) for name in ("scales", "grades") if isinstance(merged[name], list)}
        return cls(**merged | tuples)


@dataclass(frozen=True, slots=True)
class Project:
    """A set of images with one list of classes. `key` is the unguessable part of its image routes.

    `model_id` is the model that makes its masks or counts; None stands for the instant learner. `imaging` says how the
    pictures of its images are made. `background` is the id of the class that is no object, None where every class is a
    thing of its own. A project that counts has one, and each point of another class is one object. `demo` is the key
    of the demo that it is; empty for people's own.
    """

    id: int
    name: str
    key: str
    classes: tuple[ClassLabel, ...]
    learner: LearnerSpec = field(default_factory=LearnerSpec)
    archived: bool = False
    model_id: int | None = None
    imaging: Imaging = field(default_factory=Imaging)
    task: Task = Task.MASKS
    background: int | None = None
    demo: str = ""

    @property
    def objects(self) -> tuple[ClassLabel, ...]:
        """The classes but for the background, in the order of the class bar."""
        return tuple(label for label in self.classes if label.id != self.background)

    @property
    def background_first(self) -> tuple[ClassLabel, ...]:
        """The classes in the order that counters want: the background, if there is one, then the others."""
        return tuple(sorted(self.classes, key=lambda label: label.id != self.background))

    def class_ids(self) -> frozenset[int]:
        """Ids of the classes still in use."""
        return frozenset(label.id for label in self.classes)


def is_background_name(name: str) -> bool:
    """Whether a class is called as backgrounds are; underscores and the number of a folder around it do not matter."""
    return re.sub(r"^\d+_", "", name).strip(" _").casefold() in BACKGROUND_NAMES


def background_among(labels: Iterable[ClassLabel]) -> int | None:
    """Id of the first class that is called as backgrounds are; None when none is."""
    return next((label.id for label in labels if is_background_name(label.name)), None)
