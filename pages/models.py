"""Models: what makes the masks of a project, its versions, and how they differ."""

import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.errors import FcnlabError
from fcnlab.services.models.models import models
from fcnlab.services.projects.projects import dashboard
from fcnlab.web import frame, session
from fcnlab.web.panels.training import difference_panel, models_panel

engine = session.engine()
with st.container(horizontal=True, vertical_alignment="center"):
    project = frame.chosen_project(engine)
    if project is not None:
        st.space("stretch")
        overview = dashboard(engine.lab, project_id=project.id)
        models_panel.keep_button(engine, project, overview)
        models_panel.import_button(engine, project)
if project is not None:
    try:
        models_panel.notice()
        stored = models(engine.lab, project_id=project.id)
        versions, difference = st.tabs(["Versions", "Two side by side"])
        with versions:
            models_panel.versions(engine, project, stored, overview)
        with difference:
            if project.task is Task.COUNTS:
                st.info("Two masks are compared here. Networks that count stand side by side on the **Compare** page.")
            else:
                difference_panel.draw(engine, project, stored)
    except FcnlabError as failure:
        session.explained(failure)
