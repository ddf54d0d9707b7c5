"""Predicting the masks of all images of a survey, so that its answers can correct them."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.domain.survey import Survey
from fcnlab.errors import as_sentence
from fcnlab.services.models.models import model
from fcnlab.web import session
from fcnlab.web.session import Engine, escape_markdown

POLLED_EVERY_S = 1.0


def draw(engine: Engine, project: Project, survey: Survey) -> None:
    """What predicted the images, and the button that predicts them; nothing before there are answers to correct by."""
    status = session.survey_jobs().status(survey.id)
    is_running = status is not None and status.state == "running"
    if is_running:
        st.fragment(_watched, run_every=POLLED_EVERY_S)(survey.id)
        return
    if survey.taught_at is not None:
        return
    with st.container(border=True):
        st.markdown("**Shorter intervals by masks of all images**")
        if survey.predicted_by is None:
            st.write(
                "The model of this project can predict all images, surveyed or not. Your answers then tell how far its "
                "masks are off, and correct them: intervals become shorter the better the model is, and shares stay "
                "right however bad it is."
            )
        else:
            by = escape_markdown(survey.predicted_by.model)
            when = datetime.fromisoformat(survey.predicted_by.at).strftime("%Y-%m-%d %H:%M")
            st.write(f"All images were predicted by **{by}**, {when} UTC. Predict again once the model is better.")
        if status is not None and status.state == "failed":
            st.error(escape_markdown(as_sentence(status.message)), icon=":material/error:")
        with st.container(horizontal=True, vertical_alignment="center"):
            words = "Predict all images" if survey.predicted_by is None else "Predict again"
            if st.button(words, icon=":material/deployed_code:"):
                session.survey_jobs().start(survey.id, project_id=project.id)
                st.rerun()
            st.caption(f"By {_model_in_words(engine, project)}", width="content")


def _model_in_words(engine: Engine, project: Project) -> str:
    if project.model_id is None:
        return "the **instant learner**, which learns from the points clicked on the Label page"
    return f"**{escape_markdown(model(engine.lab, model_id=project.model_id).name)}**"


def _watched(survey_id: int) -> None:
    """How far it is; the page is drawn again at the end."""
    status = session.survey_jobs().status(survey_id)
    if status is None or status.state != "running":
        st.rerun(scope="app")
    with st.container(border=True):
        st.markdown("**Shorter intervals by masks of all images**")
        part = status.done / status.total if status.total else 0.0
        st.progress(min(1.0, part), f"Predicting: {status.done} of {status.total or '…'}")
        if st.button("Cancel", icon=":material/close:"):
            session.survey_jobs().cancel(survey_id)
