"""How many more images a survey needs, and of which strata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from fcnlab.core.surveys.answers import StratumAnswers
from fcnlab.core.surveys.next_images import expected_width, next_images
from fcnlab.domain.survey import Survey
from fcnlab.errors import FcnlabError, InvalidSurvey, as_sentence
from fcnlab.services.projects.projects import project
from fcnlab.services.surveys.report import stratum_answers
from fcnlab.services.surveys.surveys import enlarge_survey, survey_images, survey_points
from fcnlab.web import session
from fcnlab.web.panels.surveys import report_charts, report_words
from fcnlab.web.panels.surveys.plan_panel import SECONDS_A_POINT, duration_in_words
from fcnlab.web.session import Engine, escape_markdown

STEPS = 12
"""Points of the curve."""

IMAGES_AT_FIRST = 20


@dataclass(frozen=True, slots=True, eq=False)
class _Strata:
    """The strata of a survey by name, in one order: answers, images that are asked about, images that there are."""

    names: tuple[str, ...]
    answers: tuple[StratumAnswers, ...]
    drawn: tuple[int, ...]
    available: tuple[int, ...]

    @property
    def n_left(self) -> int:
        """Images that are not asked about."""
        return sum(self.available) - sum(self.drawn)


def draw(engine: Engine, survey: Survey) -> None:
    """Expected intervals after further images, and a button that asks about those that help most."""
    if not survey.n_answered or not survey.is_open:
        return
    strata = _strata(engine, survey)
    if strata is None or strata.n_left == 0:
        return
    st.subheader("How many more", anchor=False)
    try:
        _draw(engine, survey, strata)
    except InvalidSurvey as failure:
        st.caption(f"{escape_markdown(as_sentence(str(failure)))}.")


def _strata(engine: Engine, survey: Survey) -> _Strata | None:
    """None while a stratum has no answers to go by."""
    images = survey_images(engine.lab, survey_id=survey.id)
    asked = {point.image_id for point in survey_points(engine.lab, survey_id=survey.id)}
    available = Counter(image.stratum for image in images)
    drawn = Counter(image.stratum for image in images if image.image_id in asked)
    by_name: Mapping[str, StratumAnswers] = stratum_answers(engine.lab, survey_id=survey.id)
    names = tuple(sorted(available))
    if any(name not in by_name for name in names):
        return None
    return _Strata(
        names,
        tuple(by_name[name] for name in names),
        tuple(drawn[name] for name in names),
        tuple(available[name] for name in names),
    )


def _draw(engine: Engine, survey: Survey, strata: _Strata) -> None:
    labels = project(engine.lab, project_id=survey.project_id).classes
    left, right = st.columns([5, 6], gap="large")
    with left:
        index: int = st.selectbox(
            "Class to know better",
            list(range(len(labels))),
            index=_widest(strata, survey),
            format_func=lambda index: labels[index].name,
            key=f"wanted-{survey.id}",
        )
        n_more = int(
            st.number_input(
                "Further images", 1, strata.n_left, min(IMAGES_AT_FIRST, strata.n_left), key=f"n-{survey.id}"
            )
        )
        shares = next_images(strata.answers, strata.drawn, n_more, survey.spec.n_per_image, class_index=index)
        reach = _reach(strata, shares, survey, index)
        st.markdown(_expected(survey, labels[index].name, _reach(strata, None, survey, index), reach, n_more))
        wanted = {name: n for name, n in zip(strata.names, shares, strict=True) if n}
        if len(strata.names) > 1:
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
        report_charts.widths(_curve(strata, survey, index, n_more), n_more)


def _widest(strata: _Strata, survey: Survey) -> int:
    """The class whose interval is expected to stay widest."""
    n_classes = strata.answers[0].n_classes
    return max(range(n_classes), key=lambda index: _reach(strata, None, survey, index))


def _reach(strata: _Strata, shares: list[int] | None, survey: Survey, index: int) -> float:
    """Half the width of the interval once all that is asked about is answered, and so many images more."""
    extra = shares or [0] * len(strata.names)
    waiting = [n - answers.n_images for n, answers in zip(strata.drawn, strata.answers, strict=True)]
    n_more = [n + more for n, more in zip(waiting, extra, strict=True)]
    spec = survey.spec
    return expected_width(strata.answers, n_more, spec.n_per_image, class_index=index, level=spec.level) / 2


def _curve(strata: _Strata, survey: Survey, index: int, n_more: int) -> report_charts.Rows:
    """Expected intervals after some numbers of further images, `n_more` among them."""
    most = min(strata.n_left, max(3 * n_more, 2 * sum(strata.drawn)))
    numbers = sorted({0, n_more, *(round(most * step / STEPS) for step in range(STEPS + 1))})
    rows: report_charts.Rows = []
    for n in numbers:
        shares = next_images(strata.answers, strata.drawn, n, survey.spec.n_per_image, class_index=index)
        rows.append({"images": n, "reach": _reach(strata, shares, survey, index)})
    return rows


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
