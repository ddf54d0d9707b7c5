"""What an export is asked to hold: values, free of any library."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fcnlab.errors import ExportFailed
from fcnlab.validation import check_fields

DEFAULT_FORMATS = ("index", "overlay", "points")
"""Names of formats; which there are, they declare themselves (fcnlab.storage.formats)."""

SPLIT_NAMES = ("train", "val", "test")

MOST_BORDER = 20
"""Widest border of Pascal VOC masks; VOC itself has 5 pixels in all."""

PICTURES = "images/"
LOCAL_FILES = f"/data/local-files/?d={PICTURES}"
"""The address at which Label Studio serves pictures from the folder of an export that it was told of."""

EMBEDDED = "embedded"
"""In place of a prefix: pictures are part of the tasks."""

SplitBy = Literal["look", "folder", "image"]
SPLIT_BY: tuple[SplitBy, ...] = ("look", "folder", "image")


@dataclass(frozen=True, slots=True)
class SplitSpec:
    """How images are split into train, val and test.

    Attributes:
        shares: of the three, summing to one; a part with the share 0 is left out.
        seed: of the draw.
        by: what stays together: images that look alike, those of one folder, or nothing.
    """

    shares: tuple[float, float, float] = (0.7, 0.2, 0.1)
    seed: int = 0
    by: SplitBy = "look"

    def __post_init__(self) -> None:
        check_fields(self, error=ExportFailed)
        if len(self.shares) != len(SPLIT_NAMES) or any(not 0 <= share <= 1 for share in self.shares):
            raise ExportFailed(f"a split wants three shares between 0 and 1, such as 0.7,0.2,0.1; got {self.shares}")
        if not math.isclose(sum(self.shares), 1.0, abs_tol=1e-6):
            raise ExportFailed(f"the shares of a split must sum to 1; {self.shares} sum to {sum(self.shares):g}")
        if self.seed < 0:
            raise ExportFailed(f"the seed of a split is 0 or more, not {self.seed}")
        if self.by not in SPLIT_BY:
            raise ExportFailed(f"a split by {self.by!r} is unknown; choose one of {', '.join(SPLIT_BY)}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parts whose share is not zero."""
        return tuple(name for name, share in zip(SPLIT_NAMES, self.shares, strict=True) if share > 0)


@dataclass(frozen=True, slots=True)
class ExportSpec:
    """What to write.

    Attributes:
        formats: names of at least one.
        done_only: leave out images that nobody marked done.
        with_points: leave out images without points.
        image_ids: leave out all other images; None: none. No file names them.
        class_ids: classes that stay; pixels of the others become background, or unlabelled where no class is the
            background. None: all.
        instances: formats of shapes get one region per connected part, not one per class.
        min_area: connected parts of fewer pixels become the same.
        fill_holes: background enclosed by a part of a class becomes of that class.
        border: so many pixels on either side of every edge are 255 in Pascal VOC masks.
        split: into train, val and test, or not at all.
        image_prefix: what the addresses of pictures in tasks of Label Studio begin with, before their names; with
            LOCAL_FILES the pictures are written beside the tasks, EMBEDDED puts them into the tasks.
    """

    formats: tuple[str, ...] = DEFAULT_FORMATS
    done_only: bool = False
    with_points: bool = False
    image_ids: tuple[int, ...] | None = None
    class_ids: tuple[int, ...] | None = None
    instances: bool = False
    min_area: int = 0
    fill_holes: bool = False
    border: int = 0
    split: SplitSpec | None = None
    image_prefix: str = LOCAL_FILES

    def __post_init__(self) -> None:
        check_fields(self, error=ExportFailed)
        if not self.formats:
            raise ExportFailed("an export needs a format: choose at least one")
        if self.class_ids is not None and not self.class_ids:
            raise ExportFailed("an export needs a class: choose at least one")
        if not 0 <= self.border <= MOST_BORDER:
            raise ExportFailed(f"a border of {self.border} pixels is outside 0..{MOST_BORDER}")
        if self.min_area < 0:
            raise ExportFailed(f"the smallest region cannot have {self.min_area} pixels: give 0 or more")

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the parts of the split; () without one."""
        return self.split.names if self.split else ()

    def kept(self, background: int | None) -> frozenset[int] | None:
        """Ids of the classes that stay, the background among them if there is one; None: all."""
        if self.class_ids is None:
            return None
        return frozenset(self.class_ids) if background is None else frozenset({background, *self.class_ids})

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; which images were chosen is said by those that are there."""
        values = {**asdict(self), "formats": sorted(self.formats)}
        del values["image_ids"]
        return values
