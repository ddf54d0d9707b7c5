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
        shown = [
            training
            for training in trainings(engine.lab, project_id=project.id)
            if training.is_open or training.comparison_id is None
        ]
        counts = project.task is Task.COUNTS
        totals = count_train_panel.totals_of(engine, project) if counts else None
        training_data = groundwork(engine.lab, project_id=project.id)
        is_empty = (
            count_train_panel.empty_state(project, totals)
            if totals
            else train_panel.empty_state(project, training_data)
        )
        left, right = st.columns([5, 7], gap="large")
        if not is_empty:
            with left:
                if totals:
                    count_train_panel.form(engine, project, totals)
                else:
                    train_panel.form(engine, project, training_data)
        with right:
            if shown:
                train_watch.watch(engine, project, shown)
            elif not is_empty:
                (count_train_panel if counts else train_panel).invitation()
        train_watch.history(engine, project, shown)
    except FcnlabError as failure:
        session.explained(failure)
