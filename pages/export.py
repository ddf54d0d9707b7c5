"""Export: masks, overlays and points for other tools."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.help import tour
from fcnlab.web.panels.results import export_panel

engine = session.engine()
project = frame.chosen_project(engine)
if project is not None:
    try:
        tour.draw_at_end(project)
        words = "This project counts objects and makes no masks. Its counts leave as files from the **Count** page."
        if not frame.led_to_counts(project, words) and not export_panel.empty_state(engine, project):
            left, right = st.columns([5, 6], gap="large")
            with left:
                export_panel.form(engine, project)
            with right:
                export_panel.show_preview(engine, project)
    except FcnlabError as failure:
        session.explained(failure)
