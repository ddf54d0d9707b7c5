"""Tags: which images contain what, answered image by image with suggestions."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.panels.tags import tags_panel

engine = session.engine()
head = st.container(horizontal=True, vertical_alignment="center")
with head:
    project = frame.chosen_project(engine)
if project is not None:
    try:
        if not tags_panel.empty_state(engine, project):
            with head:
                view = tags_panel.chosen_view()
                frame.labeller_name()
            tags_panel.draw(engine, project, view)
    except FcnlabError as failure:
        session.explained(failure)
