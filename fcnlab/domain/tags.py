"""Values of tags: whether whole images contain a class, says who, and which images are chosen by that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, get_args

from fcnlab.domain.images import ImageState
from fcnlab.errors import InvalidTag


class TagAnswer(StrEnum):
    """Whether an image contains a class; that nobody said is no answer."""

    YES = "yes"
    NO = "no"


TagSource = Literal["answered", "from points", "from strokes", "from mask"]
"""Where it comes from that an image contains a class or not: somebody said so of the image, or labels in it say so.
"from points" is also said of images all objects of which are marked."""

TagChoice = Literal["yes", "no", "unknown", "predicted", "likely"]
"""What an image is chosen for: people say yes, people say no, nobody says anything; nobody says anything and the class
is predicted; people say yes or the class is predicted."""

TAG_WORDS: tuple[TagChoice, ...] = get_args(TagChoice)
LIKELY = 0.5
"""A class is predicted from this probability on."""


@dataclass(frozen=True, slots=True)
class TagChange:
    """An answer on its way in; None takes back what was answered."""

    image_id: int
    class_id: int
    answer: TagAnswer | None


@dataclass(frozen=True, slots=True)
class ImageTag:
    """An answer as it is stored, by whoever answered last."""

    image_id: int
    class_id: int
    answer: TagAnswer
    labeller: str
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class TaggableImage:
    """What tags must know of an image; cheaper than ImageInfo.

    Attributes:
        picture: another text where its picture is another one.
        is_complete: all its objects are marked.
        revision: of the tags of its project when its own, or its expert masks, changed last.
    """

    id: int
    name: str
    picture: str
    hw: tuple[int, int]
    state: ImageState
    is_complete: bool
    revision: int


@dataclass(frozen=True, slots=True)
class TagState:
    """What is said of a class in an image.

    Attributes:
        answer: what counts: what somebody answered, else what labels in the image say; None: unknown.
        source: where that comes from; None where it is unknown.
        labeller, answered_at: of what was answered; empty and None where it was not.
        labelled: what labels in the image say, whatever was answered.
        labelled_by: which labels.
    """

    answer: TagAnswer | None = None
    source: TagSource | None = None
    labeller: str = ""
    answered_at: datetime | None = None
    labelled: TagAnswer | None = None
    labelled_by: TagSource | None = None

    @property
    def is_contradicted(self) -> bool:
        """Whether labels in the image say something else than what was answered."""
        return self.answer is not None and self.labelled is not None and self.answer is not self.labelled


@dataclass(frozen=True, slots=True)
class TagFilter:
    """Which images are chosen by a tag.

    Attributes:
        class_id: whose tag it is.
        wanted: what is said of it.
        threshold: the probability from which on the class is predicted.

    Raises:
        InvalidTag: there is no such choice, or the threshold is no probability.
    """

    class_id: int
    wanted: TagChoice = "yes"
    threshold: float = LIKELY

    def __post_init__(self) -> None:
        if self.wanted not in TAG_WORDS:
            raise InvalidTag(f"images cannot be chosen by {self.wanted!r}: take {', '.join(TAG_WORDS)}")
        if not 0 <= self.threshold <= 1:
            raise InvalidTag(f"a class is predicted from a probability of 0 to 1 on, not {self.threshold:g}")

    @property
    def is_predicting(self) -> bool:
        """Whether probabilities are needed to choose by it."""
        return self.wanted in ("predicted", "likely")


@dataclass(frozen=True, slots=True)
class TagCounts:
    """Of a class: images with each answer, those that say nothing, and contradictions; `answered` are yes and no that
    somebody said of the image, whatever labels say."""

    yes: int
    no: int
    unknown: int
    answered: int
    contradicted: int

    def to_dict(self) -> Mapping[str, int]:
        """Plain values for JSON."""
        return {
            "yes": self.yes,
            "no": self.no,
            "unknown": self.unknown,
            "answered": self.answered,
            "contradicted": self.contradicted,
        }
