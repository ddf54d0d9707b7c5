"""How many more images a survey needs, and of which strata."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from fcnlab.domain.survey import Survey
from fcnlab.errors import FcnlabError, InvalidSurvey, as_sentence
from fcnlab.services.surveys.growth import SurveyGrowth, growth_of
from fcnlab.services.surveys.surveys import enlarge_survey
from fcnlab.web import session
from fcnlab.web.panels.surveys import report_charts, report_words
from fcnlab.web.panels.surveys.plan_panel import SECONDS_A_POINT, duration_in_words
from fcnlab.web.session import Engine, escape_markdown

STEPS = 12
"""Points of the curve."""

IMAGES_AT_FIRST = 20


def draw(engine: Engine, survey: Survey) -> None:
    """Expected intervals after further images, and a button that asks about those that help most."""
    if not survey.n_answered or not survey.is_open:
        return
    try:
        growth = growth_of(engine.lab, survey_id=survey.id)
        if growth.n_left:
            st.subheader("How many more", anchor=False)
            _draw(engine, growth)
    except InvalidSurvey as failure:
        st.caption(f"{escape_markdown(as_sentence(str(failure)))}.")


def _draw(engine: Engine, growth: SurveyGrowth) -> None:
    survey, classes = growth.survey, growth.classes
    left, right = st.columns([5, 6], gap="large")
    with left:
        index: int = st.selectbox(
            "Class to know better",
            list(range(len(classes))),
            index=_widest(growth),
            format_func=lambda index: classes[index].name,
            key=f"wanted-{survey.id}",
        )
        n_more = int(
            st.number_input(
                "Further images", 1, growth.n_left, min(IMAGES_AT_FIRST, growth.n_left), key=f"n-{survey.id}"
            )
        )
        wanted = {name: n for name, n in growth.shared_out(n_more, index).items() if n}
        before, after = _reach(growth, {}, index), _reach(growth, wanted, index)
        st.markdown(_expected(survey, classes[index].name, before, after, n_more))
        if len(growth.names) > 1:
            where = ", ".join(f"**{escape_markdown(name)}** {n}" for name, n in wanted.items())
            st.markdown(f"They help most in: {where}.")
        words = "Ask about this image" if n_more == 1 else f"Ask about these {n_more} images"
        if st.button(words, icon=":material/add_photo_alternate:"):
            try:
                enlarge_survey(engine.lab, survey_id=survey.id, n_more=wanted)
                session.remember("enlarged", n_more)
                st.rerun()
            except FcnlabError as failure:
                session.explained(failure)
    with right:
        st.markdown(":gray[Expected ± of the interval, by further images]")
        report_charts.widths(_curve(growth, index, n_more), n_more)


def _widest(growth: SurveyGrowth) -> int:
    """The class whose interval is expected to stay widest."""
    return max(range(len(growth.classes)), key=lambda index: growth.width_with({}, index))


def _reach(growth: SurveyGrowth, n_more: Mapping[str, int], index: int) -> float:
    """Half the width of the interval once all that is asked about is answered, and so many images more."""
    return growth.width_with(n_more, index) / 2


def _curve(growth: SurveyGrowth, index: int, n_more: int) -> report_charts.Rows:
    """Expected intervals after some numbers of further images, `n_more` among them."""
    most = min(growth.n_left, max(3 * n_more, 2 * sum(growth.drawn)))
    numbers = sorted({0, n_more, *(round(most * step / STEPS) for step in range(STEPS + 1))})
    return [{"images": n, "reach": _reach(growth, growth.shared_out(n, index), index)} for n in numbers]


def _expected(survey: Survey, name: str, before: float, after: float, n_more: int) -> str:
    n_points = n_more * survey.spec.n_per_image
    rest = survey.n_points - survey.n_answered
    first = f" The {rest:,} points that wait for an answer are counted in." if rest else ""
    images = "1 further image" if n_more == 1 else f"{n_more:,} further images"
    return (
        f"{images} ({n_points:,} points, {duration_in_words(n_points * SECONDS_A_POINT)}) should bring the interval of "
        f"**{escape_markdown(name)}** from ± {report_words.percent(before)} to **± {report_words.percent(after)}**, by "
        f"answers alone.{first}"
    )
