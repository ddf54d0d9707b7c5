"""Which classes of a project are grades, and in which order."""

from __future__ import annotations

import streamlit as st

from fcnlab.domain.counting import Task
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.projects.grades import grades_of, set_grades
from fcnlab.web import session
from fcnlab.web.session import Engine, escape_markdown

GRADES_HELP = (
    "For classes that are more or less of one thing, such as none, sparse, dense, or grade I to IV. The learner then "
    "knows that grade II lies between I and III, scores count how many grades a pixel is off, and the Label page shows "
    "the expected grade."
)


def draw(engine: Engine, project: Project) -> None:
    """The grades, lowest first, to choose and to save; nothing changes before somebody presses the button."""
    if project.task is Task.COUNTS or len(project.classes) < 2:
        return
    labels = {label.id: label for label in project.classes}
    current = [label.id for label in grades_of(project)]
    with st.expander("Grades", icon=":material/signal_cellular_alt:"):
        st.caption(GRADES_HELP)
        key = f"grades-{project.id}-{current}-{sorted(labels)}"
        chosen: list[int] = st.multiselect(
            "Grades, the lowest first",
            list(labels),
            current,
            format_func=lambda class_id: labels[class_id].name,
            placeholder="No class has an order",
            help="Choose the classes in their order. Clear the field if they have none.",
            key=key,
        )
        if len(chosen) > 1:
            st.markdown(" < ".join(f"**{escape_markdown(labels[class_id].name)}**" for class_id in chosen))
        recolour = st.toggle(
            "Colours from dark to light",
            True,
            disabled=not chosen,
            help="Grades get colours that become lighter with the grade, to colour-blind readers too. Off: every class "
            "keeps its colour.",
            key=f"{key}-recolour",
        )
        if st.button("Save grades", disabled=chosen == current or len(chosen) == 1):
            try:
                set_grades(engine.lab, project_id=project.id, class_ids=chosen, recolour=recolour)
                engine.jobs.changed(project.id)
                st.rerun()
            except FcnlabError as failure:
                session.explained(failure)
        if len(chosen) == 1:
            st.caption("One class alone has no order: choose at least two.")
