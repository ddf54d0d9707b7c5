"""Images of a project, how pictures are made of their channels, how large pixels are, and the masks they have."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fcnlab.errors import InvalidSetting


class ImageState(StrEnum):
    """How far an image has come."""

    NEW = "new"
    IN_PROGRESS = "in_progress"
    DONE = "done"


def picture_name(content_hash: str, imaging: Imaging | None) -> str:
    """The picture id of an original that was imaged so; see ImageInfo."""
    return content_hash if imaging is None else f"{content_hash}-{imaging.digest}"


@dataclass(frozen=True, slots=True)
class ImageInfo:
    """An image of a project. `height, width` are of the upright full-size picture, `imaging` as in Recipe;
    `is_complete`: all its objects are marked, so that its points are its count."""

    id: int
    project_id: int
    name: str
    content_hash: str
    height: int
    width: int
    dtype: str
    channels: int
    turned: bool
    stretch: Stretch | None
    state: ImageState
    n_points: int
    mask_model: str | None = None
    imaging: Imaging | None = None
    pixel_size: PixelSize | None = None
    is_complete: bool = False

    @property
    def recipe(self) -> Recipe:
        """How its picture was made from its original."""
        return Recipe(self.stretch, self.imaging)

    @property
    def picture_id(self) -> str:
        """Names its picture: another original, or the same one imaged otherwise, has another. A file name."""
        return picture_name(self.content_hash, self.imaging)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class ImagePlace:
    """Where an image stands among the images of its project, in import order; `position` starts at 1."""

    position: int
    count: int
    previous_id: int | None
    next_id: int | None


@dataclass(frozen=True, slots=True)
class StoredMask:
    """The mask a done image keeps: its file in the masks folder, what made it, from which points, when."""

    file: str
    model: str
    point_set_hash: str
    created_at: datetime


MAX_CHANNELS = 10_000
"""Channel numbers run from 1 to this."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The grey values that became 0 and 255 when an image was made 8-bit (None: it was 8-bit already)."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Imaging:
    """Which channels of a file are shown, and between which values.

    Attributes:
        channels: numbers, from 1, of those that become red, green and blue, or of one that becomes grey; empty: as they
            come, which is the first three, or the first where there are fewer.
        limits: the values that become 0 and 255, one for all channels or one for each; None measures them; empty: as
            they come, which is 8-bit colour unchanged and everything else measured.
    """

    channels: tuple[int, ...] = ()
    limits: tuple[Stretch | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.channels) not in (0, 1, 3):
            raise InvalidSetting(f"channels {self.channels} must be three for red, green and blue, or one for grey")
        if any(not 1 <= channel <= MAX_CHANNELS for channel in self.channels):
            raise InvalidSetting(f"channels {self.channels} must be numbers from 1 on")
        if len(self.limits) not in (0, 1, len(self.channels) or 3):
            raise InvalidSetting(f"{len(self.limits)} limits do not fit; give one for all channels, or one for each")
        for limit in self.limits:
            if limit is not None and not (
                math.isfinite(limit.low) and math.isfinite(limit.high) and limit.low < limit.high
            ):
                raise InvalidSetting(f"limits {limit.low:g}:{limit.high:g} must be two numbers, the smaller one first")

    @property
    def is_default(self) -> bool:
        """Whether images are taken as they come."""
        return not self.channels and not self.limits

    @property
    def digest(self) -> str:
        """Twelve hex digits that name these settings; files and caches are called by them."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:12]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        limits = [None if limit is None else [float(limit.low), float(limit.high)] for limit in self.limits]
        return {"channels": list(self.channels), "limits": limits}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Imaging:
        """Raises InvalidSetting: the values make no sense together."""
        limits = (None if limit is None else Stretch(*limit) for limit in values.get("limits", ()))
        return cls(tuple(values.get("channels", ())), tuple(limits))


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the picture of one image was made, so that it can be made again.

    Attributes:
        stretch: of all channels alike, of an image taken as it came; None: it was 8-bit colour, or `imaging` says it.
        imaging: with all channels chosen and all limits measured; None: the image was taken as it came. Limits are
            empty where 8-bit colours stayed.
    """

    stretch: Stretch | None = None
    imaging: Imaging | None = None


METRES = {"nm": 1e-9, "µm": 1e-6, "mm": 1e-3, "cm": 1e-2, "in": 0.0254, "ft": 0.3048, "m": 1.0, "km": 1e3}
"""Metres to a unit of length."""


@dataclass(frozen=True, slots=True)
class PixelSize:
    """The size of a pixel of the upright image in the world, such as 0.65 x 0.65 µm."""

    width: float
    height: float
    unit: str

    def __post_init__(self) -> None:
        if not all(math.isfinite(side) and side > 0 for side in (self.width, self.height)):
            raise InvalidSetting(f"a pixel of {self.width} x {self.height} {self.unit} must have a size above 0")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; `from_dict` is the inverse."""
        return {"width": self.width, "height": self.height, "unit": self.unit}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PixelSize:
        """Raises InvalidSetting: a size is not above 0."""
        return cls(float(values["width"]), float(values["height"]), str(values["unit"]))

    @property
    def area_m2(self) -> float | None:
        """Square metres of a pixel; None where its unit is no length, such as degrees."""
        metres = METRES.get(self.unit)
        return None if metres is None else self.width * self.height * metres**2

    def turned(self) -> PixelSize:
        """Of the image on its side."""
        return PixelSize(self.height, self.width, self.unit)


@dataclass(frozen=True, slots=True)
class ExpertMask:
    """A mask that came from outside: its file in the masks folder, empty when there are points alone.

    `n_known` counts its labelled pixels, `n_points` the training points it gave. `digest` says what was imported.
    """

    id: int
    project_id: int
    image_id: int
    file: str
    source: str
    digest: str
    labeller: str
    weight: float
    n_known: int
    n_points: int
    created_at: datetime
