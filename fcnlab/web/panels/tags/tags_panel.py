"""The four views of the Tags page: tagging, images by their tags, progress, files."""

from __future__ import annotations

from typing import Literal

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.services.tags.jobs import TagsAtWork
from fcnlab.web import frame, session
from fcnlab.web.canvas import tagging
from fcnlab.web.panels.tags import files_panel, images_panel, progress_panel
from fcnlab.web.session import Engine, escape_markdown

TagsView = Literal["tag", "images", "progress", "files"]

VIEWS: dict[TagsView, str] = {
    "tag": ":material/label: Tag",
    "images": ":material/grid_view: Find images",
    "progress": ":material/bar_chart: Progress",
    "files": ":material/swap_vert: Files",
}
WATCHED_EVERY_S = 1.5


def empty_state(engine: Engine, project: Project) -> bool:
    """Say what is missing before anything can be tagged, and lead there; whether something is."""
    if engine.tags.tags(project.id).images:
        return False
    frame.lead(project, frame.NO_IMAGES, to="projects")
    return True


def chosen_view() -> TagsView:
    """The view of the address, and a choice of another one."""
    wanted = session.tags_view()
    shown: TagsView = next((view for view in VIEWS if view == wanted), "tag")
    chosen: TagsView = st.segmented_control(
        "View",
        list(VIEWS),
        default=shown,
        required=True,
        format_func=VIEWS.__getitem__,
        label_visibility="collapsed",
        key=f"tags-view-{session.peek('tags_turn', 0)}",
    )
    if chosen != wanted:
        session.show_tags_view(chosen)
    return chosen


def draw(engine: Engine, project: Project, view: TagsView) -> None:
    """A view of the tags of a project that has images."""
    if view == "tag":
        _tag(engine, project)
        return
    at_work = engine.tags.at_work(project.id)
    if at_work.done < at_work.total or at_work.suggestions.is_behind:
        st.fragment(_watched, run_every=WATCHED_EVERY_S)(engine, project.id, at_work)
    if view == "images":
        images_panel.draw(engine, project, at_work)
    elif view == "progress":
        progress_panel.draw(engine, project, at_work)
    else:
        files_panel.draw(engine, project, at_work)


def _tag(engine: Engine, project: Project) -> None:
    data = tagging.tagging_data(
        engine.tags.tags(project.id),
        labeller=session.labeller() or frame.ANONYMOUS,
        start=session.current_view().image_id,
    )
    tagging.draw(data, key="tagging")
    if len(project.classes) < 2:
        st.caption("This project has one class so far. Every class is a tag: add others on the **Label** page.")


def _watched(engine: Engine, project_id: int, before: TagsAtWork) -> None:
    """How far images are looked at; the page is drawn again at the end."""
    now = engine.tags.at_work(project_id)
    if now.done == now.total and not now.suggestions.is_behind:
        st.rerun(scope="app")
    if now.message:
        st.warning(escape_markdown(now.message), icon=":material/warning:")
    if now.done < now.total:
        words = f"Looking at images for the first time: {now.done:,} of {now.total:,}. Clicks come first."
        st.progress(now.done / max(1, now.total), words)
    elif before.done < before.total:
        st.progress(1.0, "Learning from the answers")
