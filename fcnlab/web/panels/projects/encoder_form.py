"""The form that chooses the encoder of a project's learner, its weights and its scales: applied by a button."""

from __future__ import annotations

import streamlit as st

from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.errors import FcnlabError
from fcnlab.services.projects.projects import changed_learner, encoding_of, images_with_points, set_learner
from fcnlab.services.projects.projects import project as project_of
from fcnlab.web import session
from fcnlab.web.session import Engine

OFFERED = {
    LearnerSpec().encoder: ("bundled", "Comes with fcnlab, works without a network, and is what fcnlab is tuned with."),
    "mobilenetv3_small_100": ("fastest", "A third of the time of the bundled one. For weak machines; knows the least."),
    "mobilenetv3_large_100": ("faster", "Two thirds of the time of the bundled one, with twice as many features."),
    "resnet18": ("slower", "Twice the time of the bundled one. A plain network that many others are compared with."),
    "efficientnetv2_rw_s": ("larger", "Four times the time of the bundled one, from a network seven times as large."),
    "resnet50": ("larger", "Five times the time of the bundled one, with seven times as many features to choose from."),
    "convnext_tiny": ("largest", "Six times the time of the bundled one, from a newer and larger network."),
}
"""Encoder -> how it compares in a word, and what it costs and gives. Times are those on a processor."""

OTHER = "other timm network"
SCALES = (2.0, 1.0, 0.5, 0.25)


def draw(engine: Engine, project: Project, *, is_instant: bool) -> None:
    """What the learner looks at an image with; a change takes effect when it is applied.

    Args:
        engine: of this process.
        project: whose learner.
        is_instant: whether the learner makes the masks; a chosen model has an encoder of its own.
    """
    st.markdown("**Encoder**")
    _form(engine, project, is_disabled=not is_instant)


@st.fragment
def _form(engine: Engine, project: Project, *, is_disabled: bool) -> None:
    current = project.learner
    key = f"encoder-{project.id}-{encoding_of(current)}"
    encoder = _encoder(current, key=key, is_disabled=is_disabled)
    weights = st.text_input(
        "Weight file on the server",
        current.encoder_weights,
        key=f"{key}-weights",
        disabled=is_disabled,
        placeholder="Its usual trained weights",
        help="Whole path of a .safetensors or .pth file that names its tensors as timm does. Left empty, the weights "
        "of the bundled encoder come with fcnlab, those of another are fetched from the network once.",
    ).strip()
    scales = st.multiselect(
        "Scales",
        sorted({*SCALES, *current.scales}, reverse=True),
        current.scales,
        format_func=lambda scale: f"{scale:g}",
        key=f"{key}-scales",
        disabled=is_disabled,
        help="Sizes at which the encoder looks at an image. 0.5 and 0.25 see more around a pixel and cost little; 2 "
        "sees finer structures and costs four times as much as 1.",
    )
    same_scales = set(scales) == set(current.scales)
    in_order = current.scales if same_scales else tuple(sorted(scales, reverse=True))
    is_same = (encoder, weights, in_order) == encoding_of(current)
    st.caption(_cost(engine, project, is_same=is_same))
    if st.button("Apply encoder", type="primary", disabled=is_disabled or is_same, key=f"{key}-apply"):
        _apply(engine, project.id, encoder, weights, in_order)


def _encoder(current: LearnerSpec, *, key: str, is_disabled: bool) -> str:
    """Name of the network that is chosen, or typed."""
    names = [*OFFERED, OTHER]
    chosen = st.selectbox(
        "Encoder",
        names,
        names.index(current.encoder if current.encoder in OFFERED else OTHER),
        format_func=lambda name: f"{name} ({OFFERED[name][0]})" if name in OFFERED else name,
        key=f"{key}-name",
        disabled=is_disabled,
        help="The trained network whose features the learner learns from. Whether another one is better for your "
        "images only trying it shows.",
        label_visibility="collapsed",
    )
    if chosen != OTHER:
        st.caption(OFFERED[chosen][1])
        return chosen
    return st.text_input(
        "Name of the timm network",
        "" if current.encoder in OFFERED else current.encoder,
        key=f"{key}-other",
        disabled=is_disabled,
        help="Any network of timm that gives features up to stride 32: most convolutional ones do.",
    ).strip()


def _cost(engine: Engine, project: Project, *, is_same: bool) -> str:
    if is_same:
        return "Another encoder or scale takes effect when it is applied, and every image is encoded again then."
    count = images_with_points(engine.lab, project_id=project.id)
    images = "1 image with points" if count == 1 else f"{count} images with points"
    return (
        f"Every image of the project is encoded again when it is next needed: {images}, about a moment per megapixel. "
        "Clicks stay."
    )


def _apply(engine: Engine, project_id: int, encoder: str, weights: str, scales: tuple[float, ...]) -> None:
    try:
        current = project_of(engine.lab, project_id=project_id).learner  # others may have changed the rest meanwhile
        wanted = changed_learner(current, {"encoder": encoder, "encoder_weights": weights, "scales": scales})
        with st.spinner("Trying the encoder"):
            set_learner(engine.lab, project_id=project_id, learner=wanted)
    except FcnlabError as failure:
        session.explained(failure)
        st.caption("The project keeps the encoder it has.")
        return
    engine.jobs.changed(project_id)
    st.rerun()
