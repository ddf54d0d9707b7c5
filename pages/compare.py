"""Compare: several networks on the same points, side by side."""

import streamlit as st

from fcnlab.errors import FcnlabError
from fcnlab.services.comparing.comparisons import comparison_status, comparisons
from fcnlab.web import frame, session
from fcnlab.web.panels.comparing import compare_panel, compare_watch
from fcnlab.web.panels.training.task_panels import PANELS

engine = session.engine()
project = frame.chosen_project(engine)
if project is not None:
    try:
        panel = PANELS[project.task]
        is_empty = panel.empty_state(project, panel.readiness(engine, project))
        compared = comparisons(engine.lab, project_id=project.id)
        if not compared and not is_empty:
            left, right = st.columns([6, 6], gap="large")
            with left:
                st.subheader("New comparison", anchor=False)
                compare_panel.form(engine, project)
            with right:
                compare_panel.invitation(project)
        elif compared:
            if not is_empty:
                with st.expander("New comparison", icon=":material/add:"):
                    compare_panel.form(engine, project)
            chosen = compare_watch.chosen(compared)
            compare_watch.watch(engine, project, comparison_status(engine.lab, comparison_id=chosen.id))
    except FcnlabError as failure:
        session.explained(failure)
