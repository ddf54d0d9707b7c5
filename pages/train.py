"""Train: networks on all points of a project."""

import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.errors import FcnlabError
from fcnlab.services.training.trainings import groundwork, trainings
from fcnlab.web import frame, session
from fcnlab.web.panels.training import count_train_panel, train_panel, train_watch

engine = session.engine()
project = frame.chosen_project(engine)
if project is not None:
    try:
        known = [
            one for one in trainings(engine.lab, project_id=project.id) if one.is_open or one.comparison_id is None
        ]
        counts = project.task is Task.COUNTS
        totals = count_train_panel.totals_of(engine, project) if counts else None
        found = groundwork(engine.lab, project_id=project.id)
        is_empty = count_train_panel.empty_state(project, totals) if totals else train_panel.empty_state(project, found)
        left, right = st.columns([5, 7], gap="large")
        if not is_empty:
            with left:
                if totals:
                    count_train_panel.form(engine, project, totals)
                else:
                    train_panel.form(engine, project, found)
        with right:
            if known:
                train_watch.watch(engine, project, known)
            elif not is_empty:
                (count_train_panel if counts else train_panel).invitation()
        train_watch.history(engine, project, known)
    except FcnlabError as failure:
        session.explained(failure)
