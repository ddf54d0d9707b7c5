"""Projects: make, fill, look after."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.services.projects import projects as project_service
from fcnlab.web import frame, session
from fcnlab.web.panels.projects import dashboard, images_panel, imaging_panel, labels_panel, projects_panel

own = session.engine()
try:
    if not project_service.projects(own.lab):
        projects_panel.welcome(own)
    else:
        with st.container(horizontal=True, vertical_alignment="center"):
            project = frame.chosen_project(own)
            assert project is not None
            projects_panel.actions(own, project)
            st.space("stretch")
            projects_panel.new_project_button(own)
            projects_panel.backup_button(own)
        left, right = st.columns([6, 5], gap="large")
        with left:
            dashboard.draw(own, project)
        with right:
            images_panel.add_images(own, project)
            imaging_panel.draw(own, project)
            labels_panel.draw(own, project)
            projects_panel.background_choice(own, project)
    projects_panel.archived(own)
except FcnlabError as failure:
    session.explained(failure)
