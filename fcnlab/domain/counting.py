"""Values of counting: what a project is about, how objects are told from scores, what was counted, how well."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Task(StrEnum):
    """What a project makes: MASKS of classes, or COUNTS, where each point of an object class is one object."""

    MASKS = "masks"
    COUNTS = "counts"


class Objective(StrEnum):
    """What a network is trained for.

    POINTS: the class of every pixel, by the point loss. BLOBS: one blob per object, by the four terms of LC-FCN
    (Laradji et al. 2018, arXiv:1807.09856). DENSITY: a map whose sum over any region is the number of objects in it
    (Lempitsky and Zisserman 2010, NIPS 23; fully convolutional: Xie, Noble, Zisserman 2018).
    """

    POINTS = "points"
    BLOBS = "blobs"
    DENSITY = "density"

    @property
    def task(self) -> Task:
        """What a network trained for it makes."""
        return Task.MASKS if self is Objective.POINTS else Task.COUNTS

    @property
    def is_counting(self) -> bool:
        """Whether a network trained for it counts objects."""
        return self.task is Task.COUNTS


@dataclass(frozen=True, slots=True)
class FoundObject:
    """One object that a counter found.

    Attributes:
        row, col: its centre, pixels of the upright image at full size; pixel centres are whole numbers.
        class_id: of the project.
        size: pixels of its blob, at full size.
        score: 0 to 1, how sure the counter is.
        box: top, left, height and width of its blob, on edges of pixels at full size; None where it has no blob.
        is_marked: somebody marked it by a point; its centre is there.
    """

    row: float
    col: float
    class_id: int
    size: float
    score: float
    box: tuple[float, float, float, float] | None = None
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many objects of a class an image holds.

    Attributes:
        count: what the counter says; not whole where a density was summed.
        low, high: the interval that holds the true count in 9 of 10 images, as learned on held-out images; None before
            there were any.
        marked: points of the class in the image.
        is_exact: all objects of the image are marked, so `marked` is the truth.
    """

    class_id: int
    count: float
    low: float | None = None
    high: float | None = None
    marked: int = 0
    is_exact: bool = False


GRID_SIDE = 8


@dataclass(frozen=True, slots=True)
class ImageCount:
    """What was counted in one image.

    Attributes:
        counts: one per object class.
        objects: in reading order.
        grid: how many objects lie in each of GRID_SIDE x GRID_SIDE equal parts of the image, row by row: one tuple per
            entry of `counts`, whose sum is the count.
    """

    counts: tuple[ClassCount, ...]
    objects: tuple[FoundObject, ...]
    grid: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a counter learned from held-out images, or from all images where none were held out.

    Attributes:
        spacing: usual distance of an object to its nearest neighbour, pixels at full size.
        thresholds: score by class id above which a pixel belongs to an object (BLOBS) or a peak counts (DENSITY).
        min_size: pixels at full size by class id below which a blob is no object.
        factors: by class id, what sums of a density are multiplied by.
        spread: by class id, the number s such that in 9 of 10 images the truth lies within s * sqrt(count + 1).
    """

    spacing: float
    thresholds: dict[int, float] = field(default_factory=dict)
    min_size: dict[int, float] = field(default_factory=dict)
    factors: dict[int, float] = field(default_factory=dict)
    spread: dict[int, float] = field(default_factory=dict)

    def renamed(self, new_ids: dict[int, int]) -> Calibration:
        """The same for classes of other ids; those without one are left out."""
        tables = (self.thresholds, self.min_size, self.factors, self.spread)
        return Calibration(
            self.spacing, *({new_ids[old]: value for old, value in table.items() if old in new_ids} for table in tables)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        tables = ("thresholds", "min_size", "factors", "spread")
        return {
            "spacing": self.spacing,
            **{name: [list(pair) for pair in getattr(self, name).items()] for name in tables},
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Calibration:
        """Raises KeyError, TypeError or ValueError where something is missing or no number."""
        tables = ("thresholds", "min_size", "factors", "spread")
        return cls(
            float(values["spacing"]),
            **{name: {int(key): float(value) for key, value in values[name]} for name in tables},
        )


StartWeights = Literal["random", "fitted", "model"]
"""What training begins with: random weights, a head fitted to the points, or a model of before."""


@dataclass(frozen=True, slots=True)
class KeptEpoch:
    """The weights of a training that were kept, and are what a score is of.

    Attributes:
        epoch: after which the network had them, in the count of the whole training; 0: it began with them.
        epochs: finished in all.
        network: which was trained in that epoch; the FCNs are trained coarse to fine.
        start: what training began with.
        is_better: the score is better than that of the start, which held-out data tells; True without any.
        n_compared: epochs among which the held-out data of the score chose; 0: the last one was kept.
    """

    epoch: int
    epochs: int
    network: str
    start: StartWeights = "random"
    is_better: bool = True
    n_compared: int = 0

    @property
    def is_untrained(self) -> bool:
        """Training made nothing of random weights: the figures are not those of a network that learned."""
        return self.start == "random" and not self.is_better


@dataclass(frozen=True, slots=True)
class CountScore:
    """How well objects were counted in images that training did not see and whose objects are all marked.

    Attributes:
        mae, rmse: mean absolute and root mean squared error of the count of an image, over images and classes.
        mre: mean relative error, |predicted - true| / max(true, 1).
        game: grid average mean absolute error at levels 0 to 3: the picture cut in 4^level parts, errors of the parts
            added (Guerrero-Gomez-Olmedo et al. 2015).
        precision, recall, f_score: of the objects found, matched one to one to points within a radius.
        n_images: images scored.
        n_objects: true objects in them.
        per_class: mean absolute error by class id.
        kept: the weights it is of; None where it was not recorded.
    """

    mae: float
    rmse: float
    mre: float
    game: tuple[float, float, float, float]
    precision: float
    recall: float
    f_score: float
    n_images: int
    n_objects: int
    per_class: dict[int, float] = field(default_factory=dict)
    kept: KeptEpoch | None = None
