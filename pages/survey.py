"""Survey: what share of all images each class covers, and how sure that is."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.panels.surveys import plan_panel, survey_panel

engine = session.engine()
head = st.container(horizontal=True, vertical_alignment="center")
with head:
    project = frame.chosen_project(engine)
if project is not None:
    words = "A survey estimates what share of the images a class covers. This project counts objects instead."
    try:
        if not frame.led_to_counts(project, words) and not plan_panel.empty_state(engine, project):
            with head:
                frame.labeller_name()
            survey_panel.draw(engine, project)
    except FcnlabError as failure:
        session.explained(failure)
