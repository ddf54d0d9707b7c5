"""The form of the compare page: which networks, on what, for how long."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import get_args

import streamlit as st

from fcnlab.core.networks.registry import NETWORKS
from fcnlab.domain.comparison import Comparison, ComparisonSpec
from fcnlab.domain.counting import Task
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.network import (
    COUNTING_NETWORK,
    ORDERS_IN_WORDS,
    USUAL_ORDER,
    NetworkName,
    NetworkSpec,
    Order,
    Upsampling,
)
from fcnlab.domain.project import Project
from fcnlab.domain.scores import duration_in_words
from fcnlab.domain.training import ABSENT_IN_WORDS
from fcnlab.errors import FcnlabError
from fcnlab.services.comparing.comparisons import FCNS, TELLING, candidate, start_comparison, title_of
from fcnlab.services.projects.projects import images
from fcnlab.services.training.workers import ensure_worker
from fcnlab.web import frame, session
from fcnlab.web.session import Engine

MINUTES = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0)
HOLDOUTS = (0.1, 0.2, 0.25, 0.3, 0.5)
SIDES = (256, 384, 512, 768, 1024)
UPSAMPLINGS: tuple[Upsampling, ...] = ("transposed", "bilinear", "bicubic", "nearest")
MEASURING_S = 10
"""About what is needed for each network beside its training."""

SHOWN = {
    Task.MASKS: "accuracy, time per image, size, and the masks themselves",
    Task.COUNTS: "how far counts of validation images are off, time per image, and size",
}
"""What a comparison shows of each network, by the task of the project."""

QUESTION = "Every idea"
PRESETS: dict[str, tuple[tuple[NetworkName, Upsampling], ...]] = {
    QUESTION: TELLING,
    "32s, 16s, 8s": tuple((name, "transposed") for name in (NetworkName.FCN32S, NetworkName.FCN16S, NetworkName.FCN8S)),
    "Upsampling": tuple((NetworkName.FCN8S, upsampling) for upsampling in UPSAMPLINGS),
}
"""Networks that answer a question together; others can be added and left out."""

QUESTIONS = (
    ("Why are sliding windows slow?", "Compare the time per image of *Sliding window* and *Sliding window, at once*."),
    ("What do fully connected layers lose?", "Look at the borders of *Fully connected*, and at the sizes it takes."),
    ("What do skips give?", "Compare *FCN-32s* with *FCN-8s* and *FCN-2s*: the same encoder, finer and finer stages."),
    ("What does learned upsampling give?", "Compare *FCN-8s, transposed* with *FCN-8s, bilinear*."),
    ("What does an encoder that knows much give?", "Compare *U-Net* with *Deconvolution network*, from scratch."),
)


def invitation(project: Project) -> None:
    """What a comparison shows, for a project that has none yet."""
    with st.container(border=True):
        st.markdown("**See for yourself which network to train**")
        st.write(
            "All networks get the same points, the same validation images and the same time; what comes out stands "
            f"side by side: {SHOWN[project.task]}. Questions it answers:"
        )
        st.markdown("\n".join(f"- **{question}** {where}" for question, where in QUESTIONS))


@st.fragment
def form(engine: Engine, project: Project) -> None:
    """Choices and the button that starts; reruns alone."""
    is_counting = project.task is Task.COUNTS
    networks = _with_orders(project, _networks(is_counting=is_counting))
    left, middle, right = st.columns(3)
    minutes = left.select_slider("Time for each network", MINUTES, 1.0, format_func=frame.minutes_in_words)
    holdout = middle.select_slider(
        "Validation images",
        HOLDOUTS,
        0.25,
        format_func=lambda part: f"{part:.0%}",
        help="Part of the labelled images that nobody learns from.",
    )
    side = 384
    if is_counting:
        right.caption("Each network is trained twice: for a density, and for blobs.")
    else:
        side = right.select_slider(
            "Input size", SIDES, 384, help="Longer side in pixels at which all look at an image. Smaller is faster."
        )
    project_images = images(engine.lab, project_id=project.id)
    labelled = [image for image in project_images if image.n_points or (is_counting and image.is_complete)]
    with st.expander("Images and more", icon=":material/tune:"):
        image_ids, shown_ids, has_instant, staged, seed, absent_weight = _more(labelled)
    if st.button("Compare", type="primary", icon=":material/compare_arrows:", disabled=not networks):
        try:
            spec = ComparisonSpec(
                tuple(networks),
                minutes=float(minutes),
                image_ids=tuple(image_ids),
                shown_ids=tuple(shown_ids),
                has_instant=has_instant,
                holdout=float(holdout),
                seed=int(seed),
                working_side=int(side),
                staged=staged,
                absent_weight=float(absent_weight),
            )
            made = _started(engine, project, spec)
        except FcnlabError as failure:
            session.explained(failure)
            return
        session.remember("comparison", made.id)
        st.rerun(scope="app")
    if not networks:
        st.caption(":material/info: Choose at least one network.")
        return
    used = [image for image in labelled if not image_ids or image.id in image_ids]
    whole = len(networks) * (2 if is_counting else 1) * (float(minutes) * 60 + MEASURING_S)
    st.caption(
        f"{_count(len(networks), 'network')}, one after another: about {duration_in_words(whole)}. "
        f"All learn from the {_count(sum(image.n_points for image in used), 'point')} of now in "
        f"{_count(len(used), 'image')} that are not for validation. It goes on when you close this page."
    )
    if len(used) < 3:
        st.caption(
            ":material/info: With fewer than three labelled images there are no validation images, and no scores."
        )


def _networks(*, is_counting: bool) -> list[NetworkSpec]:
    """What was chosen among all networks, the FCNs with each upsampling."""
    specs: dict[tuple[NetworkName, Upsampling], NetworkSpec] = {
        (name, upsampling): candidate(name, upsampling)
        for name, info in NETWORKS.items()
        if info.by_steps  # the larger head takes part with the instant learner
        for upsampling in (UPSAMPLINGS if name in FCNS else UPSAMPLINGS[:1])
    }
    preset = "counting" if is_counting else st.pills("Question", list(PRESETS), default=QUESTION, required=True)
    picked: list[tuple[NetworkName, Upsampling]] = st.multiselect(
        "Networks",
        list(specs),
        [(COUNTING_NETWORK, "transposed")] if is_counting else list(PRESETS[str(preset)]),
        key=f"networks-{preset}",
        format_func=lambda pair: title_of(specs[pair]),
        help=None if is_counting else "In *Every idea* each differs from its neighbour by one.",
    )
    return [specs[pair] for pair in picked]


def _with_orders(project: Project, networks: list[NetworkSpec]) -> list[NetworkSpec]:
    """Each network with every order of grades wanted; asked only where there are grades."""
    if project.task is Task.COUNTS or not project.learner.grades_of(label.id for label in project.classes):
        return networks
    orders = st.pills(
        "Order of grades",
        get_args(Order),
        selection_mode="multi",
        default=[USUAL_ORDER],
        format_func=lambda order: ORDERS_IN_WORDS[order][:1].upper() + ORDERS_IN_WORDS[order][1:],
        help="Each network takes part once for each: with proportional odds, with CORN, and without the order.",
    )
    return [replace(network, order=order) for network in networks for order in orders or [USUAL_ORDER]]


def _started(engine: Engine, project: Project, spec: ComparisonSpec) -> Comparison:
    """The comparison, under way. Raises FcnlabError."""
    with st.spinner("Choosing the images that nobody learns from"):
        labeller = session.labeller() or frame.ANONYMOUS
        made = start_comparison(engine.lab, project_id=project.id, spec=spec, labeller=labeller)
    ensure_worker(engine.lab, project_id=project.id)
    return made


def _more(labelled: Sequence[ImageInfo]) -> tuple[list[int], list[int], bool, bool, int, float]:
    """Ids of the images learned from and of those shown; whether the instant learner takes part, and FCNs are trained
    coarse to fine; the seed; the weight of absent tags."""
    names = {image.id: image.name for image in labelled}
    image_ids = st.multiselect(
        "Images", list(names), format_func=names.__getitem__, placeholder="All images with points"
    )
    shown_ids = st.multiselect(
        "Masks to look at",
        list(names),
        format_func=names.__getitem__,
        placeholder="Four images, validation images first",
        max_selections=8,
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    seed = left.number_input("Seed", 0, 2**31 - 1, 0, help="Of the choice of validation images, and of every training.")
    has_instant = right.toggle("The instant learner takes part", value=True)
    staged = right.toggle(
        "FCN-16s and FCN-8s coarse to fine",
        value=True,
        help="Each begins as the coarser one before it, which takes a part of its time. It is measured at its own "
        "stage alone. Off: all of its time is its own.",
    )
    absent_weight = left.number_input(
        "Weight of absent tags", 0.0, 100.0, 0.0, 0.1, format="%.1f", help=ABSENT_IN_WORDS
    )
    return image_ids, shown_ids, has_instant, staged, seed, absent_weight


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
