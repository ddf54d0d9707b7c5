"""The form of the train page in a project that counts: what the network draws, for how long, on what."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.counting import Objective
from fcnlab.domain.network import COUNTING_NETWORK, DEFAULT_ENCODER, SCRATCH, NetworkSpec
from fcnlab.domain.project import Project
from fcnlab.domain.training import TrainingSpec, counting_training
from fcnlab.errors import FcnlabError
from fcnlab.services.counting.project_counts import MarkedTotals, marked_totals
from fcnlab.services.training.trainings import start_counting
from fcnlab.services.training.workers import ensure_worker
from fcnlab.web import frame, session
from fcnlab.web.session import Engine

USUAL = counting_training(Objective.DENSITY)
MINUTES = (2, 5, 10, 20, 30, 60, 120, 240, 0)
HOLDOUTS = (0.0, 0.1, 0.2, 0.3, 0.5)
FEW_COMPLETE = 5
WAYS: dict[tuple[Objective, ...], tuple[str, str]] = {
    (Objective.DENSITY, Objective.BLOBS): (
        "Both, use the better",
        "Trains one after the other on the same images, and uses the one whose counts of validation images are less "
        "off.",
    ),
    (Objective.DENSITY,): ("Density", "A map whose sum is the count: steady where objects are many, or overlap."),
    (Objective.BLOBS,): ("Blobs", "One blob per object, which can be checked one by one."),
}


def empty_state(project: Project, totals: MarkedTotals) -> bool:
    """Say what is missing before a network can learn to count, and lead there; whether something is."""
    if totals.n_objects:
        return False
    words = (
        "There is nothing to learn from yet. On the **Label** page, click every object of a few images, and say that "
        "all are marked (**t**)."
    )
    if totals.n_images:
        frame.lead(project, words, to="label")
    else:
        frame.lead(project, frame.NO_IMAGES, to="projects")
    return True


def readiness(engine: Engine, project: Project) -> MarkedTotals:
    """What is marked in the project. Raises UnknownProject."""
    return marked_totals(engine.lab, project_id=project.id)


def invitation() -> None:
    """What training gives, for a project that has none yet."""
    with st.container(border=True):
        st.markdown("**From clicks to a network that counts**")
        st.write(
            "The instant counter on the Label page answers every click, but knows only what the objects you marked "
            "look like. Training adapts a whole network to your objects, from the same points, in minutes on a "
            "processor. Crowded and overlapping objects gain most."
        )
        st.write(
            "A part of the images that are all marked is kept for validation. They say by how much counts are off, and "
            "give every count its interval."
        )


@st.fragment
def form(engine: Engine, project: Project, totals: MarkedTotals) -> None:
    """Choices and the button that starts; reruns alone, so that curves are not drawn again."""
    st.subheader("New training", anchor=False)
    network, training, objectives = _basic(project, totals)
    with st.expander("Advanced", icon=":material/tune:"):
        network, training = _advanced(network, training)
    marked = f"{totals.n_objects} objects; {totals.n_complete} of {totals.n_images} images are all marked"
    if st.button("Start training", type="primary", icon=":material/model_training:", help=marked):
        try:
            start_counting(
                engine.lab,
                project_id=project.id,
                network=network,
                training=training,
                objectives=objectives,
                labeller=session.labeller() or "anonymous",
            )
            ensure_worker(engine.lab, project_id=project.id)
        except FcnlabError as failure:
            session.explained(failure)
            return
        st.rerun(scope="app")
    each = " each" if len(objectives) > 1 else ""
    end = f"{training.minutes:g} min" if training.minutes else f"{training.epochs} epochs"
    st.caption(
        f"{marked}; ends after {end}{each}. Training goes on when you close this page, and points you click meanwhile "
        "join the next epoch."
    )


def _basic(project: Project, totals: MarkedTotals) -> tuple[NetworkSpec, TrainingSpec, tuple[Objective, ...]]:
    names = [info.name for info in NETWORKS.values() if info.by_steps]
    name = st.selectbox(
        "Network", names, index=names.index(COUNTING_NETWORK), format_func=lambda name: NETWORKS[name].title
    )
    objectives = st.radio(
        "What it draws",
        list(WAYS),
        format_func=lambda way: WAYS[way][0],
        captions=[words for _, words in WAYS.values()],
    )
    left, right = st.columns(2)
    minutes = left.select_slider(
        "Time limit each" if len(objectives) > 1 else "Time limit", MINUTES, 5, format_func=frame.minutes_in_words
    )
    holdout = right.select_slider(
        "Validation images",
        HOLDOUTS,
        USUAL.holdout,
        format_func=lambda part: f"{part:.0%}" if part else "none",
        help="Part of the images that are all marked which training never sees. Without it nobody knows how far counts "
        "are off.",
    )
    if totals.n_complete < FEW_COMPLETE:
        st.caption(
            ":material/info: Few images are all marked. Mark all in some more: they teach where nothing is, and "
            "only they can be validation images."
        )
    encoder = DEFAULT_ENCODER if NETWORKS[name].uses_encoder else SCRATCH
    network = NetworkSpec(name, max(2, len(project.classes)), encoder=encoder)
    return network, replace(USUAL, minutes=float(minutes), holdout=holdout), objectives


def _advanced(network: NetworkSpec, training: TrainingSpec) -> tuple[NetworkSpec, TrainingSpec]:
    left, right = st.columns(2)
    magnification = left.number_input(
        "Magnification",
        0.0,
        8.0,
        0.0,
        step=0.25,
        help="By how much images are enlarged for the network. 0 chooses it by the distance between objects.",
    )
    crop = right.number_input(
        "Crop size", 0, 4096, training.crop, help="Pixels of a side for one step; 0: whole images."
    )
    batch_size = left.number_input("Batch size", 1, 256, training.batch_size)
    learning_rate = right.number_input(
        "Learning rate", 1e-7, 1.0, training.learning_rate, step=1e-4, format="%g", help="The highest one."
    )
    colour = left.slider("Colour jitter", 0.0, 1.0, training.colour, 0.1)
    epochs = right.number_input("Max. epochs", 1, 100_000, training.epochs)
    seed = left.number_input("Seed", 0, 2**31 - 1, 0, help="Of every random choice.")
    if network.encoder == SCRATCH:
        width = right.select_slider("Width", (8, 16, 32, 64, 128), 32, help="Channels of the first layer.")
        network = replace(network, width=width)
    changed = replace(
        training,
        magnification=magnification,
        crop=crop,
        batch_size=batch_size,
        learning_rate=learning_rate,
        colour=colour,
        epochs=epochs,
        seed=seed,
    )
    return network, changed
