"""Train: networks on all points of a project."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.services.training.trainings import trainings
from fcnlab.web import frame, session
from fcnlab.web.panels.training import train_watch
from fcnlab.web.panels.training.task_panels import PANELS

engine = session.engine()
project = frame.chosen_project(engine)
if project is not None:
    try:
        shown = [
            training
            for training in trainings(engine.lab, project_id=project.id)
            if training.is_open or training.comparison_id is None
        ]
        panel = PANELS[project.task]
        readiness = panel.readiness(engine, project)
        is_empty = panel.empty_state(project, readiness)
        left, right = st.columns([5, 7], gap="large")
        if not is_empty:
            with left:
                panel.form(engine, project, readiness)
        with right:
            if shown:
                train_watch.watch(engine, project, shown)
            elif not is_empty:
                panel.invitation()
        train_watch.history(engine, project, shown)
    except FcnlabError as failure:
        session.explained(failure)
