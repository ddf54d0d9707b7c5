"""The button for help at the same place of every page, and the dialog that it opens."""

from __future__ import annotations

from functools import cache

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.errors import FcnlabError
from fcnlab.web import session
from fcnlab.web.frame import counts_objects
from fcnlab.web.help import about, tour
from fcnlab.web.help.manuals import help_of, lead_of, whole_of

THEMES = """
<fieldset>
  <legend>Theme</legend>
  <label><input type="radio" name="theme" value="system">As the system</label>
  <label><input type="radio" name="theme" value="light">Light</label>
  <label><input type="radio" name="theme" value="dark">Dark</label>
</fieldset>
"""


def draw(page: str) -> None:
    """The button, at the right end of the top of the window.

    Args:
        page: the name of the page in its address, `label` for the one without.
    """
    with st.container(key="help"):
        is_pressed = st.button(
            "Help", key="open-help", icon=":material/help:", type="tertiary", help="This page, a tour, theme, about (?)"
        )
    if is_pressed or session.recall("helped_page") == page:
        session.remember("helped_page", page)  # a theme that is chosen in there runs the whole page again
        _help(page)


def _closed() -> None:
    session.recall("helped_page")


@st.dialog("Help", width="medium", on_dismiss=_closed)
def _help(page: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Take the tour", icon=":material/tour:", help="Five steps on the demo project Cells"):
            _begin_tour()
        st.space("stretch")
        _theme()(key="theme", width="content")
    of_page, of_program = st.tabs([session.peek("page", "This page"), "About"])
    try:
        with of_page:
            _page(page)
        with of_program:
            about.draw()
    except FcnlabError as failure:
        session.explained(failure)


def _begin_tour() -> None:
    try:
        with st.spinner("Opening the demo project"):
            project_id = tour.prepare(session.engine())
    except FcnlabError as failure:
        session.explained(failure)
    else:
        _closed()
        st.switch_page("pages/label.py", query_params={"project": str(project_id)})


def _page(page: str) -> None:
    """What the manuals say of the page, at once and in detail."""
    shown = help_of(page, is_counting=counts_objects())
    st.markdown(lead_of(shown.lead))
    for section in shown.more:
        with st.expander(section.heading):
            st.markdown(whole_of(section))


@cache
def _theme() -> ComponentRenderer:
    """The choice of a theme; registered at the first use, once per process."""
    return st.components.v2.component("fcnlab.theme", html=THEMES, css="theme.css", js="theme.js")
