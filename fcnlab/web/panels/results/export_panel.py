"""The parts of the export page."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import TypeVar

import streamlit as st

from fcnlab.domain.export import ExportSpec
from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError
from fcnlab.services.export.exporting import export_project, preview, preview_image
from fcnlab.services.export.plan import ExportProgress, Runner, outlook
from fcnlab.services.export.target import download_url, new_download
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.web import session
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


def runner_of(own: Engine, project: Project) -> Runner:
    """Runs each step on the compute thread, so that clicks go between."""

    def run(work: Callable[[ProjectLearner], Result], /) -> Result:
        return own.jobs.run(work, project_id=project.id).result()

    return run


def empty_state(own: Engine, project: Project) -> bool:
    """Say what is missing before anything can be exported; whether something is."""
    found = outlook(own.lab, project_id=project.id)
    if found.n_images == 0:
        st.info(
            "This project has no images yet. Add some on the **Projects** page.", icon=":material/add_photo_alternate:"
        )
    elif not found.can_predict and not found.n_done:
        st.info(
            "Nothing can be learned yet. Click at least one pixel of two classes on the **Label** page; "
            "then every image gets a mask.",
            icon=":material/gesture:",
        )
    else:
        return False
    if st.button("Go to labelling" if found.n_images else "Go to projects", icon=":material/arrow_forward:"):
        page = "pages/label.py" if found.n_images else "pages/projects.py"
        st.switch_page(page, query_params={"project": str(project.id)})
    return True


@st.fragment
def form(own: Engine, project: Project) -> None:
    """Choices and download; reruns alone, so that the preview is not made again."""
    make_and_offer(own, project, export_choices.choices(outlook(own.lab, project_id=project.id), project))


def make_and_offer(own: Engine, project: Project, spec: ExportSpec | None) -> None:
    """The button that makes the export, its progress, and the download."""
    pressed = st.button("Make the export", type="primary", icon=":material/folder_zip:", disabled=spec is None)
    if pressed and spec is not None:
        bar = st.progress(0.0, "Starting")
        path = new_download(own.lab, name=f"{project.name}.zip")
        try:
            steps = export_project(own.lab, runner_of(own, project), project_id=project.id, spec=spec, to=path)
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
        _offer(*made[2:])


def show_preview(own: Engine, project: Project) -> None:
    """One image under its mask."""
    image = preview_image(own.lab, project_id=project.id)
    if image is None:
        return
    run = runner_of(own, project)
    try:
        with st.spinner("Making a preview"):
            found = run(lambda learner: preview(own.lab, learner, image))
    except FcnlabError as failure:
        session.explained(failure)
        return
    if found is not None:
        words = "the mask it kept when it was marked done" if found.kind == "stored" else "a predicted mask"
        st.image(found.rgb, f"{session.plain(found.image.name)} with {words}", width="stretch")
        st.html(legend([(label.name, label.colour) for label in project.classes]))


def _offer(url: str, n_bytes: int, last: ExportProgress) -> None:
    st.success(
        f"{last.n_stored + last.n_predicted} masks ({last.n_stored} stored, {last.n_predicted} predicted), "
        f"{_size(n_bytes)}",
        icon=":material/check_circle:",
    )
    st.link_button("Download", url, type="primary", icon=":material/download:")
    if last.left_out:
        with st.expander(f"{len(last.left_out)} left out", icon=":material/warning:", expanded=True):
            for name, reason in last.left_out:
                st.text(f"{name}: {reason}")


def _size(n_bytes: int) -> str:
    if n_bytes < 1e6:
        return f"{max(1, round(n_bytes / 1e3))} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
