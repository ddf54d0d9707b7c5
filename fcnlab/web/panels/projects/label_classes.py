"""What each class of a label file becomes in the project: a select box for each."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.services.labels.label_names import ClassMatch
from fcnlab.services.labels.mask_intake import is_thing

NEW = "new"
NONE = "none"
SHOWN_ROWS = 6
"""More classes than these scroll."""

ROW_PX = 56


def draw(project: Project, classes: Sequence[ClassMatch]) -> dict[str, str] | None:
    """Ask what each class becomes; the answer is the mapping of a request that adds classes.

    Classes that the project has are chosen already, and the others become new ones unless somebody says otherwise.
    None when nothing but background would be taken.
    """
    names = {str(label.id): label.name for label in project.classes}
    words = {**names, NEW: "add as a new class", NONE: "leave out"}
    rows = list({" ".join(match.named.name.split()).casefold(): match for match in reversed(classes)}.values())[::-1]
    unknown = sum(match.label is None for match in rows)
    st.text(
        f"{unknown} of {len(rows)} classes are new to the project. Choose what each becomes."
        if unknown
        else "The project has all these classes. Choose others if they mean something else."
    )
    mapping: dict[str, str] = {}
    has_things = False
    with st.container(height=SHOWN_ROWS * ROW_PX if len(rows) > SHOWN_ROWS else "content", border=True, gap="xsmall"):
        for match in sorted(rows, key=lambda row: row.label is not None):
            choice = _row(project, match, words)
            has_things |= is_thing(match) and choice != NONE
            if match.label is None or choice != str(match.label.id):
                mapping[match.named.name] = {NEW: match.named.name, NONE: ""}.get(choice) or names.get(choice, "")
    if any(is_thing(match) for match in rows) and not has_things:
        st.warning("All classes are left out. Choose what at least one of them becomes.", icon=":material/warning:")
        return None
    return mapping


def _row(project: Project, match: ClassMatch, words: dict[str, str]) -> str:
    """The name in the file, and beside it the choice."""
    name, box = st.columns(2, vertical_alignment="center")
    name.text(match.named.name)
    chosen = NEW if match.label is None else str(match.label.id)
    options = list(words) if match.label is None else [key for key in words if key != NEW]
    return str(
        box.selectbox(
            "becomes",
            options,
            index=options.index(chosen),
            format_func=words.__getitem__,
            key=f"labels-class-{project.id}-{match.named.name}",
            label_visibility="collapsed",
        )
    )
