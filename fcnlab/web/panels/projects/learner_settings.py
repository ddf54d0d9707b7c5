"""The popover that changes what the learner of a project does."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import streamlit as st

from fcnlab.core.images.coords import COARSEST, LONG_SIDE
from fcnlab.domain.counting import Task
from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.errors import FcnlabError
from fcnlab.services.models.models import model, models, use_model
from fcnlab.services.projects.projects import set_learner
from fcnlab.web import session
from fcnlab.web.panels.projects import encoder_form
from fcnlab.web.session import Engine, escape_markdown

RESOLUTIONS = (1.0, 2.0, 4.0, 8.0)
WORKING_SIDES = (512, 768, 1024, 1536, 2048, 3072)
USUAL = LearnerSpec()
MADE_BY = {Task.MASKS: "Mask by", Task.COUNTS: "Counted by"}
INSTANT = {Task.MASKS: "Instant learner", Task.COUNTS: "Instant counter"}
KEPT_AT_RESET = ("encoder", "encoder_weights", "scales", "object_mode", "grades")
"""What the advanced settings leave alone."""


def popover(engine: Engine, project: Project) -> None:
    """A button that opens the learner settings of the project; all but the encoder take effect at once."""
    spec = project.learner
    with st.popover("Learner", icon=":material/tune:"):
        _made_by(engine, project)
        is_instant = project.model_id is None
        if not is_instant:
            st.caption("A chosen version learns from no clicks, but obeys them. Settings of the instant learner rest.")
        if project.task is Task.COUNTS:  # what counts has no borders, and its classes need no balance
            wanted = _input_size(spec)
            with st.expander("Advanced"):
                encoder_form.draw(engine, project, is_instant=is_instant)
        else:
            wanted = _with_object_mode(spec, has_background=project.background is not None)
            with st.expander("Advanced"):
                wanted = _of_masks(_input_size(wanted), is_instant=is_instant)
                usual = replace(USUAL, **{name: getattr(wanted, name) for name in KEPT_AT_RESET})
                if st.button(
                    "Reset to default",
                    icon=":material/restart_alt:",
                    disabled=wanted == usual,
                    help="Object mode, the encoder and its scales stay.",
                ):
                    wanted = usual
                encoder_form.draw(engine, project, is_instant=is_instant)
        if wanted != spec:
            try:
                set_learner(engine.lab, project_id=project.id, learner=wanted)
                engine.jobs.changed(project.id)
                st.rerun()
            except FcnlabError as failure:
                session.explained(failure)


def _input_size(spec: LearnerSpec) -> LearnerSpec:
    """The settings with the input size that is chosen."""
    resolution = _resolution(spec)
    working_side = st.select_slider(
        "Input size",
        sorted({*WORKING_SIDES, spec.working_side}),
        spec.working_side,
        disabled=resolution not in ("auto", None),
        help="Longer side in pixels at which the learner works. Larger finds finer structures, smaller is faster.",
    )
    return replace(spec, working_side=working_side, resolution=resolution)


def _with_object_mode(spec: LearnerSpec, *, has_background: bool) -> LearnerSpec:
    """Whether the project is about a few objects per image."""
    object_mode = st.toggle(
        "Object mode",
        spec.object_mode,
        disabled=not has_background,
        help="Keep only regions that hold a click of their class, and fill holes nobody clicked. "
        "For a few objects per image. Has no effect in a project without a background class: say on the Projects page "
        "which one it is.",
    )
    return replace(spec, object_mode=object_mode)


def _of_masks(spec: LearnerSpec, *, is_instant: bool) -> LearnerSpec:
    """What is particular to masks."""
    refine = st.toggle("Refine edges", spec.refine, help="Guided filter: edges of the mask follow the image.")
    position = st.toggle(
        "Use position",
        spec.position,
        disabled=not is_instant,
        help="Let the learner see where in the image a pixel is. Switch it off when an object can be anywhere.",
    )
    balanced = st.toggle(
        "Balance classes",
        spec.class_weight == "balanced",
        disabled=not is_instant,
        help="Every class counts alike, however few its points.",
    )
    regularisation = st.select_slider(
        "Regularisation",
        sorted({0.1, 0.3, 1.0, 3.0, 10.0, spec.regularisation}),
        spec.regularisation,
        disabled=not is_instant,
        help="More means smoother decisions from few points (L2).",
    )
    return replace(
        spec,
        refine=refine,
        position=position,
        class_weight="balanced" if balanced else "none",
        regularisation=regularisation,
    )


def _resolution(spec: LearnerSpec) -> float | Literal["auto"] | None:
    """How many pixels of an image become one that is labelled."""
    numbers = sorted({*RESOLUTIONS, *([spec.resolution] if isinstance(spec.resolution, (int, float)) else [])})
    choices: list[float | Literal["auto"] | None] = ["auto", None, *numbers]

    def words(choice: float | Literal["auto"] | None) -> str:
        if choice == "auto":
            return "Automatic"
        if choice is None:
            return "Input size only"
        return "Every pixel" if choice == 1 else f"1 of {choice:g} x {choice:g} pixels"

    return st.selectbox(
        "Resolution",
        choices,
        index=choices.index(spec.resolution),
        format_func=words,
        help=f"Pixels of the image per labelled pixel. Automatic follows the input size, but in images longer than "
        f"{LONG_SIDE} pixels it labels at least one of {COARSEST:g} x {COARSEST:g} pixels. Masks are always made "
        "at the full size of the image.",
    )


def mask_source_badge(engine: Engine, project: Project) -> None:
    """Which version makes the mask or the counts, if one was chosen; what clicks do then, and the way back."""
    if project.model_id is None:
        return
    name = model(engine.lab, model_id=project.model_id).name
    st.caption(
        f":material/deployed_code: {MADE_BY[project.task]} **{escape_markdown(name)}**: it obeys clicks, and learns "
        "nothing from them.",
        width="content",
    )
    if st.button(f"Use the {INSTANT[project.task].lower()}", type="tertiary", icon=":material/bolt:"):
        _use(engine, project, None)


def _made_by(engine: Engine, project: Project) -> None:
    """The choice of what makes the masks or the counts of the project."""
    names: dict[int | None, str] = {None: INSTANT[project.task]}
    names |= {record.id: record.name for record in models(engine.lab, project_id=project.id)}
    if len(names) == 1:
        return
    chosen = st.selectbox(
        MADE_BY[project.task],
        list(names),
        index=list(names).index(project.model_id),
        format_func=lambda model_id: names[model_id],
        help=f"The {INSTANT[project.task].lower()} learns from every click; a version obeys clicks, and knows what it "
        "was trained on. Versions are on the Models page.",
    )
    if chosen != project.model_id:
        _use(engine, project, chosen)


def _use(engine: Engine, project: Project, model_id: int | None) -> None:
    """Let a version make the masks or the counts; None: the instant learner."""
    try:
        use_model(engine.lab, project_id=project.id, model_id=model_id)
    except FcnlabError as failure:
        session.explained(failure)
        return
    engine.jobs.changed(project.id)
    st.rerun()
