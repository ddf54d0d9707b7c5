"""What is painted by hand: frozen values, checked when built.

Pixels are those of the upright image at full size, as everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fcnlab.domain import MAX_CLASSES
from fcnlab.errors import ClickOutsideImage, InvalidEvent

MAX_RUNS = 100_000
"""A stroke of more runs is refused: one over a whole large image, drawn back and forth, has some ten thousand."""

MAX_SIDE = 2**31 - 1
"""The largest row or column all databases hold."""


@dataclass(frozen=True, slots=True)
class Stroke:
    """Pixels that have a class because somebody painted them.

    Attributes:
        class_id: the class; None is the eraser: these pixels are what is predicted, again.
        top, left, height, width: the box of the stroke.
        runs: lengths of pixels outside and inside the stroke by turns, row by row in the box, outside first. Only the
            first may be 0.
    """

    class_id: int | None
    top: int
    left: int
    height: int
    width: int
    runs: tuple[int, ...]

    def __post_init__(self) -> None:
        numbers = (self.top, self.left, self.height, self.width, *self.runs)
        if not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers):
            raise InvalidEvent("a stroke has a box and runs that are no whole numbers")
        if self.class_id is not None and not 0 <= self.class_id < MAX_CLASSES:
            raise InvalidEvent(f"class id {self.class_id} of a stroke is outside 0..{MAX_CLASSES - 1}")
        if len(self.runs) > MAX_RUNS:
            raise InvalidEvent(f"a stroke has {len(self.runs)} runs; at most {MAX_RUNS} fit: paint it in parts")
        if min(self.top, self.left) < 0 or min(self.height, self.width) < 1 or max(numbers[:4]) > MAX_SIDE:
            raise InvalidEvent(
                f"the box of a stroke has {self.height} rows and {self.width} columns at {self.top}, {self.left}; "
                "wanted some pixels of the image"
            )
        if len(self.runs) < 2 or self.runs[0] < 0 or min(self.runs[1:]) < 1:
            raise InvalidEvent("the runs of a stroke are lengths: 1 or more pixels each, but for the first")
        if sum(self.runs) != self.height * self.width:
            raise InvalidEvent(
                f"the runs of a stroke sum to {sum(self.runs)} pixels; its box has {self.height * self.width}"
            )

    def check_inside(self, image_hw: tuple[int, int]) -> None:
        """Raises ClickOutsideImage when the box leaves an image of that height and width."""
        height, width = image_hw
        if self.top + self.height > height or self.left + self.width > width:
            raise ClickOutsideImage(
                f"the stroke reaches row {self.top + self.height - 1}, column {self.left + self.width - 1}; the image "
                f"has {height} rows and {width} columns"
            )


@dataclass(frozen=True, slots=True)
class StoredStroke:
    """A stroke as the database knows it: `id` rises with every stroke, `uid` names the event that made it.

    `after_point`: points of the image with a higher number came later.
    """

    id: int
    uid: str
    stroke: Stroke
    labeller: str
    created_at: datetime
    after_point: int = 0
