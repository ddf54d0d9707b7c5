"""Tags as files: exported, and imported from a table after a look at what it would change."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.errors import ExportFailed, FcnlabError, as_sentence
from fcnlab.services.tags.exporting import TagFiles, tag_files, tag_formats
from fcnlab.services.tags.importing import TagImportPlan, import_tags, plan_import
from fcnlab.services.tags.jobs import TagsAtWork
from fcnlab.web import frame, session
from fcnlab.web.session import Engine, escape_markdown

LINES_SHOWN = 50
MIMES = {".csv": "text/csv", ".json": "application/json"}


def draw(engine: Engine, project: Project, at_work: TagsAtWork) -> None:
    """Export on the left, import on the right."""
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Export", anchor=False)
        _export(project, at_work)
    with right:
        st.subheader("Import a table", anchor=False)
        _import(engine, project)


def _export(project: Project, at_work: TagsAtWork) -> None:
    formats = tag_formats()
    name: str = st.radio(
        "Format",
        list(formats),
        format_func=lambda name: formats[name].title,
        captions=[escape_markdown(each.description) for each in formats.values()],
    )
    chosen = formats[name]
    names = {label.id: label.name for label in project.classes}
    class_ids = st.multiselect(
        "Classes",
        list(names),
        format_func=names.__getitem__,
        placeholder="All classes",
        key=f"tags-classes-{project.id}",
    )
    answered_only = st.toggle("Answers only", help="Leave out what points, strokes and masks in the images say.")
    with_predictions = st.toggle(
        "With probabilities",
        disabled=name != "csv" or not at_work.suggestions.class_ids,
        help="Columns p(CLASS) of the suggestions, in a table.",
    )
    try:
        written = tag_files(
            at_work.tags,
            format_name=name,
            class_ids=class_ids or None,
            answered_only=answered_only,
            suggestions=at_work.suggestions if with_predictions and name == "csv" else None,
        )
    except ExportFailed as failure:
        st.info(escape_markdown(as_sentence(str(failure))), icon=":material/info:")
        return
    file_name, data = written.packed()
    stem = re.sub(r"[^\w-]+", "-", project.name).strip("-") or "project"
    st.download_button(
        f"Download {chosen.title}",
        data,
        f"{stem}-{file_name}",
        MIMES.get(Path(file_name).suffix, "application/zip"),
        type="primary",
        icon=":material/download:",
        on_click="ignore",
    )
    _left_out(written)


def _left_out(written: TagFiles) -> None:
    words = f"{written.n_images:,} image{'' if written.n_images == 1 else 's'}"
    if written.left_out:
        n = len(written.left_out)
        words += f"; {n:,} left out, of which some class is unknown: this format cannot say so"
    st.caption(f"{words}.")


def _import(engine: Engine, project: Project) -> None:
    n_stored = session.recall("tags_imported")
    if n_stored is not None:
        answers = "1 answer" if n_stored == 1 else f"{n_stored:,} answers"
        st.success(f"{answers} stored.", icon=":material/check:")
    st.caption("CSV with a column *image* and one for each class: yes or no, 1 or 0, or nothing. An export fits.")
    turn = session.peek("tags_import_turn", 0)
    sent = st.file_uploader("Table of tags", type=["csv"], key=f"tags-table-{project.id}-{turn}")
    if sent is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tags.csv"
        path.write_bytes(sent.getvalue())
        shown: TagImportPlan | None = session.recall("tags_import_plan")
        plan = plan_import(engine.lab, path, project_id=project.id)
        session.remember("tags_import_plan", plan)
        is_overwriting = _plan(plan)
        if is_overwriting is None:
            return
        n = len(plan.changes)
        words = f"Import {'1 answer' if n == 1 else f'{n:,} answers'}"
        is_blocked = not n or (bool(plan.contradicting) and not is_overwriting)
        key = f"tags-import-{project.id}-{turn}"  # else a click on another number of answers would be lost
        if st.button(words, type="primary", icon=":material/upload:", disabled=is_blocked, key=key):
            try:
                import_tags(
                    engine.lab,
                    path,
                    project_id=project.id,
                    labeller=session.labeller() or frame.ANONYMOUS,
                    overwrite=is_overwriting,
                    shown=shown,
                )
            except FcnlabError as failure:
                session.explained(failure)
                return
            engine.tags.changed(project.id)
            session.remember("tags_imported", n)
            session.remember("tags_import_turn", turn + 1)
            st.rerun()


def _plan(plan: TagImportPlan) -> bool | None:
    """What the table would change, and whether it may overwrite answers; None: it cannot be imported."""
    if plan.problems:
        st.error("This table cannot be imported. Nothing was stored.", icon=":material/error:")
        st.dataframe([{"Problem": problem} for problem in plan.problems[:LINES_SHOWN]], hide_index=True)
        return None
    st.markdown(
        f"**{plan.n_new:,}** new answers, **{len(plan.contradicting):,}** that differ from stored ones, "
        f"{plan.n_same:,} that are stored already, {plan.n_empty:,} empty cells. Nothing is stored yet."
    )
    is_overwriting = False
    if plan.contradicting:
        lines = [each.in_words() for each in plan.contradicting]
        with st.expander(f"Answers that differ ({len(lines):,})", expanded=True):
            st.dataframe([{"Answer": line} for line in lines[:LINES_SHOWN]], hide_index=True)
        is_overwriting = st.checkbox("Overwrite these answers with those of the table")
    if plan.against_labels:
        lines = [each.in_words() for each in plan.against_labels]
        with st.expander(f"Answers that labels in the images contradict ({len(lines):,})"):
            st.caption("They are stored, and shown as contradictions.")
            st.dataframe([{"Answer": line} for line in lines[:LINES_SHOWN]], hide_index=True)
    return is_overwriting
