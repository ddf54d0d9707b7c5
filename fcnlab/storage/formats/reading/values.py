"""Label files as plain values, each checked as it is taken: what is wrong is said in one line, and nothing is run."""

from __future__ import annotations

import json
import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from xml.etree.ElementTree import Element, ParseError

from fcnlab.errors import ImportRefused

MOST_BYTES = 2_000_000_000
"""Larger label files are not read."""

SHOWN_CHARS = 60

Rest = Literal["auto", "background", "unknown"]
"""What pixels outside all shapes are. "auto": of the class of the file that is called background, else unknown."""

Strange = Literal["refuse", "unknown"]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What people say about label files where these leave it open.

    Attributes:
        rest: what pixels outside all shapes are.
        table: a file with the names of classes, by pixel value or colour; None looks for one beside the labels.
        names: class names by pixel value, for masks without a table.
        colours: class names by colour `#rrggbb`, likewise.
        strange: colours that no table knows refuse their image, or are unknown pixels.
    """

    rest: Rest = "background"
    table: Path | None = None
    names: Mapping[int, str] = field(default_factory=dict)
    colours: Mapping[str, str] = field(default_factory=dict)
    strange: Strange = "refuse"


def read_text(path: Path) -> str:
    """The text of a UTF-8 file. Raises ImportRefused: unreadable, no text, or larger than MOST_BYTES."""
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise ImportRefused(f"{path.name} has {size / 1e9:.1f} GB; label files of up to {MOST_BYTES / 1e9:.0f} GB")
        return path.read_text("utf-8-sig")
    except OSError as failure:
        raise ImportRefused(f"{path.name} cannot be read ({failure.strerror}); check that it exists") from failure
    except UnicodeDecodeError as failure:
        raise ImportRefused(f"{path.name} is no text in UTF-8; export it again") from failure


def read_json(path: Path) -> Any:
    """The plain values of a JSON file. Raises ImportRefused."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as failure:
        raise ImportRefused(
            f"{path.name} is damaged or cut off (line {failure.lineno}: {failure.msg}); export it again"
        ) from failure
    except (RecursionError, ValueError) as failure:
        raise ImportRefused(f"{path.name} is no JSON that can be read; export it again") from failure


def xml_elements(path: Path, names: frozenset[str]) -> Iterator[Element]:
    """Elements of these names, whole, one at a time; entities, and with them XML bombs, are refused.

    Raises:
        ImportRefused: unreadable, damaged or cut off.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import iterparse

    depth = 0
    try:
        with path.open("rb") as file:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=False):
                depth += (1 if event == "start" else -1) * (element.tag in names)
                if event == "end" and element.tag in names and depth == 0:
                    yield element
                if event == "end" and depth == 0:
                    element.clear()
    except OSError as failure:
        raise ImportRefused(f"{path.name} cannot be read ({failure.strerror}); check that it exists") from failure
    except ParseError as failure:
        raise ImportRefused(f"{path.name} is damaged or cut off ({failure}); export it again") from failure
    except DefusedXmlException as failure:
        raise ImportRefused(
            f"{path.name} declares entities, which label files do not need: it is not read"
        ) from failure
    except (ValueError, LookupError) as failure:
        raise ImportRefused(f"{path.name} is no XML that can be read; export it again") from failure


def mapping(value: object, what: str) -> dict[str, Any]:
    """`value`, which must be an object of names and values. Raises ImportRefused."""
    if not isinstance(value, dict):
        raise ImportRefused(f"{what} is {shown(value)}, wanted an object")
    return value


def listing(value: object, what: str) -> list[Any]:
    """`value`, which must be a list. Raises ImportRefused."""
    if not isinstance(value, list):
        raise ImportRefused(f"{what} is {shown(value)}, wanted a list")
    return value


def text(value: object, what: str) -> str:
    """`value`, which must be a text that says something. Raises ImportRefused."""
    if not isinstance(value, str) or not value.strip():
        raise ImportRefused(f"{what} is {shown(value)}, wanted a text")
    return value


def name_in(value: object) -> str:
    """The name that a value of a file stands for, without blanks around it; empty for what is none.

    Numbers and truth values are names too: writers of files forget the quotes.

    >>> [name_in(value) for value in (" cell ", 3, 1.0, True, None)]
    ['cell', '3', '1', 'true', '']
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    return value.strip() if isinstance(value, str) else ""


def id_in(value: object) -> int | str | None:
    """What an id means, whatever its type: 1, 1.0, "1" and "1.0" are one; None where there is none."""
    if value is None or isinstance(value, bool | list | dict):
        return None
    name = name_in(value)
    return int(name.partition(".")[0]) if re.fullmatch(r"-?(0|[1-9]\d{0,17})(\.0+)?", name) else name or None


def number(value: object, what: str) -> float:
    """`value` as a number that is one; texts of numbers too. Raises ImportRefused."""
    try:
        parsed = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        parsed = math.nan
    if not math.isfinite(parsed):
        raise ImportRefused(f"{what} is {shown(value)}, wanted a number")
    return parsed


def whole(value: object, what: str, *, least: int = 0) -> int:
    """`value` as a whole number of at least `least`. Raises ImportRefused."""
    parsed = number(value, what)
    if parsed != int(parsed) or parsed < least:
        raise ImportRefused(f"{what} is {shown(value)}, wanted a whole number of at least {least}")
    return int(parsed)


def claimed_hw(height: object, width: object, what: str) -> tuple[int, int] | None:
    """The size a file claims for an image; None when it names neither, or writes zeros. Raises ImportRefused."""
    if height is None and width is None:
        return None
    sides = [None if side is None or side == "" else number(side, f"the size of {what}") for side in (height, width)]
    if 0 in sides and set(sides) <= {0, None}:
        return None
    return whole(height, f"the height of {what}", least=1), whole(width, f"the width of {what}", least=1)


def shown(value: object) -> str:
    """A value from a file, for a message: short, on one line."""
    if value is None:
        return "missing"
    brief = reprlib.Repr()  # looks at the beginning alone, however much there is
    brief.maxstring = brief.maxother = brief.maxlong = SHOWN_CHARS
    words = brief.repr(value)
    return words if len(words) <= SHOWN_CHARS else words[: SHOWN_CHARS - 3] + "..."
