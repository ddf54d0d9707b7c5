"""Adding images to a project: from this computer, or from a folder of the server."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from fcnlab.domain.project import Project
from fcnlab.errors import FcnlabError, StorageFull
from fcnlab.services.images.import_sources import (
    WELCOME,
    allows_uris,
    import_path,
    import_uploads,
    import_uri,
)
from fcnlab.services.images.importing import ImportProgress
from fcnlab.services.projects.projects import dashboard, images
from fcnlab.web import session
from fcnlab.web.help.diagnosis import shows_paths
from fcnlab.web.panels.projects.covers import cover_row
from fcnlab.web.session import Engine

MASKS_KEY = "import-masks"
PREVIEWS = 6
SHOWN_MOST = 200
"""Files left out that are named on the page."""


def add_images(engine: Engine, project: Project) -> None:
    """Upload and folder import, and what the last one did."""
    st.subheader("Add images", anchor=False)
    sources = st.container()
    # drawn before an import, whose end would forget what it says
    st.toggle("Import mask files as images, too", key=MASKS_KEY)
    st.caption(
        "Off: mask files beside their images (plant\\_mask.png beside plant.jpg) are left out. Bring them in under "
        "**Labels from other tools**."
    )
    ways = {"Files": _upload, "Folder": _upload_folder}
    by_path = "By path" if shows_paths(engine.lab.settings) else "Server folder"
    ways |= {by_path: _folder} if engine.lab.settings.import_roots else {}
    ways |= {"Web address": _address} if allows_uris(engine.lab) else {}
    for tab, draw in zip(sources.tabs(list(ways)), ways.values(), strict=True):
        with tab:
            draw(engine, project)
    _report(engine, project)


def _with_masks() -> bool:
    return bool(st.session_state.get(MASKS_KEY, False))


def _upload(engine: Engine, project: Project) -> None:
    # of any kind: what is no image is named, where the widget would drop it
    files = st.file_uploader(WELCOME, accept_multiple_files=True, key=f"upload-{project.id}-{_turn()}")
    _take_in(engine, project, files)


def _upload_folder(engine: Engine, project: Project) -> None:
    words = "All files of a folder on this computer, and of those in it"
    key = f"upload-folder-{project.id}-{_turn()}"
    _take_in(engine, project, st.file_uploader(words, accept_multiple_files="directory", key=key))


def _turn() -> int:
    """Part of the keys of the upload widgets; another one empties them."""
    return int(session.peek("uploads", 0))


def _take_in(engine: Engine, project: Project, files: list[UploadedFile]) -> None:
    if files:
        _import(
            engine,
            project,
            import_uploads(engine.lab, files, project_id=project.id, with_masks=_with_masks()),
            total=None,
        )
        session.remember("uploads", _turn() + 1)
        st.rerun()


def _folder(engine: Engine, project: Project) -> None:
    roots = engine.lab.settings.import_roots
    with st.form("folder", border=False):
        typed = st.text_input(
            "Folder, or a zip archive, on the machine that runs fcnlab",
            placeholder=f"For example {roots[0] / 'photos'}",
            help=f"Inside {', '.join(str(root) for root in roots)}.",
        )
        pressed = st.form_submit_button("Import it", icon=":material/drive_folder_upload:")
    if pressed and not typed.strip():
        st.warning("Type the path of a folder or zip archive.", icon=":material/info:")
    elif pressed:
        try:
            steps = import_path(engine.lab, Path(typed.strip()), project_id=project.id, with_masks=_with_masks())
            _import(engine, project, steps, total=None)
        except FcnlabError as failure:
            session.explained(failure)
        else:
            st.rerun()


def _address(engine: Engine, project: Project) -> None:
    with st.form("address", border=False):
        typed = st.text_input("Address", placeholder="https://example.org/images.zip")
        pressed = st.form_submit_button("Import it", icon=":material/cloud_download:")
    if pressed and typed.strip():
        try:
            steps = import_uri(engine.lab, typed.strip(), project_id=project.id, with_masks=_with_masks())
            _import(engine, project, steps, total=None)
        except FcnlabError as failure:
            session.explained(failure)
        else:
            st.rerun()


def _import(engine: Engine, project: Project, steps: Iterable[ImportProgress], *, total: int | None) -> None:
    bar = st.progress(0.0, "Reading")
    added, duplicates = 0, 0
    refused: list[tuple[str, str]] = []
    set_aside: list[tuple[str, str]] = []
    try:
        for step in steps:
            count = total or step.total or step.done
            bar.progress(min(1.0, step.done / count), f"{step.done} of {count}: {session.escape_markdown(step.name)}")
            if step.refused is not None:
                (set_aside if step.is_set_aside else refused).append((step.name, step.refused))
            elif step.duplicate:
                duplicates += 1
            else:
                added += 1
    except StorageFull as failure:
        refused.append(("All that follow", str(failure)))
    engine.jobs.changed(project.id)
    session.remember("imported", (project.id, added, duplicates, refused, set_aside))


def _report(engine: Engine, project: Project) -> None:
    report = session.peek("imported")
    if report is None or report[0] != project.id:
        return
    _, added, duplicates, refused, set_aside = report
    n_before = dashboard(engine.lab, project_id=project.id).n_images - added
    counts = (
        (duplicates, "there already"),
        (len(refused), "left out"),
        (len(set_aside), "no images or masks, set aside"),
    )
    words = ", ".join([f"{added} added", *(f"{count} {what}" for count, what in counts if count)])
    (st.warning if refused else st.success)(words, icon=":material/warning:" if refused else ":material/check_circle:")
    if added:
        newest = images(engine.lab, project_id=project.id, start=max(0, n_before), count=PREVIEWS)
        st.html(cover_row(project, newest))
        if st.button("Start labelling", type="primary", icon=":material/gesture:"):
            st.switch_page("pages/label.py", query_params={"project": str(project.id)})
    for title, left_out in (("Left out", refused), ("Set aside", set_aside)):
        if left_out:
            with st.expander(title, expanded=title == "Left out" or len(left_out) < 5):
                for name, reason in left_out[:SHOWN_MOST]:
                    st.text(reason if name in reason else f"{name}: {reason}")
                if len(left_out) > SHOWN_MOST:
                    st.text(f"And {len(left_out) - SHOWN_MOST} more")
