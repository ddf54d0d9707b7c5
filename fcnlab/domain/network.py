"""What a network is: its name in the family, its encoder, its upsampling. Frozen values, checked when built."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Literal, Self, get_args

from fcnlab.domain.project import MAX_CLASSES
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

Order = Literal["none", "cumulative", "corn"]
"""How a network uses the order of grades: not at all (softmax); by cumulative logits with one slope, the proportional
odds of McCullagh 1980 (doi:10.1111/j.2517-6161.1980.tb01109.x); by conditional ordinal regression, CORN (Shi, Cao,
Raschka 2021, arXiv:2111.08851)."""

ORDERS_IN_WORDS: dict[Order, str] = {
    "cumulative": "cumulative logits",
    "corn": "CORN",
    "none": "no order",
}
"""What people read for each."""

USUAL_ORDER: Order = "cumulative"
"""How it is used unless told otherwise, where there are grades."""

USUAL_UPSAMPLING: dict[NetworkName, Upsampling] = {NetworkName.FCN2S: "bilinear"}
"""What FCNs upsample by unless told otherwise: they learn it, but FCN-2s, which starts from a fitted head that way."""

COUNTING_NETWORK = NetworkName.FCN2S
"""What counts unless told otherwise, with transposed upsampling."""

SCRATCH = ""
"""The encoder of a network that starts from random weights."""


class JsonSpec:
    """A spec that becomes plain values for JSON, and comes back."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Raises InvalidSetting for a name this version does not know."""
        valid = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        unknown = set(values) - valid
        if unknown:
            raise InvalidSetting(f"unknown {cls.__name__} setting {sorted(unknown)}; known: {sorted(valid)}")
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def without_defaults(values: dict[str, Any], **defaults: object) -> dict[str, Any]:
    """Plain values less those of these names that are the default: earlier versions do not know them."""
    return {name: value for name, value in values.items() if name not in defaults or value != defaults[name]}


@dataclass(frozen=True, slots=True)
class NetworkSpec(JsonSpec):
    """A network before it has weights.

    Attributes:
        network: which of the family.
        n_classes: number K of scores per pixel.
        encoder: timm network with features at strides 2 to 32, or SCRATCH for one without trained weights.
        encoder_weights: path of a weight file; empty means bundled or hub weights.
        upsampling: how the FCNs bring scores to the size of the picture.
        width: channels of the first layer of a network from scratch.
        input_hw: height and width a network with fully connected layers takes; other networks take any.
        order: how the order of grades is used; None is USUAL_ORDER where there are grades.
        grades: places among the scores that are grades, the lowest first; set when training begins, see
            `ordinal.with_order`. Empty: the scores are those of the last convolution.
    """

    network: NetworkName
    n_classes: int
    encoder: str = DEFAULT_ENCODER
    encoder_weights: str = ""
    upsampling: Upsampling = "transposed"
    width: int = 32
    input_hw: tuple[int, ...] | None = None
    order: Order | None = None
    grades: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "network", NetworkName(self.network))
        except (TypeError, ValueError) as failure:
            names = ", ".join(NetworkName)
            raise InvalidSetting(f"there is no network {self.network!r}; known: {names}") from failure
        check_fields(self)
        if not 2 <= self.n_classes <= MAX_CLASSES:
            raise InvalidSetting(f"a network tells 2 to {MAX_CLASSES} classes apart, got {self.n_classes}")
        if self.upsampling not in get_args(Upsampling):
            raise InvalidSetting(f"upsampling {self.upsampling!r} is none of {', '.join(get_args(Upsampling))}")
        if not 4 <= self.width <= 512:
            raise InvalidSetting(f"width {self.width} must be between 4 and 512 channels")
        if self.input_hw is not None and (len(self.input_hw) != 2 or any(side < 32 for side in self.input_hw)):
            raise InvalidSetting(f"input_hw {self.input_hw} must be a height and a width of at least 32 pixels")
        if self.order is not None and self.order not in get_args(Order):
            raise InvalidSetting(f"order {self.order!r} is none of {', '.join(get_args(Order))}")
        if not self.grades:
            return
        if len(set(self.grades)) != len(self.grades) or len(self.grades) < 2:
            raise InvalidSetting(f"grades {self.grades} must name at least two places, and each once")
        if any(not 0 <= place < self.n_classes for place in self.grades):
            raise InvalidSetting(f"grades {self.grades} must be places among {self.n_classes} scores, from 0 on")
        if self.order in (None, "none"):
            raise InvalidSetting("a network with grades must say how it uses their order: 'cumulative' or 'corn'")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse. Without grades it is what earlier versions read."""
        return without_defaults(JsonSpec.to_dict(self), order=None, grades=[])
