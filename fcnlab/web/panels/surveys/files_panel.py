"""A report as files."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial

import streamlit as st

from fcnlab.services.surveys.report import SurveyReport


def draw(report: SurveyReport) -> None:
    """A button for each kind of file; files are made when they are asked for."""
    from fcnlab.services.surveys.report_files import coralnet_csv, report_csv, report_json, report_svg

    name = re.sub(r"[^\w-]+", "-", report.survey.spec.name).strip("-") or "survey"
    kinds: tuple[tuple[str, str, str, Callable[[SurveyReport], bytes], str], ...] = (
        ("CSV", f"{name}.csv", "text/csv", report_csv, "One line for each stratum and class, with intervals."),
        (
            "CoralNet",
            f"{name}-coralnet.csv",
            "text/csv",
            coralnet_csv,
            "Percent cover of each image, as CoralNet exports it.",
        ),
        ("JSON", f"{name}.json", "application/json", report_json, "Everything in the report, for programs."),
        ("SVG", f"{name}.svg", "image/svg+xml", report_svg, "The chart of shares and intervals, for a paper."),
    )
    st.subheader("Files", anchor=False)
    with st.container(horizontal=True):
        for kind, file_name, mime, make, words in kinds:
            st.download_button(
                kind, partial(make, report), file_name, mime, icon=":material/download:", help=words, on_click="ignore"
            )
