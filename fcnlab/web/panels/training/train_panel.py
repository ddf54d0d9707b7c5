"""The form of the train page: which network, for how long, on what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from fcnlab.core.networks.ordinal import WITHOUT_ORDER
from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.network import (
    DEFAULT_ENCODER,
    SCRATCH,
    USUAL_ORDER,
    USUAL_UPSAMPLING,
    NetworkName,
    NetworkSpec,
    Order,
)
from fcnlab.domain.project import Project
from fcnlab.domain.training import ABSENT_IN_WORDS, TrainingSpec
from fcnlab.errors import FcnlabError
from fcnlab.services.models.models import models
from fcnlab.services.training import trainings
from fcnlab.services.training.trainings import Readiness, start_training
from fcnlab.services.training.workers import ensure_worker
from fcnlab.web import frame, session
from fcnlab.web.session import Engine

DEFAULTS = TrainingSpec()
MINUTES = (2, 5, 10, 20, 30, 60, 120, 240, 480, 0)
HOLDOUTS = (0.0, 0.1, 0.2, 0.3, 0.5)
SIDES = (256, 384, 512, 768, 1024, 1536, 2048)
UPSAMPLINGS = {
    "transposed": "Transposed (learned)",
    "bilinear": "Bilinear",
    "bicubic": "Bicubic",
    "nearest": "Nearest",
}
ORDERS: dict[Order, str] = {
    "cumulative": "Cumulative logits (one scale with thresholds)",
    "corn": "CORN (one step after another)",
    "none": "Not used (softmax)",
}
SKIPPING = (NetworkName.FCN16S, NetworkName.FCN8S)
FCNS = (NetworkName.FCN32S, *SKIPPING, NetworkName.FCN2S)
FROM_SCRATCH_IN_WORDS = "none: start from scratch"


def readiness(engine: Engine, project: Project) -> Readiness:
    """What there is to train on. Raises UnknownProject."""
    return trainings.readiness(engine.lab, project_id=project.id)


def empty_state(project: Project, readiness: Readiness) -> bool:
    """Say what is missing before anything can be trained, and lead there; whether something is."""
    words = _missing_in_words(project, readiness)
    if words:
        frame.lead(project, words, to="label" if readiness.n_images else "projects")
    return bool(words)


def _missing_in_words(project: Project, readiness: Readiness) -> str:
    if readiness.n_images == 0:
        return frame.NO_IMAGES
    if readiness.n_points == 0:
        return (
            "There is nothing to train on yet. Click a few pixels of each class on the **Label** page; the instant "
            "learner shows where more are needed."
        )
    if readiness.n_clicked_classes >= 2:
        return ""
    only = next(label.name for label in project.classes if readiness.points_by_class.get(label.id))
    others = [label.name for label in project.classes if label.name != only]
    wanted = f"click a pixel of {' or '.join(others[:3])}" if others else "add a second class and click a pixel of it"
    return f"All points are of class **{only}** so far, and training means telling classes apart: {wanted}."


def invitation() -> None:
    """What training gives, for a project that has none yet."""
    with st.container(border=True):
        st.markdown("**From clicks to a network of your own**")
        st.write(
            "The instant learner on the Label page answers every click with a linear head on an encoder that knows "
            "nothing of your images. Training adapts a whole network to them, from the same points: minutes to hours "
            "on a processor, much less on a graphics card."
        )
        st.write(
            "Start with FCN-8s and what is set here. A part of the images is kept for validation: their points tell "
            "how good the network is on what it has not seen."
        )


@st.fragment
def form(engine: Engine, project: Project, readiness: Readiness) -> None:
    """Choices and the button that starts; reruns alone, so that curves are not drawn again."""
    st.subheader("New training", anchor=False)
    network, training = _basic(project, readiness)
    training = replace(training, parent=_parent(engine, project, network))
    network = _with_order(project, network, training)
    is_by_steps = NETWORKS[network.network].by_steps
    if is_by_steps:
        with st.expander("Advanced", icon=":material/tune:"):
            network, training = _advanced(network, training)
    points = (
        f"{readiness.n_points} points in {readiness.n_labelled} {'image' if readiness.n_labelled == 1 else 'images'}"
    )
    if st.button("Start training", type="primary", icon=":material/model_training:", help=f"On {points}."):
        try:
            start_training(
                engine.lab,
                project_id=project.id,
                network=network,
                training=training,
                labeller=session.labeller() or "anonymous",
            )
            ensure_worker(engine.lab, project_id=project.id)
        except FcnlabError as failure:
            session.explained(failure)
            return
        st.rerun(scope="app")
    if not is_by_steps:
        st.caption(f"{points}; every image is encoded once, then the head is fitted in seconds.")
        return
    end = f" or {frame.minutes_in_words(int(training.minutes))}, whichever comes first" if training.minutes else ""
    st.caption(
        f"{points}; ends after {training.epochs} epochs{end}. Training goes on when you close this page, and points "
        "you click meanwhile join the next epoch."
    )


def _basic(project: Project, readiness: Readiness) -> tuple[NetworkSpec, TrainingSpec]:
    names = list(NETWORKS)
    name = st.selectbox(
        "Network", names, index=names.index(NetworkName.FCN8S), format_func=lambda name: NETWORKS[name].title
    )
    info = NETWORKS[name]
    st.caption(f"{info.summary} {info.paper}.")
    left, right = st.columns(2)
    minutes = left.select_slider("Time limit", MINUTES, 30, format_func=frame.minutes_in_words)
    holdout = right.select_slider(
        "Validation images",
        HOLDOUTS,
        DEFAULTS.holdout,
        format_func=lambda part: f"{part:.0%}" if part else "none",
        help="Part of the labelled images that training never sees. Without it nobody knows how good the network is.",
    )
    if holdout and readiness.n_labelled < 2:
        st.caption(":material/info: Only one image has points, so there is none for validation, and no score.")
    n_classes = max(2, len(project.classes))
    network = NetworkSpec(name, n_classes, encoder=DEFAULT_ENCODER if info.uses_encoder else SCRATCH)
    training = replace(DEFAULTS, minutes=float(minutes), holdout=holdout)
    first, second = st.columns(2, vertical_alignment="bottom")
    if name in FCNS:
        ways = list(UPSAMPLINGS)
        usual = ways.index(USUAL_UPSAMPLING.get(name, network.upsampling))
        upsampling: Any = first.selectbox("Upsampling", ways, index=usual, format_func=UPSAMPLINGS.__getitem__)
        network = replace(network, upsampling=upsampling)
    if info.uses_encoder and info.by_steps:
        is_frozen = (second if name in FCNS else first).toggle(
            "Freeze the encoder", help="Train what comes after it only: faster, and safer with few points."
        )
        training = replace(training, freeze_encoder=is_frozen)
    return network, training


def _parent(engine: Engine, project: Project, network: NetworkSpec) -> str:
    """File of the model to start from; asked only when there is one of this network."""
    if not NETWORKS[network.network].by_steps:
        return ""
    fitting = [
        model for model in models(engine.lab, project_id=project.id) if model.spec.get("network") == network.network
    ]
    if not fitting:
        return ""
    names = {"": "the encoder"} | {model.file: f"{model.name} ({model.n_points} points)" for model in fitting}
    chosen: str = st.selectbox(
        "Start from",
        list(names),
        format_func=names.__getitem__,
        help="A version of the same network and classes goes on with the points that came since.",
    )
    return chosen


def _with_order(project: Project, network: NetworkSpec, training: TrainingSpec) -> NetworkSpec:
    """The network with the use it makes of grades; asked only where there are some, and it can use them."""
    grades = project.learner.grades_of(label.id for label in project.classes)
    if not grades or training.parent or network.network in WITHOUT_ORDER:
        return network
    names = {label.id: label.name for label in project.classes}
    chosen: Order = st.selectbox(
        "Order of grades",
        list(ORDERS),
        index=list(ORDERS).index(USUAL_ORDER),
        format_func=ORDERS.__getitem__,
        help=f"The grades are {', '.join(names[grade] for grade in grades)}. A network that knows their order learns "
        "from every point something about all of them, and is seldom off by more than one.",
    )
    return replace(network, order=chosen)


def _advanced(network: NetworkSpec, training: TrainingSpec) -> tuple[NetworkSpec, TrainingSpec]:
    return (
        _advanced_network(network),
        replace(training, **_how_long(), **_what_is_seen(), **_learning(network, training)),
    )


def _advanced_network(network: NetworkSpec) -> NetworkSpec:
    left, right = st.columns(2)
    if NETWORKS[network.network].uses_encoder:
        chosen = left.selectbox(
            "Encoder",
            [DEFAULT_ENCODER, FROM_SCRATCH_IN_WORDS],
            accept_new_options=True,
            help="Any timm network with features at strides 2 to 32. Others than the first are fetched from the hub.",
        )
        network = replace(network, encoder=SCRATCH if chosen == FROM_SCRATCH_IN_WORDS else str(chosen))
    if network.encoder == SCRATCH:
        width = right.select_slider("Width", (8, 16, 32, 64, 128), 32, help="Channels of the first layer.")
        network = replace(network, width=width)
    return network


def _how_long() -> dict[str, Any]:
    left, right = st.columns(2)
    return {
        "epochs": left.number_input("Max. epochs", 1, 100_000, DEFAULTS.epochs),
        "patience": right.number_input(
            "Patience", 0, 100_000, 0, help="Stop after so many epochs without a better score; 0 never does."
        ),
    }


def _what_is_seen() -> dict[str, Any]:
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "working_side": left.select_slider(
            "Input size", SIDES, DEFAULTS.working_side, help="Longer side in pixels at which the network looks."
        ),
        "crop": right.select_slider(
            "Crop size",
            (0, *SIDES[:-1]),
            DEFAULTS.crop,
            format_func=lambda side: f"{side} px" if side else "Whole image",
            help="Part of an image for one step. Smaller ones need less memory and time, and show less around.",
        ),
    }
    left, right = st.columns(2)
    values["scale"] = left.slider("Scale jitter", 1.0, 3.0, DEFAULTS.scale, 0.1, format="%.1f x")
    values["rotate"] = right.slider("Rotation", 0, 180, int(DEFAULTS.rotate), format="%d °")
    left, right = st.columns(2, vertical_alignment="bottom")
    values["colour"] = left.slider("Colour jitter", 0.0, 1.0, DEFAULTS.colour, 0.1)
    values["flip"] = right.toggle("Horizontal flip", DEFAULTS.flip)
    return values


def _learning(network: NetworkSpec, training: TrainingSpec) -> dict[str, Any]:
    left, right = st.columns(2)
    values: dict[str, Any] = {
        "batch_size": left.number_input("Batch size", 1, 256, DEFAULTS.batch_size),
        "learning_rate": right.number_input(
            "Learning rate", 1e-7, 1.0, DEFAULTS.learning_rate, step=1e-4, format="%g", help="The highest one."
        ),
    }
    left, right = st.columns(2)
    values["seed"] = left.number_input("Seed", 0, 2**31 - 1, 0, help="Of every random choice.")
    if network.encoder != SCRATCH and not training.freeze_encoder:
        values["encoder_rate"] = right.slider(
            "Encoder learning-rate multiplier", 0.0, 1.0, DEFAULTS.encoder_rate, 0.05, help="It knows much already."
        )
    if not training.objective.is_counting:
        values["absent_weight"] = st.number_input(
            "Weight of absent tags", 0.0, 100.0, DEFAULTS.absent_weight, 0.1, format="%.1f", help=ABSENT_IN_WORDS
        )
    left, right = st.columns(2)
    balanced = left.toggle("Balance classes", value=True, help="Every class counts alike, however few its points.")
    values["class_weight"] = "balanced" if balanced else "none"
    if network.network in SKIPPING:
        values["staged"] = right.toggle(
            "Coarse to fine", DEFAULTS.staged, help="FCN-32s first, then 16s, then 8s, each from the one before."
        )
    return values
