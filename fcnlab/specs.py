"""What a network is, how it is trained, and how far training has come: frozen values, checked when built."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Literal, Self, get_args

from fcnlab.counts import CountScore, KeptEpoch, Objective
from fcnlab.domain import MAX_CLASSES, PointSource
from fcnlab.errors import InvalidSetting
from fcnlab.validation import check_fields

DEFAULT_ENCODER = "tf_efficientnet_lite0"


class NetworkName(StrEnum):
    """The networks of the family, by the name used on every door."""

    FCN32S = "fcn32s"
    FCN16S = "fcn16s"
    FCN8S = "fcn8s"
    FCN2S = "fcn2s"
    UNET = "unet"
    DECONVNET = "deconvnet"
    SLIDING = "sliding"
    SLIDING_DENSE = "sliding-dense"
    FULLY_CONNECTED = "fully-connected"
    LARGER_HEAD = "larger-head"


Upsampling = Literal["nearest", "bilinear", "bicubic", "transposed"]
USUAL_UPSAMPLING: dict[NetworkName, Upsampling] = {NetworkName.FCN2S: "bilinear"}
"""What FCNs upsample by unless told otherwise: they learn it, but FCN-2s, which starts from a fitted head that way."""

COUNTING_NETWORK = NetworkName.FCN2S
"""What counts unless told otherwise, with transposed upsampling."""

SCRATCH = ""
"""The encoder of a network that starts from random weights."""


LEAST_CROP = 16
"""Pixels; less is hardly ever more than one thing."""


class _Plain:
    """Plain values for JSON, and back."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises InvalidSetting for a name this version does not know."""
        known = {one.name for one in fields(cls)}  # type: ignore[arg-type]
        unknown = set(values) - known
        if unknown:
            raise InvalidSetting(f"unknown {cls.__name__} setting {sorted(unknown)}; known: {sorted(known)}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class NetworkSpec(_Plain):
    """A network before it has weights.

    Attributes:
        network: which of the family.
        n_classes: number K of scores per pixel.
        encoder: timm network with features at strides 2 to 32, or SCRATCH for one without trained weights.
        encoder_weights: path of a weight file; empty means bundled or hub weights.
        upsampling: how the FCNs bring scores to the size of the picture.
        width: channels of the first layer of a network from scratch.
        input_hw: height and width a network with fully connected layers takes; other networks take any.
    """

    network: NetworkName
    n_classes: int
    encoder: str = DEFAULT_ENCODER
    encoder_weights: str = ""
    upsampling: Upsampling = "transposed"
    width: int = 32
    input_hw: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "network", NetworkName(self.network))
        except (TypeError, ValueError) as failure:
            known = ", ".join(NetworkName)
            raise InvalidSetting(f"there is no network {self.network!r}; known: {known}") from failure
        check_fields(self)
        if not 2 <= self.n_classes <= MAX_CLASSES:
            raise InvalidSetting(f"a network tells 2 to {MAX_CLASSES} classes apart, got {self.n_classes}")
        if self.upsampling not in get_args(Upsampling):
            raise InvalidSetting(f"upsampling {self.upsampling!r} is none of {', '.join(get_args(Upsampling))}")
        if not 4 <= self.width <= 512:
            raise InvalidSetting(f"width {self.width} must be between 4 and 512 channels")
        if self.input_hw is not None and (len(self.input_hw) != 2 or any(side < 32 for side in self.input_hw)):
            raise InvalidSetting(f"input_hw {self.input_hw} must be a height and a width of at least 32 pixels")


@dataclass(frozen=True, slots=True)
class TrainingSpec(_Plain):
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
        }
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidSetting(f"{name} {value} must be between {low:g} and {high:g}")
        if 0 < self.crop < LEAST_CROP:
            raise InvalidSetting(f"crop {self.crop} must be 0, for the whole picture, or at least {LEAST_CROP} pixels")
        if self.class_weight not in ("balanced", "none"):
            raise InvalidSetting(f"class_weight {self.class_weight!r} is neither 'balanced' nor 'none'")
        self.weight_by_source()

    def weight_by_source(self) -> dict[PointSource, float]:
        """Weight of a point by its source. Raises InvalidSetting for an unknown source or a negative weight."""
        weights = dict.fromkeys(PointSource, 1.0)
        for entry in self.source_weights:
            name, _, number = entry.partition("=")
            try:
                weights[PointSource(name.strip())] = float(number)
            except ValueError as failure:
                known = ", ".join(PointSource)
                raise InvalidSetting(f"source weight {entry!r} is not 'source=weight'; sources: {known}") from failure
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


EXPERT_MASK = "expert_mask"
"""Source of points that were drawn from an expert mask, at random and away from borders."""


@dataclass(frozen=True, slots=True)
class PointScore:
    """How well points that training did not see are told apart.

    Attributes:
        accuracy: share of right ones, every class counting alike.
        low, high: 95 % interval of the accuracy.
        n_points: number of points.
        per_class: share of right ones by class id.
        sources: how many of the points came from where: a PointSource, or EXPERT_MASK; {} where nobody knows.
        mean_iou: over the classes, on the expert masks of held-out images; None where there are none.
        n_masks: number of those masks.
        kept: the weights it is of; None where it was not recorded, and of weights that no epochs made.
    """

    accuracy: float
    low: float
    high: float
    n_points: int
    per_class: dict[int, float] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    mean_iou: float | None = None
    n_masks: int = 0
    kept: KeptEpoch | None = None


Score = PointScore | CountScore
"""How well a network does on what it did not learn from: points told apart, or objects counted."""


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """One epoch further.

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
