"""Scribble: draw lines, polygons and boxes that become points."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.panels.results import scribble_panel

engine = session.engine()
head = st.container(horizontal=True, vertical_alignment="center")
with head:
    project = frame.chosen_project(engine)
if project is not None:
    words = "A scribble is many points, and here every point is an object: click once on each instead."
    try:
        if not frame.led_to_counts(project, words):
            with head:
                labeller = frame.labeller_name()
            scribble_panel.draw(engine, project, labeller)
    except FcnlabError as failure:
        session.explained(failure)
