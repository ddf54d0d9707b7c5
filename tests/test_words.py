"""One word for one thing in what people read: pages, messages, commands, manuals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcnlab.errors import as_sentence

ROOT = Path(__file__).parents[1]
OTHER_WORDS = re.compile(
    r"\bpictures?\b|\bheld[- ]out\b|\bworking size\b|\bquery mode\b|95 ?% interval|\bmost to gain\b|\bapart by comma",
    re.IGNORECASE,
)
"""Words that are said in another way: image, validation, input size, suggest pixels, 95 % CI ..."""

ADDRESSES = re.compile(r"https?://\S+")


def texts_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Texts of more than a word, without docstrings of functions that are no commands."""
    tree = ast.parse(path.read_text("utf-8"))
    comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and "command" in "".join(map(ast.dump, node.decorator_list)):
            comments -= {id(node.body[0].value)} if isinstance(node.body[0], ast.Expr) else set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments
        if is_text and " " in node.value.strip():
            yield node.lineno, node.value


def texts_of_scripts(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if not line.lstrip().startswith(("*", "/*", "//")):
            yield from ((number, text) for text in re.findall(r'"[^"]* [^"]*"|`[^`]* [^`]*`', line))


def texts_of_manuals(path: Path) -> Iterator[tuple[int, str]]:
    yield from enumerate(ADDRESSES.sub("", path.read_text("utf-8")).splitlines(), 1)


KINDS = {
    "pages and messages": (texts_of_python, ["fcnlab/**/*.py", "pages/*.py"]),
    "canvas": (texts_of_scripts, ["fcnlab/web/**/*.js"]),
    "manuals": (texts_of_manuals, ["README.md", "docs/*.md", "docs/tutorials/*.md"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_read_has_one_word_for_one_thing(kind: str) -> None:
    texts_of, patterns = KINDS[kind]
    texts = [
        (path.relative_to(ROOT), line, text)
        for pattern in patterns
        for path in sorted(ROOT.glob(pattern))
        for line, text in texts_of(path)
    ]

    assert len(texts) > 100
    assert not [(str(path), line, text) for path, line, text in texts if OTHER_WORDS.search(text)]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("there is no project 3", "There is no project 3"),
        ("a point lies outside", "A point lies outside"),
        ("cells.png is no image", "cells.png is no image"),
        ("crop_2 is too small", "crop_2 is too small"),
        ("'x' was deleted", "'x' was deleted"),
        ("fcnlab is at work", "fcnlab is at work"),
        ("", ""),
    ],
)
def test_a_message_that_stands_alone_begins_with_a_capital_unless_a_name_does(message: str, shown: str) -> None:
    assert as_sentence(message) == shown
