"""The popover that changes what the learner of a project does."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from fcnlab.domain import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.projects import set_learner
from fcnlab.ui import session
from fcnlab.ui.session import Engine

WORKING_SIDES = (512, 768, 1024, 1536, 2048, 3072)


def popover(own: Engine, project: Project) -> None:
    """A button that opens the learner settings of the project; a change takes effect at once."""
    spec = project.learner
    with st.popover("Learner", icon=":material/tune:"):
        object_mode = st.toggle(
            "Object mode",
            spec.object_mode,
            help="Keep only regions that hold a click of their class, and fill holes nobody clicked. "
            "For a few objects per image.",
        )
        refine = st.toggle("Sharpen borders", spec.refine, help="Guided filter: edges of the mask follow the image.")
        position = st.toggle(
            "Use position",
            spec.position,
            help="Let the learner see where in the image a pixel is. Switch it off when a thing can be anywhere.",
        )
        balanced = st.toggle(
            "Balance classes", spec.class_weight == "balanced", help="Every class counts alike, however few its points."
        )
        sides = sorted({*WORKING_SIDES, spec.working_side})
        working_side = st.select_slider(
            "Working size",
            sides,
            spec.working_side,
            help="Longer side in pixels at which the learner works. Larger finds finer structures, smaller is faster.",
        )
        regularisation = st.select_slider(
            "Caution",
            sorted({0.1, 0.3, 1.0, 3.0, 10.0, spec.regularisation}),
            spec.regularisation,
            help="More caution means smoother decisions from few points (L2 regularisation).",
        )
        wanted = replace(
            spec,
            object_mode=object_mode,
            refine=refine,
            position=position,
            class_weight="balanced" if balanced else "none",
            working_side=working_side,
            regularisation=regularisation,
        )
        if wanted != spec:
            try:
                set_learner(own.lab, project_id=project.id, learner=wanted)
                own.jobs.changed(project.id)
                st.rerun()
            except FcnlabError as failure:
                session.explained(failure)
