"""What a format of tags is written from, and what it declares of itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import TagAnswer


@dataclass(frozen=True, slots=True)
class WrittenTags:
    """An image with its tags.

    Attributes:
        name, hw: of the image; height and width at full size.
        answers: by class id; a class that is not here is unknown.
        probabilities: of the classes that can be predicted, by class id.
    """

    name: str
    hw: tuple[int, int]
    answers: Mapping[int, TagAnswer]
    probabilities: Mapping[int, float] = field(default_factory=dict)

    def with_answer(self, answer: TagAnswer) -> list[int]:
        """Ids of the classes with an answer."""
        return [class_id for class_id, given in self.answers.items() if given is answer]


@dataclass(frozen=True, slots=True)
class TagSubject:
    """What is written: the classes in their order, and images.

    Attributes:
        title: of the project.
        has_probabilities: whether they are wanted.
    """

    title: str
    classes: tuple[ClassLabel, ...]
    images: tuple[WrittenTags, ...]
    has_probabilities: bool = False


@dataclass(frozen=True, slots=True)
class TagFormat:
    """A format of tags. Its module lists it in TAG_FORMATS, by which `registry` finds it.

    Attributes:
        name: on the command line and in REST.
        title, description: for people.
        order: its place in lists.
        write: the files, bytes by their names below the target.
        suffix: of a format that is a single file; empty for one that is a folder.
        says_unknown: whether it tells "no" from "unknown"; else only images all tags of which are known are written.
    """

    name: str
    title: str
    description: str
    order: int
    write: Callable[[TagSubject], dict[str, bytes]]
    suffix: str = ""
    says_unknown: bool = True
