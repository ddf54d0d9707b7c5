"""Projects as cards: what each makes, how far it is, its first images."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.lab import utc_now
from fcnlab.services.projects.demos import missing_demos, restore_demos
from fcnlab.services.projects.overview import ProjectSummary, project_summaries
from fcnlab.web import session
from fcnlab.web.panels.projects.covers import cover_row
from fcnlab.web.panels.projects.projects_panel import backup_button, new_project_button
from fcnlab.web.session import Engine

PER_ROW = 4
SHOWN = 8
"""Cards that are shown before somebody asks for all."""

KINDS = {Task.MASKS: "Segmentation", Task.COUNTS: "Counting"}
FINISHED = {Task.MASKS: "done", Task.COUNTS: "all marked"}
AGES = ((60, "just now", 1), (3600, "{} min ago", 60), (86_400, "{} h ago", 3600), (7 * 86_400, "{} days ago", 86_400))


def draw(engine: Engine) -> None:
    """A card for every project that is not archived, those worked on last first."""
    summaries = project_summaries(engine.lab)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("Projects", anchor=False)
        st.space("stretch")
        new_project_button(engine)
        backup_button(engine)
        wants_all = st.toggle("Show all", key="all-projects") if len(summaries) > SHOWN else False
    chosen_id = session.current_view().project_id
    shown = summaries if wants_all else summaries[:SHOWN]
    for start in range(0, len(shown), PER_ROW):
        for column, summary in zip(st.columns(PER_ROW), shown[start : start + PER_ROW], strict=False):
            with column:
                _card(summary, is_chosen=summary.project.id == chosen_id)
    if len(shown) < len(summaries):
        st.caption(f"{len(summaries) - len(shown)} more projects")
    restore_button(engine)


def _card(summary: ProjectSummary, *, is_chosen: bool) -> None:
    project = summary.project
    with st.container(border=True):
        st.html(cover_row(project, summary.covers))
        marks = [":blue-badge[Demo]"] if project.demo else []
        marks += [":green-badge[:material/check: Open now]"] if is_chosen else []
        st.markdown(" ".join([f"**{session.escape_markdown(project.name)}**", *marks]))
        of_images = f"{summary.n_finished} of {summary.n_images} {FINISHED[project.task]}"
        told = [KINDS[project.task], of_images if summary.n_images else "no images yet"]
        told += [f"changed {_age(summary.changed_at)}"] if summary.changed_at else []
        if summary.n_images:
            st.progress(summary.n_finished / summary.n_images, " · ".join(told))
        else:
            st.markdown(f":small[{' · '.join(told)}]")
        with st.container(horizontal=True):
            if summary.n_images and st.button("Label", key=f"label-{project.id}", icon=":material/gesture:"):
                st.switch_page("pages/label.py", query_params={"project": str(project.id)})
            if not is_chosen and st.button("Open", key=f"open-{project.id}"):
                session.show(project_id=project.id)
                st.rerun()


def _age(at: datetime) -> str:
    """How long ago something was, for people."""
    seconds = (utc_now() - at).total_seconds()
    for below, words, unit in AGES:
        if seconds < below:
            return words.format(int(seconds // unit))
    return f"on {at:%d %b %Y}"


def restore_button(engine: Engine) -> None:
    """The way back to demos that were deleted."""
    if missing_demos(engine.lab) and st.button("Restore the demo projects", icon=":material/restore:", type="tertiary"):
        with st.spinner("Drawing the demo projects"):
            names = [project.name for project in restore_demos(engine.lab)]
        st.toast(f"Made: {session.escape_markdown(', '.join(names))}")
        st.rerun()
