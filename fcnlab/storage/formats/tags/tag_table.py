"""Tags as a table: a line for each image, a column for each class, with yes, no or nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from fcnlab.domain.tags import TagAnswer
from fcnlab.errors import InvalidTag
from fcnlab.storage.formats.tables.table import TableLine, csv_lines, read_lines, text_of_cell
from fcnlab.storage.formats.tags.tag_format import TagFormat, TagSubject

IMAGE = "image"
LIKE_NAMES = re.compile(rf"{IMAGE}( \(class\))*")
LIKE_PROBABILITIES = re.compile(r"(class )*p\(.*\)", re.DOTALL)
"""Names of classes that `column_of` adds to; what it makes of them is one of these too, so that it stays unique."""

DIGITS = 4
"""Of a probability behind the point."""

WORDS = {
    **dict.fromkeys(("yes", "1", "1.0", "true"), TagAnswer.YES),
    **dict.fromkeys(("no", "0", "0.0", "false"), TagAnswer.NO),
}
"""What a cell may hold, in small letters; an empty one says nothing."""


def column_of(name: str) -> str:
    """The heading of a class, which no other class has, whatever the classes are called: of one that is called like
    the column of names, like a column of probabilities, or like such a heading, it is another than its name."""
    if LIKE_NAMES.fullmatch(name):
        return f"{name} (class)"
    return f"class {name}" if LIKE_PROBABILITIES.fullmatch(name) else name


def probability_column_of(name: str) -> str:
    """The heading of the probabilities of a class."""
    return f"p({name})"


def tags_csv(subject: TagSubject) -> dict[str, bytes]:
    """UTF-8 bytes of the table with a header, as tags.csv."""
    header = [IMAGE, *(column_of(label.name) for label in subject.classes)]
    if subject.has_probabilities:
        header += [probability_column_of(label.name) for label in subject.classes]
    return {"tags.csv": csv_lines([header, *_rows(subject)])}


def _rows(subject: TagSubject) -> Iterator[list[object]]:
    class_ids = [label.id for label in subject.classes]
    for image in subject.images:
        answers = (image.answers.get(class_id) for class_id in class_ids)
        row: list[object] = [image.name, *("" if answer is None else answer.value for answer in answers)]
        if subject.has_probabilities:
            values = (image.probabilities.get(class_id) for class_id in class_ids)
            row += ["" if probability is None else round(probability, DIGITS) for probability in values]
        yield row


def read_tags_csv(path: Path) -> tuple[tuple[str, ...], tuple[TableLine, ...]]:
    """The headings of all columns but that of the names of images, and the lines.

    Raises:
        InvalidTag: the file cannot be read, has no lines, or no column of names.
    """
    headings: list[str] = []

    def check(header: list[str]) -> None:
        if IMAGE not in header:
            raise InvalidTag(f"the header lacks the column {IMAGE!r}; wanted {IMAGE},CLASS,CLASS,...")
        headings.extend(name for name in header if name != IMAGE)

    lines = read_lines(path, check_header=check, error=InvalidTag)
    if not lines:
        raise InvalidTag(f"{path} names no image: a line for each follows the header")
    return tuple(headings), lines


def class_heading(heading: str, names: Sequence[str]) -> str | None:
    """The name of the class that a heading means; None for a column of probabilities of one.

    Raises:
        InvalidTag: it means no class.
    """
    text = text_of_cell(heading)
    headings = {column_of(name): name for name in names}
    if text in headings:
        return headings[text]
    if any(text == probability_column_of(name) for name in names):
        return None
    alike = [name for written, name in headings.items() if written.casefold() == text.casefold()]
    if len(alike) != 1:
        raise InvalidTag(f"no class is called {text!r}; the headings of the classes are {', '.join(headings)}")
    return alike[0]


TAG_FORMATS = (
    TagFormat(
        "csv",
        "Table (CSV)",
        "A line for each image, a column for each class: yes, no, or nothing where it is unknown.",
        0,
        tags_csv,
        suffix=".csv",
    ),
)
