"""Train: networks on all points of a project."""

import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.errors import FcnlabError
from fcnlab.services.training.trainings import groundwork, trainings
from fcnlab.web import frame, session
from fcnlab.web.panels.training import count_train_panel, train_panel, train_watch

own = session.engine()
project = frame.chosen_project(own)
if project is not None:
    try:
        known = [one for one in trainings(own.lab, project_id=project.id) if one.is_open or one.comparison_id is None]
        counts = project.task is Task.COUNTS
        totals = count_train_panel.totals_of(own, project) if counts else None
        found = groundwork(own.lab, project_id=project.id)
        is_empty = count_train_panel.empty_state(project, totals) if totals else train_panel.empty_state(project, found)
        left, right = st.columns([5, 7], gap="large")
        if not is_empty:
            with left:
                if totals:
                    count_train_panel.form(own, project, totals)
                else:
                    train_panel.form(own, project, found)
        with right:
            if known:
                train_watch.watch(own, project, known)
            elif not is_empty:
                (count_train_panel if counts else train_panel).invitation()
        train_watch.history(own, project, known)
    except FcnlabError as failure:
        session.explained(failure)
