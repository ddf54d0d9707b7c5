"""Label: click pixels, watch the mask."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.web import frame, session
from fcnlab.web.canvas import workspace
from fcnlab.web.panels.projects import learner_settings

own = session.engine()
with st.container(horizontal=True, vertical_alignment="center"):
    project = frame.chosen_project(own)
    if project is not None:
        learner_settings.popover(own, project)
        labeller = frame.labeller_name()
        learner_settings.mask_maker_badge(own, project)


@st.fragment
def label(project_id: int, labeller: str) -> None:
    """Reruns alone with every click."""
    try:
        workspace.draw_workspace(own, project_id=project_id, labeller=labeller)
    except FcnlabError as failure:
        session.explained(failure)


if project is not None:
    label(project.id, labeller)
