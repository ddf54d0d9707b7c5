"""What every page has: its style, the choice of a project, the name of the labeller."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from pathlib import Path

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.domain.counting import Task
from fcnlab.domain.project import Project
from fcnlab.services.labelling.events import claim_events
from fcnlab.services.projects import projects as project_service
from fcnlab.services.projects.overview import last_worked_on
from fcnlab.web import session
from fcnlab.web.session import Engine

ICON = Path(__file__).parent / "canvas" / "assets" / "icon.png"

ANONYMOUS = "anonymous"
"""Who labels where nobody said so."""

NO_IMAGES = "This project has no images yet. Add some on the **Projects** page."
TITLE_ENDINGS = {Task.MASKS: "", Task.COUNTS: " (counts)"}

WAYS_ON = {
    "projects": ("Go to projects", ":material/add_photo_alternate:"),
    "label": ("Go to labelling", ":material/gesture:"),
    "count": ("Go to the counts", ":material/tag:"),
}
"""Pages that others lead to: the words on the button, and the icon of what to do there."""

GUIDE_PX = 640

DARK_INK = """
[data-testid^="stBaseButton-primary"]:not(:disabled), [data-testid^="stBaseButton-primary"]:not(:disabled) *,
[data-tag], [data-tag] * { color: #0E1117 !important; fill: #0E1117; }
"""
"""In the dark the primary colour is light, so that it stands out from the page, and Streamlit writes white on it."""

GROUPS = {"projects": "Data", "": "", "train": "Learn", "survey": "Results"}
"""First page of each group of the navigation, and what the group is called; empty: a line divides it off alone."""

NAVIGATION = """
.rc-overflow-item:has(a[href$="/PAGE"]) { display: flex; align-items: center; }
.rc-overflow-item:has(a[href$="/PAGE"])::before, [data-testid="stSidebarNavItems"] li:has(a[href$="/PAGE"])::before {
  content: "GROUP"; font-size: 0.75rem; opacity: 0.72; margin: 0 0.15rem 0 0.5rem; padding-left: 0.75rem;
}
.rc-overflow-item:has(a[href$="/PAGE"]):not(:first-child)::before {
  border-left: 1px solid rgba(128, 128, 128, 0.5); line-height: 1.5rem; min-height: 1.5rem;
}
.rc-overflow-item:has(a[href$="/PAGE"]):first-child::before, [data-testid="stSidebarNavItems"] li::before {
  margin-left: 0; padding-left: 0.5rem;
}
"""
"""Streamlit's own groups are menus, which hide their pages and cost a click more: here all pages stay in sight."""

STYLE = """<style>
[data-stale="true"] { opacity: 1 !important; transition: none !important; }
[data-testid="stSelectbox"] input { text-overflow: ellipsis; }
.st-key-labeller, .st-key-first_field { display: none !important; }
[data-testid="stElementContainer"]:has(.fcnlab-tour[hidden]) { display: none; }
[data-testid="stToolbar"] { padding-right: 6rem; }
[data-testid="stExpandSidebarButton"]::after { content: "Menu"; padding-left: 0.4rem; }
[data-testid="stExpandSidebarButton"] { width: auto !important; min-height: 2.75rem; opacity: 1; color: inherit; }
div:has(> .st-key-help) { position: fixed; top: 0.7rem; right: 1.2rem; width: auto !important; z-index: 999991; }
.block-container { padding: 4.1rem 1.2rem 0.4rem !important; max-width: 100% !important; }
[data-testid="stElementContainer"]:first-child [data-testid="stHeading"] h3 { padding-top: 0; }
div:has(> .st-key-export_bar) {
  position: sticky; top: 3.6rem; z-index: 9; padding: 0.4rem 0; backdrop-filter: blur(14px);
}
[data-testid="stMultiSelect"] .react-aria-ComboBox > div { max-height: none; }
@media (max-width: 640px) {
  [data-testid="stColumn"]:has(> [data-testid="stVerticalBlock"] > [data-testid="stElementContainer"] > .stMetric) {
    min-width: calc(50% - 1rem);
  }
}
</style>"""


def style() -> str:
    """The style of all pages, in the theme that the browser shows."""
    groups = [NAVIGATION.replace("PAGE", page).replace("GROUP", group) for page, group in GROUPS.items()]
    ink = [DARK_INK] if st.context.theme.type == "dark" else []
    return STYLE.replace("</style>", "".join([*groups, *ink, "</style>"]))


def chosen_project(engine: Engine) -> Project | None:
    """The project of the address, or the first one; a picker to change it. None when there is no project."""
    projects = project_service.projects(engine.lab)
    if not projects:
        st.info("There is no project yet: create one on the **Projects** page.", icon=":material/folder_open:")
        return None
    by_id = {project.id: project for project in projects}
    wanted, start = session.current_view().project_id, _start_id(engine, by_id)
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
    st.set_page_config(page_title=" · ".join((session.peek("page", ""), by_id[picked].name, "fcnlab")))
    return by_id[picked]


def _start_id(engine: Engine, project_ids: Collection[int]) -> int:
    """The project of the address, else of this tab, else the one last worked on, else the first."""
    of_tab: int | None = session.peek("project")
    candidates = (session.current_view().project_id, of_tab, last_worked_on(engine.lab), *project_ids)
    return next(project_id for project_id in candidates if project_id is not None and project_id in project_ids)


def counts_objects() -> bool:
    """Whether the project that this tab looks at counts objects."""
    engine = session.engine()
    by_id = {project.id: project for project in project_service.projects(engine.lab)}
    return bool(by_id) and by_id[_start_id(engine, by_id)].task is Task.COUNTS


def led_to_counts(project: Project, words: str) -> bool:
    """In a project that counts, say in `words` why a page is not for it, and lead to its counts; whether it is one."""
    is_counting = project.task is Task.COUNTS
    if is_counting:
        lead(project, words, to="count")
    return is_counting


def lead(project: Project, words: str, *, to: str) -> None:
    """Say in `words` what keeps a page from its work, and lead to the page where that is put right."""
    text, icon = WAYS_ON[to]
    with st.container(width=GUIDE_PX):
        st.info(words, icon=icon)
        if st.button(text, type="primary", icon=":material/arrow_forward:"):
            st.switch_page(f"pages/{to}.py", query_params={"project": str(project.id)})


def minutes_in_words(minutes: float) -> str:
    """A time limit for people; 0: there is none."""
    if not minutes:
        return "none"
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.0f} min" if minutes < 60 else f"{minutes / 60:.0f} h"


def titled(project: Project) -> str:
    """The name of a project in a list, with what it makes where that is not masks."""
    return f"{project.name}{TITLE_ENDINGS[project.task]}"


def know_labeller() -> None:
    """Learn from the browser who labels, where neither address nor tab say so, and let it remember who does."""
    name = session.labeller()
    about = {"name": name, "typed": name is not None and session.peek("typed_labeller") == name, "focuses": False}
    remembered_data = _browser()(key="labeller", data=about, on_remembered_change=_ran)
    remembered = remembered_data.get("remembered")
    if name is None and isinstance(remembered, str):
        session.remember("is_browser_asked", True)
        if remembered:
            session.show(labeller=remembered)


def labeller_name() -> str:
    """Who labels, on a button that changes it."""
    name = session.labeller()
    if st.button(
        session.escape_markdown(name or ANONYMOUS),
        icon=":material/person:",
        type="tertiary",
        help="Who labels: change the name",
    ):
        _ask_for_name()
    return name or ANONYMOUS


def ask_after_first_click() -> None:
    """Ask for the name once something is stored, where nobody said it and this browser remembers nobody."""
    is_unknown = session.labeller() is None and session.peek("is_browser_asked")
    if is_unknown and session.client_id() is not None and session.peek("asks_for_name", True):
        _ask_for_name()


def _asked_for_name() -> None:
    """The question was closed: it is not put again in this tab."""
    session.remember("asks_for_name", False)


@st.dialog("Who is labelling?", on_dismiss=_asked_for_name)
def _ask_for_name() -> None:
    """Ask for a name; closing the dialog leaves it as it is. What was clicked without one becomes that person's."""
    st.write("Your name is saved with every point you click, so that undo and statistics stay yours.")
    with st.form("labeller", border=False):
        given = st.text_input(
            "Your name", value=session.labeller() or "", max_chars=session.MAX_NAME, placeholder="For example Ada"
        )
        if st.form_submit_button("Continue", type="primary", width="stretch"):
            if given.strip():
                session.show(labeller=given)
                _claim_what_is_stored()
                session.remember("typed_labeller", session.labeller())
                st.rerun()
            st.caption("Type a name, or close this window to label as *anonymous*.")
    focus_first_field()


def _claim_what_is_stored() -> None:
    """What this tab stored without a name is its labeller's, so that undo reaches it."""
    client_id, name = session.client_id(), session.current_view().labeller
    if client_id is not None and name is not None:
        claim_events(session.engine().lab, client_id=client_id, before=ANONYMOUS, labeller=name)


def focus_first_field() -> None:
    """In a dialog: let its first field have the focus."""
    _browser()(key="first_field", data={"name": None, "typed": False, "focuses": True}, on_remembered_change=_ran)


@cache
def _browser() -> ComponentRenderer:
    """What remembers the name in the browser, and puts the focus into fields; registered at the first use."""
    return st.components.v2.component("fcnlab.labeller", html="<span></span>", js="labeller.js", isolate_styles=False)


def _ran() -> None:
    """What the browser remembers is read where the page asks for it."""
