"""Scribble: draw lines, polygons and boxes that become points."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.ui import frame, scribble_panel, session

own = session.engine()
with st.container(horizontal=True, vertical_alignment="center"):
    project = frame.chosen_project(own)
    if project is not None:
        labeller = frame.labeller_name()
        st.caption(f":material/person: {labeller}", width="content")
if project is not None:
    try:
        scribble_panel.draw(own, project, labeller)
    except FcnlabError as failure:
        session.explained(failure)
