"""One counted image: where the objects are thick."""

from __future__ import annotations

import streamlit as st

from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.counting.exports import CountTable
from fcnlab.services.counting.project_counts import density_view
from fcnlab.web import session
from fcnlab.web.session import Engine


def draw(engine: Engine, project: Project, table: CountTable) -> None:
    """A map of one image, made when somebody wants to see it."""
    if not table.rows or not st.toggle(
        "Density map", help="Where the objects of an image are: the brighter, the more."
    ):
        return
    by_id = {row.image.id: row.image for row in table.rows}
    chosen = st.selectbox(
        "Image", list(by_id), format_func=lambda image_id: by_id[image_id].name, label_visibility="collapsed"
    )
    try:
        with st.spinner("Counting"):
            step = engine.jobs.run(
                lambda learner: density_view(engine.lab, learner, by_id[chosen]), project_id=project.id
            )
            st.image(step.result(), width="stretch", alt=f"Where the objects of {by_id[chosen].name} are")
    except FcnlabError as failure:
        session.explained(failure)
