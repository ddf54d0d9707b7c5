"""Count: how many objects there are in all images of a project."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.panels.results import count_panel

engine = session.engine()
head = st.container(horizontal=True, vertical_alignment="center")
with head:
    project = frame.chosen_project(engine)
if project is not None:
    try:
        if not count_panel.empty_state(engine, project):
            with head:
                count_panel.start_button(engine, project)
            count_panel.draw(engine, project)
    except FcnlabError as failure:
        session.explained(failure)
