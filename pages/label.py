"""Label: click pixels, watch the mask."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.canvas import workspace
from fcnlab.web.panels.projects import learner_settings

engine = session.engine()
with st.container(horizontal=True, vertical_alignment="center"):
    project = frame.chosen_project(engine)
    if project is not None:
        learner_settings.popover(engine, project)
        labeller = frame.labeller_name()
        learner_settings.mask_source_badge(engine, project)


@st.fragment
def label(project_id: int, labeller: str) -> None:
    """Reruns alone when another image is opened."""
    try:
        workspace.draw_workspace(engine, project_id=project_id, labeller=labeller)
        frame.ask_after_first_click()
    except FcnlabError as failure:
        session.explained(failure)


if project is not None:
    label(project.id, labeller)
