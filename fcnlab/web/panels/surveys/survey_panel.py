"""The surveys of a project: which one is shown, how far it is, and what can be done with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.domain.survey import Survey
from fcnlab.errors import FcnlabError
from fcnlab.services.surveys.surveys import (
    close_survey,
    delete_survey,
    enlarge_survey,
    reopen_survey,
    survey_images,
    survey_points,
    surveys,
    teach,
)
from fcnlab.web import session
from fcnlab.web.panels.surveys import answering_panel, plan_panel, report_panel, report_words
from fcnlab.web.session import Engine, escape_markdown

LOOKED_EVERY_S = 5.0
"""How soon the report follows somebody who answers elsewhere."""

STRATA_ASKED = 12


def draw(engine: Engine, project: Project) -> None:
    """Planning while there is no survey; else answering, or the report."""
    planned = surveys(engine.lab, project_id=project.id)
    if not planned:
        left, right = st.columns([6, 6], gap="large")
        with left:
            st.subheader("New survey", anchor=False)
            plan_panel.form(engine, project)
        with right:
            plan_panel.invitation(project)
        return
    wanted, is_answering = session.survey_shown()
    survey = next((survey for survey in planned if survey.id == wanted), planned[0])
    if is_answering and survey.is_open:
        answering_panel.draw(engine, project, survey)
        return
    survey = _head(engine, planned, survey)
    with st.expander("New survey", icon=":material/add:"):
        plan_panel.form(engine, project)
    _notices(survey)
    report_panel.draw(engine, project, survey)
    if survey.is_open and survey.n_answered < survey.n_points:
        st.fragment(_follow, run_every=LOOKED_EVERY_S)(engine, survey)


def _head(engine: Engine, planned: Sequence[Survey], shown: Survey) -> Survey:
    """The choice of a survey, how far it is, and its buttons."""
    by_id = {survey.id: survey for survey in planned}
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen: int = st.selectbox(
            "Survey",
            list(by_id),
            index=list(by_id).index(shown.id),
            format_func=lambda survey_id: by_id[survey_id].spec.name,
            label_visibility="collapsed",
            width=260,
        )
        if chosen != session.survey_shown()[0]:
            session.show_survey(chosen)
        survey = by_id[chosen]
        _buttons(engine, survey)
    state = "Open" if survey.is_open else "Closed"
    if survey.taught_at is not None:
        state = "Closed, its answers teach"
    st.progress(survey.n_answered / survey.n_points, f"**{state}** · {report_words.status_in_words(survey)}")
    return survey


def _buttons(engine: Engine, survey: Survey) -> None:
    if survey.is_open:
        is_complete = survey.n_answered == survey.n_points
        words = "Review answers" if is_complete else "Answer" if not survey.n_answered else "Go on answering"
        kind = "secondary" if is_complete else "primary"
        if st.button(words, type=kind, icon=":material/keyboard:"):  # type: ignore[arg-type]
            session.show_survey(survey.id, is_answering=True)
            st.rerun()
        _more_images(engine, survey)
        if st.button("Close", icon=":material/lock:", help="It takes no more answers; you can reopen it."):
            _do(lambda: close_survey(engine.lab, survey_id=survey.id))
    elif survey.taught_at is None:
        if st.button("Reopen", icon=":material/lock_open:", help="Take answers again."):
            _do(lambda: reopen_survey(engine.lab, survey_id=survey.id))
        if st.button("Let the answers teach", icon=":material/school:"):
            _ask_to_teach(engine, survey)
    if st.button("Delete", icon=":material/delete:"):
        _ask_to_delete(engine, survey)


def _more_images(engine: Engine, survey: Survey) -> None:
    """Ask about further images, so many of each stratum."""
    images = survey_images(engine.lab, survey_id=survey.id)
    asked = {point.image_id for point in survey_points(engine.lab, survey_id=survey.id)}
    left = Counter(image.stratum for image in images if image.image_id not in asked)
    if not left:
        return
    with st.popover("More images", icon=":material/add_photo_alternate:"):
        st.write(f"Draw further images, with {survey.spec.n_per_image} points each.")
        names = sorted(left)
        if len(names) == 1 or len(names) > STRATA_ASKED:
            words = "Further images" if len(names) == 1 else "Further images of each stratum"
            n = int(st.number_input(words, 1, max(left.values()), 1, key=f"more-{survey.id}"))
            n_more = {name: min(n, left[name]) for name in names}
        else:
            n_more = {
                name: int(
                    st.number_input(
                        f"{escape_markdown(name)} ({left[name]} left)", 0, left[name], 0, key=f"more-{survey.id}-{name}"
                    )
                )
                for name in names
            }
        if st.button("Ask about them", type="primary", disabled=not sum(n_more.values())):
            session.remember("enlarged", sum(n_more.values()))
            _do(lambda: enlarge_survey(engine.lab, survey_id=survey.id, n_more=n_more))


def _notices(survey: Survey) -> None:
    """What was just done."""
    n_more = session.recall("enlarged")
    if n_more:
        images = "1 further image" if n_more == 1 else f"{n_more} further images"
        st.success(f"{images} with {survey.spec.n_per_image} points each are asked about.", icon=":material/check:")
    n_taught = session.recall("taught")
    if n_taught is not None:
        st.success(f"{n_taught} answers are points of this project now.", icon=":material/school:")


@st.dialog("Let the answers teach")
def _ask_to_teach(engine: Engine, survey: Survey) -> None:
    st.write(
        "Every answer of this survey becomes a point of the project, as if it had been clicked on the Label page: the "
        "learner, and networks trained from now on, learn from it. *Don't know* teaches nothing, nor do answers on "
        "images that are done."
    )
    st.write(
        "This cannot be taken back, and the survey stays closed: what the model has learned from, it cannot be tested "
        "on. So predict all images before, if you want to."
    )
    if st.button("Let them teach", type="primary"):
        let_teach(engine, survey)


def let_teach(engine: Engine, survey: Survey) -> None:
    """Make points of the answers, and tell the learner."""

    def change() -> None:
        session.remember("taught", teach(engine.lab, survey_id=survey.id))
        engine.jobs.changed(survey.project_id)

    _do(change)


@st.dialog("Delete survey")
def _ask_to_delete(engine: Engine, survey: Survey) -> None:
    words = f"This deletes the {survey.n_answered:,} answers of the survey, for good."
    st.write(f"{words} Points that they taught stay." if survey.taught_at else words)
    typed = st.text_input("Type the name of the survey to confirm", placeholder=survey.spec.name)
    if st.button("Delete for good", type="primary", disabled=typed.strip() != survey.spec.name):
        session.show_survey(None)
        _do(lambda: delete_survey(engine.lab, survey_id=survey.id))


def _do(change: Callable[[], object]) -> None:
    """Make a change and draw the page again, or explain why not."""
    try:
        change()
    except FcnlabError as failure:
        session.explained(failure)
    else:
        st.rerun()


def _follow(engine: Engine, survey: Survey) -> None:
    """Draw the page again when somebody answered elsewhere."""
    now = {each.id: each for each in surveys(engine.lab, project_id=survey.project_id)}.get(survey.id)
    if now is None or (now.n_answered, now.n_points, now.is_open) != (
        survey.n_answered,
        survey.n_points,
        survey.is_open,
    ):
        st.rerun(scope="app")
