"""Projects: make, fill, look after."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.services.projects import projects as project_service
from fcnlab.web import frame, session
from fcnlab.web.panels.projects import (
    cards,
    dashboard,
    grades_panel,
    images_panel,
    imaging_panel,
    labels_panel,
    projects_panel,
)

engine = session.engine()
try:
    if not project_service.projects(engine.lab):
        projects_panel.welcome(engine)
        cards.restore_button(engine)
        projects_panel.archived(engine)
    else:
        cards.draw(engine)
        projects_panel.archived(engine)
        with st.container(horizontal=True, vertical_alignment="center"):
            project = frame.chosen_project(engine)
            assert project is not None
            projects_panel.actions(engine, project)
        left, right = st.columns([6, 5], gap="large")
        with left:
            dashboard.draw(engine, project)
        with right:
            images_panel.add_images(engine, project)
            imaging_panel.draw(engine, project)
            labels_panel.draw(engine, project)
            projects_panel.background_choice(engine, project)
            grades_panel.draw(engine, project)
except FcnlabError as failure:
    session.explained(failure)
