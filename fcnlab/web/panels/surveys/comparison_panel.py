"""How much more of a class there is in one stratum than in another."""

from __future__ import annotations

import numpy as np
import streamlit as st

from fcnlab.core.surveys.comparing import compare
from fcnlab.services.surveys.report import SurveyReport
from fcnlab.web.panels.surveys import report_words
from fcnlab.web.session import escape_markdown


def draw(report: SurveyReport) -> None:
    """The choice of a class and two strata, and what holds of them; nothing where fewer than two have estimates."""
    by_name = {stratum.name: stratum.best for stratum in report.strata if stratum.best is not None}
    names = list(by_name)
    if len(names) < 2:
        return
    st.subheader("Compare strata", anchor=False)
    columns = st.columns(3)
    number = report.survey.id
    labels = [label.name for label in report.classes]
    index: int = columns[0].selectbox(
        "Class", list(range(len(labels))), format_func=lambda index: labels[index], key=f"compared-{number}"
    )
    first: str = columns[1].selectbox("Stratum", names, key=f"first-{number}")
    others = [name for name in names if name != first]
    second: str = columns[2].selectbox("against", others, key=f"second-{number}")
    former, latter = by_name[first], by_name[second]
    assert former is not None
    assert latter is not None
    compared = compare(former, latter, np.random.default_rng(number))[index]
    lines = [
        report_words.difference_in_words(compared.difference, first, second),
        report_words.ratio_in_words(compared.ratio, first, second),
        f"Probability that there is more in {first}: "
        f"{report_words.probability_in_words(compared.difference.probability_more)}",
    ]
    st.markdown("\n".join(f"- {escape_markdown(line)}" for line in lines))
