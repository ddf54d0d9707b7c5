"""Help for a page, taken from the manuals: which sections a page has, and how their text is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.errors import FcnlabError
from fcnlab.webapp_files import manual

HEADING = re.compile(r"^(#{1,6}) (.+)$")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
PICTURE = re.compile(r"!\[[^\]]*\]\([^)\s]*\)")
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|``[^`]*``|`[^`]*`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a manual, by its heading: the text down to the next heading, and its parts."""

    manual: str
    heading: str


@dataclass(frozen=True, slots=True)
class PageHelp:
    """What a page explains of itself: a section that is read at once, and others for those who want to know more."""

    lead: Section
    more: tuple[Section, ...]


def _help(name: str, lead: str, *more: str) -> PageHelp:
    return PageHelp(Section(name, lead), tuple(Section(name, heading) for heading in more))


PAGES = {
    "projects": _help(
        "images-and-formats.md", "Projects", "Images", "Labels from other tools", "Points from masks", "Matching"
    ),
    "label": _help(
        "label.md",
        "In short",
        "Clicks and keys",
        "Suggest pixels",
        "Brush and eraser",
        "Background",
        "The first click",
        "Learner settings",
        "Images of any size",
        "Limits of the instant learner",
    ),
    "scribble": _help("label.md", "Scribble", "What a drawing becomes"),
    "train": _help("train-and-compare.md", "Train", "How a training goes", "What the accuracy says"),
    "models": _help("train-and-compare.md", "Models", "Versions in detail"),
    "compare": _help("train-and-compare.md", "Compare", "What is measured", "What the accuracy says"),
    "survey": _help(
        "surveys.md", "In short", "Plan a survey", "Answer by keys", "Read the report", "How many more", "Files"
    ),
    "tags": _help(
        "tags.md",
        "In short",
        "The Tags page",
        "Where a tag comes from",
        "Suggestions",
        "Choose images by tags",
        "Files",
    ),
    "count": _help("counting.md", "The Count page", "How good the counter is", "Files", "All marked"),
    "export": _help("images-and-formats.md", "Export", "Formats", "Polygons, Cityscapes, Label Studio"),
}
"""By the name of the page in its address."""

WHERE_OBJECTS_ARE_COUNTED = {
    "label": _help("counting.md", "In short", "Clicks and keys", "All marked"),
    "train": _help("train-and-compare.md", "Train", "Networks that count", "How a training goes"),
}
"""Pages that are used otherwise in a project that counts."""


def help_of(page: str, *, is_counting: bool) -> PageHelp:
    """The help for a page, in a project that makes masks or counts. Raises KeyError: there is no such page."""
    return (WHERE_OBJECTS_ARE_COUNTED if is_counting and page in WHERE_OBJECTS_ARE_COUNTED else PAGES)[page]


def lead_of(section: Section) -> str:
    """The text below a heading, as Streamlit's Markdown, down to the next heading of any level.

    Raises:
        FcnlabError: the manual, or the heading in it, is missing.
    """
    return as_shown("\n".join(_lines(section, with_parts=False)))


def whole_of(section: Section) -> str:
    """The text below a heading with its parts, whose headings become bold lines. Raises FcnlabError as `lead_of`."""
    return as_shown("\n".join(_lines(section, with_parts=True)))


def _lines(section: Section, *, with_parts: bool) -> Iterator[str]:
    """The lines below the heading, up to the next one that ends the section."""
    level, is_code = 0, False
    for line in manual(f"docs/{section.manual}").splitlines():
        is_code ^= line.startswith("```")
        heading = None if is_code else HEADING.match(line)
        if level and heading and (not with_parts or len(heading[1]) <= level):
            return
        if level:
            yield f"**{heading[2]}**" if heading else line
        elif heading and heading[2] == section.heading:
            level = len(heading[1])
    if not level:
        raise FcnlabError(f"docs/{section.manual} has no section {section.heading!r}: install fcnlab again")


def whole_text(name: str) -> str:
    """A text such as `THIRD_PARTY.md` without its title, headings as bold lines. Raises FcnlabError: it is missing."""
    lines = manual(name).splitlines()
    headings = map(HEADING.match, lines)
    shown = [f"**{heading[2]}**" if heading else line for line, heading in zip(lines, headings, strict=True)]
    return as_shown("\n".join(shown[1:]))


def as_shown(text: str) -> str:
    """Markdown of a manual as pages show it: comments and pictures are left out, links to other files are plain text,
    and what Streamlit alone would read as a mark is text, but in code."""
    text = PICTURE.sub("", COMMENT.sub("", text))
    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [_prose(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _prose(text[end:])]).strip()


def _prose(text: str) -> str:
    text = LINK.sub(lambda link: link[0] if "://" in link[2] else link[1], text)
    return re.sub(r"(?<!\\)\$|:(?=[a-z_/+-]+[:\[])", r"\\\g<0>", text)
