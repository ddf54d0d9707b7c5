"""The parts of the export page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.export.exporting import estimate, export_project, learning_for, preview, preview_image
from fcnlab.services.export.plan import ExportProgress, Runner, export_summary
from fcnlab.services.export.target import download_url, new_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.web import frame, session
from fcnlab.web.panels.projects.dashboard import legend
from fcnlab.web.panels.results import export_choices
from fcnlab.web.session import Engine

Result = TypeVar("Result")
PHASES = {
    "learning": "Learning from labelled images",
    "keeping": "Making masks of done images",
    "splitting": "Looking which images are alike",
    "writing": "Writing",
    "finished": "Finished",
}


def runner_of(engine: Engine, project: Project) -> Runner:
    """A runner of steps with the project's learner, on the compute thread, so that clicks go between."""

    def run(work: Callable[[ProjectLearner], Result], /) -> Result:
        return engine.jobs.run(work, project_id=project.id).result()

    return run


def empty_state(engine: Engine, project: Project) -> bool:
    """Say what is missing before anything can be exported; whether something is."""
    summary = export_summary(engine.lab, project_id=project.id)
    if summary.n_images == 0:
        frame.lead(project, frame.NO_IMAGES, to="projects")
        return True
    if summary.can_predict or summary.n_done:
        return False
    words = (
        "Nothing can be learned yet. Click at least one pixel of two classes on the **Label** page; then every image "
        "gets a mask."
    )
    frame.lead(project, words, to="label")
    return True


@st.fragment
def form(engine: Engine, project: Project) -> None:
    """Choices and download; reruns alone, so that the preview is not made again."""
    bar = st.container(key="export_bar")  # above the choices, and in view whatever is scrolled
    spec = export_choices.choices(export_summary(engine.lab, project_id=project.id), project)
    with bar:
        make_and_offer(engine, project, spec)


def make_and_offer(engine: Engine, project: Project, spec: ExportSpec | None) -> None:
    """The button that makes the export, its progress, and the download."""
    with st.container(horizontal=True, vertical_alignment="center"):
        pressed = st.button("Export", type="primary", icon=":material/folder_zip:", disabled=spec is None)
        offer = st.container(horizontal=True, vertical_alignment="center", width="content")
        about = st.empty()
    if pressed and spec is not None:
        bar = st.progress(0.0, "Starting")
        path = new_download(engine.lab, name=f"{project.name}.zip")
        try:
            steps = export_project(engine.lab, runner_of(engine, project), project_id=project.id, spec=spec, to=path)
            with closing(steps):
                for step in steps:
                    words = f"{PHASES[step.phase]}: {step.done} of {step.total}"
                    bar.progress(min(1.0, step.done / max(1, step.total)), words)
            session.remember("export", (project.id, spec, download_url(path), path.stat().st_size, step))
        except FcnlabError as failure:
            session.explained(failure)
        bar.empty()
    made = session.peek("export")
    if made is not None and made[:2] == (project.id, spec):
        with offer:
            st.link_button(f"Download ({_size(made[3])})", made[2], type="primary", icon=":material/download:")
        _about(made[4])
    elif spec is not None:
        words = _expected(engine, project, spec, about)
        if words:
            about.caption(words)
        else:
            about.empty()


def _expected(engine: Engine, project: Project, spec: ExportSpec, about: DeltaGenerator) -> str:
    """How many images and bytes an export will have; remembered until the project or the choice is another one.

    Empty where that cannot be told now: whoever exports is told why. `about` says how far the learning before is.
    """
    key = (project.id, export_summary(engine.lab, project_id=project.id), spec)
    remembered = session.peek("export_estimate")
    if remembered is None or remembered[0] != key:
        run = runner_of(engine, project)
        try:
            for done, total, _ in learning_for(engine.lab, run, project_id=project.id, spec=spec):
                about.caption(f"{PHASES['learning']}: {done} of {total}")
            expected = estimate(engine.lab, run, project_id=project.id, spec=spec)
        except FcnlabError:
            return ""
        if expected is None:
            return ""
        images = "1 image" if expected.n_images == 1 else f"{expected.n_images} images"
        remembered = (key, f"{images}, about {_size(expected.n_bytes)}")
        session.remember("export_estimate", remembered)
    return str(remembered[1])


def show_preview(engine: Engine, project: Project) -> None:
    """One image under its mask."""
    image = preview_image(engine.lab, project_id=project.id)
    if image is None:
        return
    run = runner_of(engine, project)
    try:
        with st.spinner("Making a preview"):
            shown = run(lambda learner: preview(engine.lab, learner, image))
    except FcnlabError as failure:
        session.explained(failure)
        return
    if shown is not None:
        words = "the mask it kept when it was marked done" if shown.kind == "stored" else "a predicted mask"
        st.image(
            shown.rgb,
            f"{session.escape_markdown(shown.image.name)} with {words}",
            width="stretch",
            alt=f"{shown.image.name} with {words} over it",
        )
        st.html(legend([(label.name, label.colour) for label in project.classes]))


def _about(last: ExportProgress) -> None:
    """What a finished export holds, and what it left out."""
    st.success(
        f"{last.n_stored + last.n_predicted} masks ({last.n_stored} kept, {last.n_predicted} predicted)",
        icon=":material/check_circle:",
    )
    if last.left_out:
        with st.expander(f"{len(last.left_out)} left out", icon=":material/warning:", expanded=True):
            for name, reason in last.left_out:
                st.text(f"{name}: {reason}")


def _size(n_bytes: int) -> str:
    if n_bytes < 1e6:
        return f"{max(1, round(n_bytes / 1e3))} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
