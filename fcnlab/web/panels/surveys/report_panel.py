"""The report of a survey: shares with intervals, how sure they are, by stratum and by image."""

from __future__ import annotations

from typing import Any

import streamlit as st

from fcnlab.core.surveys.areas import area_of, readable_unit
from fcnlab.core.surveys.estimates import Method
from fcnlab.domain.project import Project
from fcnlab.domain.survey import Survey
from fcnlab.errors import as_sentence
from fcnlab.services.surveys.report import READINGS, CoverReport, Reading, SurveyReport, report_of
from fcnlab.web.panels.surveys import (
    comparison_panel,
    files_panel,
    next_images_panel,
    predicting_panel,
    report_charts,
    report_words,
)
from fcnlab.web.session import Engine, escape_markdown

READING_WORDS: dict[Reading, str] = {"left out": "Left out", "a class": "A class of its own"}
READING_HELP = (
    "Left out: shares are of the points whose class you could tell. A class of its own: shares are of all points. Name "
    "the one you took wherever you publish the figures."
)
TABLE_PX = 420


def draw(engine: Engine, project: Project, survey: Survey) -> None:
    """The whole report; without answers, what will stand there."""
    choices = st.container(horizontal=True, gap="medium")
    with choices:
        reading = _chosen_reading(survey)
        method = _chosen_method(survey)
    report = _report(engine, survey, reading, method)
    with choices:
        shown = _chosen_stratum(report)
    _notes(shown)
    if shown.best is None:
        if not survey.n_answered:
            st.caption("Shares and intervals of all classes stand here as soon as points of two images are answered.")
    else:
        left, right = st.columns([6, 5], gap="large")
        with left:
            _covers(report, shown)
        with right:
            _curves(report, shown)
    predicting_panel.draw(engine, project, survey)
    if report.total.best is not None or any(stratum.best for stratum in report.strata):
        _tables(report)
        comparison_panel.draw(report)
    next_images_panel.draw(engine, survey)
    if survey.n_answered:
        files_panel.draw(report)


def _chosen_reading(survey: Survey) -> Reading:
    """What "don't know" is taken for; a choice where anybody answered so."""
    if not survey.n_unknown:
        return "left out"
    chosen: Reading = st.segmented_control(
        "Answers *don't know*",
        list(READINGS),
        default="left out",
        required=True,
        format_func=lambda reading: READING_WORDS[reading],
        help=READING_HELP,
        key=f"reading-{survey.id}",
    )
    return chosen


def _chosen_method(survey: Survey) -> Method:
    """What shares are estimated from; a choice once masks of all images were predicted."""
    if survey.predicted_by is None:
        return "from_answers"
    chosen: Method = st.segmented_control(
        "Estimated from",
        list(report_words.METHODS),
        default="from_answers",
        required=True,
        format_func=report_words.METHODS.__getitem__,
        help=report_words.METHODS_HELP,
        key=f"method-{survey.id}",
    )
    return chosen


def _report(engine: Engine, survey: Survey, reading: Reading, method: Method) -> SurveyReport:
    """The report in a reading, with the shares of both where they differ."""
    if not survey.n_unknown:
        return report_of(engine.lab, survey_id=survey.id, method=method)
    reports = {
        reading: report_of(engine.lab, survey_id=survey.id, reading_as=reading, method=method) for reading in READINGS
    }
    part = survey.n_unknown / survey.n_answered
    words = f"{survey.n_unknown:,} of {survey.n_answered:,} answers ({report_words.percent(part)}) are *don't know*."
    st.caption(f"{words} {_both_readings(reports['left out'], reports['a class'])}")
    return reports[reading]


def _both_readings(left_out: SurveyReport, as_class: SurveyReport) -> str:
    """The shares in both readings, one after the other."""
    pair = left_out.total.best, as_class.total.best
    if pair[0] is None or pair[1] is None:
        return ""
    figures = [
        f"{escape_markdown(label.name)} {report_words.percent(first.share)} / {report_words.percent(second.share)}"
        for label, first, second in zip(left_out.classes, pair[0].classes, pair[1].classes, strict=False)
    ]
    return f"Of the points whose class was told / of all points: {', '.join(figures)}."


def _chosen_stratum(report: SurveyReport) -> CoverReport:
    """What the charts are of: all strata, or one of them."""
    if len(report.strata) < 2:
        return report.total
    names = ["", *(stratum.name for stratum in report.strata)]
    chosen: str = st.selectbox(
        "Charts show",
        names,
        format_func=lambda name: name or report_words.ALL_STRATA,
        width=260,
        key=f"stratum-{report.survey.id}",
    )
    return report.total if not chosen else next(stratum for stratum in report.strata if stratum.name == chosen)


def _notes(report: CoverReport) -> None:
    if report.notes:
        text = " ".join(f"{escape_markdown(as_sentence(note))}." for note in report.notes)
        st.info(text, icon=":material/info:")


def _covers(report: SurveyReport, shown: CoverReport) -> None:
    best = shown.best
    assert best is not None
    names = [label.name for label in report.classes]
    st.subheader("Cover", anchor=False)
    st.markdown(
        f":gray[{report_words.METHODS[best.method]}: {best.n_answers:,} answers in {best.n_images:,} of "
        f"{shown.n_images:,} images. {report_words.coverage_in_words(best)}]"
    )
    report_charts.covers(shown, report.classes)
    words = [report_words.alike_in_words(shown, names)]
    if shown.predicted is not None:
        words.append(report_words.shorter_in_words(shown, names))
        words.append(
            "The struck-out crosses are the shares in the masks as they are. They are biased: do not report them."
        )
    st.caption(escape_markdown(" ".join(text for text in words if text)))


def _curves(report: SurveyReport, shown: CoverReport) -> None:
    st.subheader("How sure", anchor=False)
    if shown.posterior is None:
        st.caption("Every image and pixel of these strata is answered: nothing is left to chance.")
        return
    st.markdown(":gray[How probable each share is by the answers alone. Curves narrow as answers come in.]")
    report_charts.curves(shown.posterior, report.classes)


def _tables(report: SurveyReport) -> None:
    """The figures themselves, by stratum and class, then by image."""
    st.subheader("Figures", anchor=False)
    parts = [report.total] if len(report.strata) < 2 else [report.total, *report.strata]
    rows = [row for part in parts for row in cover_rows(report, part)]
    percents = ("Share", "from", "to", "In masks")
    columns: dict[str, Any] = {name: st.column_config.NumberColumn(name, format="%.1f %%") for name in percents}
    columns["Bias"] = st.column_config.NumberColumn(
        "Bias", format="%.1f %%", help="By how much the share in the masks is too high, as the answers tell."
    )
    columns["Wider by"] = st.column_config.NumberColumn(
        "Wider by",
        format="%.1f ×",
        help="How many times as wide the interval is because points of one image are alike.",
    )
    st.dataframe(rows, hide_index=True, column_config=columns, height=min(38 + 35 * len(rows), TABLE_PX))
    for part in parts[1:]:
        if part.best is None:
            reasons = "; ".join(part.notes)
            st.caption(f"{escape_markdown(part.name)}: {escape_markdown(reasons)}")
    if report.images:
        with st.expander(f"By image ({len(report.images):,})"):
            st.caption("What was answered in each image. A few points tell little of a single one: mind the intervals.")
            st.dataframe(image_rows(report), hide_index=True, height=TABLE_PX)


def cover_rows(report: SurveyReport, part: CoverReport) -> list[dict[str, Any]]:
    """A row for each class of a stratum, or of all together; none without an estimate."""
    best = part.best
    if best is None:
        return []
    plain = part.estimates.get("from_answers")
    unit = None if part.area_m2 is None else readable_unit(part.area_m2)
    rows = []
    for index, (label, cover) in enumerate(zip(report.classes, best.classes, strict=True)):
        row: dict[str, Any] = {"Stratum": part.name or report_words.ALL_STRATA} if len(report.strata) > 1 else {}
        row |= {
            "Class": label.name,
            "Share": 100 * cover.share,
            "from": 100 * cover.low,
            "to": 100 * cover.high,
            "Answers": cover.n_answers,
        }
        if plain is not None:
            row["Wider by"] = plain.classes[index].widening
        if part.predicted is not None and label.id is not None:
            row |= {"In masks": 100 * part.predicted[index].share, "Bias": 100 * part.predicted[index].bias}
        if part.area_m2 is not None:
            area = area_of(cover, part.area_m2, unit)
            row[f"Area ({unit})"] = f"{area.area:,.3g} ({area.low:,.3g} to {area.high:,.3g})"
        rows.append(row)
    return rows


def image_rows(report: SurveyReport) -> list[dict[str, Any]]:
    """A row for each image with answers."""
    rows = []
    for cover in report.images:
        row: dict[str, Any] = {"Image": cover.image.name}
        if len(report.strata) > 1:
            row["Stratum"] = cover.image.stratum
        low, high = cover.posterior.intervals(report.survey.spec.level)
        total = sum(cover.counts)
        for index, label in enumerate(report.classes):
            row[label.name] = (
                f"{cover.counts[index]} of {total} ({100 * low[index]:.0f} to {100 * high[index]:.0f} %)"
                if total
                else ""
            )
        row["Don't know"] = cover.n_unknown
        rows.append(row)
    return rows
