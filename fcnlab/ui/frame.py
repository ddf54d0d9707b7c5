"""What every page has: its style, the choice of a project, the name of the labeller."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from fcnlab.counts import Task
from fcnlab.domain import Project
from fcnlab.services import projects as project_service
from fcnlab.ui import session
from fcnlab.ui.session import Engine

ICON = Path(__file__).parent / "canvas_assets" / "icon.png"

STYLE = """<style>
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
.block-container { padding: 4.1rem 1.2rem 0.4rem !important; max-width: 100% !important; }
</style>"""


def chosen_project(own: Engine) -> Project | None:
    """The project of the address, or the first one; a picker to change it. None when there is no project."""
    projects = project_service.projects(own.lab)
    if not projects:
        st.info("There is no project yet: create one on the **Projects** page.", icon=":material/folder_open:")
        return None
    by_id = {project.id: project for project in projects}
    wanted = session.current_view().project_id
    start = next((one for one in (wanted, session.peek("project")) if one in by_id), projects[0].id)
    picked: int = st.selectbox(
        "Project",
        list(by_id),
        index=list(by_id).index(start),
        format_func=lambda project_id: titled(by_id[project_id]),
        label_visibility="collapsed",
        width=260,
    )
    session.remember("project", picked)  # the address forgets it on the way to another page
    if picked != wanted:
        session.show(project_id=picked)
    return by_id[picked]


def counts_objects() -> bool:
    """Whether the project that this tab looks at counts objects."""
    known = {project.id: project for project in project_service.projects(session.engine().lab)}
    wanted = (session.current_view().project_id, session.peek("project"), next(iter(known), None))
    chosen = next((known[one] for one in wanted if one in known), None)
    return chosen is not None and chosen.task is Task.COUNTS


def led_to_counts(project: Project, words: str) -> bool:
    """In a project that counts, say in `words` why a page is not for it, and lead to its counts; whether it is one."""
    if project.task is not Task.COUNTS:
        return False
    st.info(words, icon=":material/tag:")
    if st.button("Go to the counts", icon=":material/arrow_forward:"):
        st.switch_page("pages/count.py", query_params={"project": str(project.id)})
    return True


def titled(project: Project) -> str:
    """The name of a project in a list, with what it makes where that is not masks."""
    return f"{project.name} (counts)" if project.task is Task.COUNTS else project.name


def labeller_name() -> str:
    """Who labels: from the address, else asked once."""
    name = session.labeller()
    if name is None:
        if not session.peek("asked_for_name"):
            session.remember("asked_for_name", True)
            _ask_for_name()
        return "anonymous"
    return name


@st.dialog("Who is labelling?")
def _ask_for_name() -> None:
    """Ask for a name once; closing the dialog labels as anonymous."""
    st.write("Your name is stored with every point you click, so that undo and statistics stay yours.")
    with st.form("labeller", border=False):
        name = st.text_input("Your name", max_chars=session.MAX_NAME, placeholder="for example Ada")
        if st.form_submit_button("Start labelling", type="primary", width="stretch"):
            if name.strip():
                session.show(labeller=name)
                st.rerun()
            st.caption("Type a name, or close this window to label as *anonymous*.")
