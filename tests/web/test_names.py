"""Names and messages are shown as they are: on no page is what somebody typed read as Markdown."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from fcnlab.web.session import escape_markdown
from tests.support.paths import ROOT

SCRIPTS = sorted([*(ROOT / "fcnlab" / "web").rglob("*.py"), *(ROOT / "pages").glob("*.py")])

READS_MARKDOWN = {
    *("markdown", "write", "caption", "header", "subheader", "title", "badge", "error", "warning", "info", "success"),
    *("toast", "metric", "image", "progress", "spinner", "status", "expander", "popover", "tabs", "dialog"),
    *("button", "download_button", "link_button", "page_link", "form_submit_button", "checkbox", "toggle", "radio"),
    *("pills", "segmented_control", "feedback", "selectbox", "multiselect", "slider", "select_slider", "text_input"),
    *("number_input", "text_area", "color_picker", "file_uploader", "date_input", "camera_input", "chat_input"),
}
"""Calls of Streamlit whose texts are Markdown: label, caption, help, options of radio and pills."""

UNREAD_ARGUMENTS = {"key", "format_func", "value", "placeholder", "icon", "url", "type", "page", "query_params", "alt"}
LABELLED = {
    *("selectbox", "multiselect", "select_slider", "text_input", "text_area", "number_input", "color_picker", "slider"),
    *("link_button", "page_link", "download_button"),
}
"""Only their label is Markdown: options are text, and what follows is a value or an address."""

TYPED = {
    "name",
    "labeller",
    "message",
    "reason",
    "source",
    "failure",
    "refusal",
    "file",
    "names",
    "refused",
    "path",
    "label",
}
"""What a variable or attribute is called that holds what somebody typed, or a failure that repeats it."""

PASSES_ON = {"str", "join", "format", "sorted", "strip", "replace", "repr", "upper", "lower", "title"}
"""Functions whose result holds what they were given."""


def texts(call: ast.Call) -> Iterator[ast.expr]:
    """The arguments of a call that Streamlit reads as Markdown."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    yield from call.args[:1] if name in LABELLED else call.args
    yield from (word.value for word in call.keywords if word.arg not in UNREAD_ARGUMENTS)


def typed_parts(node: ast.expr) -> Iterator[str]:
    """What of a text was typed by somebody and is not escaped."""
    if isinstance(node, ast.Call):
        called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if called not in PASSES_ON:
            return  # what another function says is looked at there
    if isinstance(node, ast.Attribute | ast.Name):
        word = node.attr if isinstance(node, ast.Attribute) else node.id
        if word in TYPED:
            yield ast.unparse(node)
        return
    if isinstance(node, ast.IfExp):
        yield from typed_parts(node.body)
        yield from typed_parts(node.orelse)
        return
    if isinstance(node, ast.Compare | ast.Lambda | ast.Subscript):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from typed_parts(child)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_somebody_typed_is_escaped_before_streamlit_reads_it(script: Path) -> None:
    tree = ast.parse(script.read_text(encoding="utf-8"))

    unsafe = [
        f"{script.name}:{call.lineno}: escape_markdown({part})"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in READS_MARKDOWN
        for text in texts(call)
        for part in typed_parts(text)
    ]

    assert unsafe == []


@pytest.mark.parametrize(
    "name",
    [
        "![p](http://host/x)",
        "[log in](http://x)",
        "www.example.org",
        "a_b",
        "$x$",
        ":red[x]",
        "<b>",
        "`x`",
        "1. a",
        "&lt;",
    ],
)
def test_a_plain_name_has_no_mark_left(name: str) -> None:
    shown = escape_markdown(name)

    assert shown.replace("\\", "") == name.replace("\\", "")
    assert not any(mark in shown.replace("\\" + mark, "") for mark in "![]()*_`$:<>&.#~|")
