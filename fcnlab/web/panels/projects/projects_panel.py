"""The parts of the projects page that change projects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from fcnlab.core.images.palette import class_colours, grade_colours
from fcnlab.domain.counting import Task
from fcnlab.domain.project import ClassLabel, LearnerSpec, Project, is_background_name
from fcnlab.errors import FcnlabError
from fcnlab.services.export.target import download_url, new_download
from fcnlab.services.installation.backup import backup
from fcnlab.services.projects import projects as project_service
from fcnlab.web import session
from fcnlab.web.frame import titled
from fcnlab.web.panels.projects.grades_panel import GRADES_HELP
from fcnlab.web.session import Engine

OBJECT_MODE_HELP = (
    "For a few objects per image: only regions that hold a click of their class stay, and holes nobody clicked are "
    "filled. Leave it off for textures, cells by the hundred, or when classes fill the image."
)
NO_OBJECT_MODE = "Object mode needs a background: what is not an object becomes it."
BACKGROUND_HELP = (
    "The class that is no object. It is not tinted, and formats of shapes leave it out. For land cover and whenever "
    "classes fill the image, there is none."
)
TASKS = {
    Task.MASKS: ("Segmentation", "A class for every pixel. Click a few pixels inside of objects and outside."),
    Task.COUNTS: ("Counting", "How many objects there are, and where. Click once on each object."),
}
"""The task of a project, in words, and how one labels for it."""


def welcome(engine: Engine) -> None:
    """What to do when there is no project."""
    with st.container(border=True):
        st.subheader("Start with a project", anchor=False)
        st.write(
            "A project is a set of images with one list of classes; its task is segmentation or counting. Create "
            "one, add images, and click."
        )
        new_project_button(engine)


def new_project_button(engine: Engine) -> None:
    """The button that opens the dialog for a new project."""
    if st.button("New project", icon=":material/add:"):
        _new_project(engine)


def actions(engine: Engine, project: Project) -> None:
    """Label, rename, archive, delete."""
    has_images = bool(project_service.images(engine.lab, project_id=project.id, count=1))
    if st.button("Label", type="primary", icon=":material/gesture:", disabled=not has_images):
        st.switch_page("pages/label.py", query_params={"project": str(project.id)})
    if st.button("Rename", icon=":material/edit:"):
        _rename(engine, project)
    if st.button("Archive", icon=":material/archive:", help="Out of sight; all of it stays."):
        _do(lambda: project_service.archive_project(engine.lab, project_id=project.id))
        session.forget_project()
        st.rerun()
    if st.button("Delete", icon=":material/delete:"):
        _delete(engine, project)


def archived(engine: Engine) -> None:
    """The projects that were put out of sight."""
    all_projects = project_service.projects(engine.lab, include_archived=True)
    hidden = [project for project in all_projects if project.archived]
    if not hidden:
        return
    if not st.toggle(f"Show archived projects ({len(hidden)})", key="archived-projects"):
        return
    for project in hidden:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.text(titled(project))
            if st.button("Take back", key=f"back-{project.id}", icon=":material/unarchive:"):
                _do(partial(project_service.unarchive_project, engine.lab, project_id=project.id))
                session.show(project_id=project.id)
                st.rerun()
            if st.button("Delete", key=f"delete-{project.id}", icon=":material/delete:"):
                _delete(engine, project)


def backup_button(engine: Engine) -> None:
    """A button that makes a backup of everything, then offers it."""
    with st.popover("Backup", icon=":material/backup:"):
        st.write("One file with the database, images, masks and models of all projects.")
        if st.button("Make a backup", type="primary"):
            try:
                with st.spinner("Copying"):
                    path = backup(engine.lab, new_download(engine.lab, name="fcnlab-backup.zip"))
                session.remember("backup", (download_url(path), path.stat().st_size))
            except FcnlabError as failure:
                session.explained(failure)
        made = session.peek("backup")
        if made is not None:
            st.link_button(f"Download ({made[1] / 1e6:.1f} MB)", made[0], icon=":material/download:")


@st.dialog("New project", width="medium")
def _new_project(engine: Engine) -> None:
    new_project_form(engine)


def new_project_form(engine: Engine) -> None:
    """Name, task and classes; making it leads there."""
    name = st.text_input("Name", placeholder="For example Nuclei 2026", max_chars=80)
    task = st.radio(
        "Task",
        list(TASKS),
        format_func=lambda task: TASKS[task][0],
        captions=[words for _, words in TASKS.values()],
        horizontal=True,
    )
    typed = st.text_input(
        "Classes",
        "background, object",
        help="Separate with commas. Background first, if there is one. More can be added later.",
    )
    names = [part.strip() for part in typed.split(",") if part.strip()]
    named = next((index for index, label in enumerate(names) if is_background_name(label)), None)
    is_graded = task is Task.MASKS and st.toggle(
        "The classes are grades, the lowest first", disabled=len(names) - (named is not None) < 2, help=GRADES_HELP
    )
    offered = _offered_colours(names, named, is_graded=is_graded)
    colours = []
    with st.container(horizontal=True):
        for index, label in enumerate(names[:24]):
            key = f"new-colour-{index}-{offered[index]}"
            colours.append(st.color_picker(session.escape_markdown(label), offered[index], key=key))
    key = f"new-background-{typed}-{task}"
    background = _background_choice(names, named, task, key=key, words=BACKGROUND_HELP)
    object_mode = False
    if task is Task.MASKS:
        object_mode = st.toggle("Object mode", value=False, disabled=background is None) and background is not None
        st.caption(OBJECT_MODE_HELP if background is not None else NO_OBJECT_MODE)
    elif len(names) < 2:
        st.caption("Name the background and at least one class more: what is counted.")
    # never disabled: what is typed into the field above arrives with the press
    missing = _missing_of_project(name, names, task, background)
    is_pressed = st.button("Create", type="primary")
    if is_pressed and missing:
        st.warning(missing, icon=":material/info:")
    elif is_pressed:
        try:
            labels = _labels(names, colours)
            grades = tuple(label.id for label in labels if label.id != background) if is_graded else ()
            made = project_service.create_project(
                engine.lab,
                name=name,
                labels=labels,
                learner=LearnerSpec(object_mode=object_mode, grades=grades if len(grades) > 1 else ()),
                task=task,
                background=background,
            )
            session.show(project_id=made.id)
            st.rerun()
        except FcnlabError as failure:
            session.explained(failure)


def _offered_colours(names: list[str], named: int | None, *, is_graded: bool) -> list[str]:
    """The colours that new classes of these names begin with; `named` is the place of the background."""
    colours = list(class_colours()[: len(names)])
    if is_graded:
        places = [index for index in range(len(colours)) if index != named]
        taken = [] if named is None else [colours[named]]
        for index, colour in zip(places, grade_colours(len(places), taken=taken), strict=True):
            colours[index] = colour
    return colours


def _missing_of_project(name: str, names: list[str], task: Task, background: int | None) -> str:
    """What a new project lacks, in words for people; empty: nothing."""
    if not name.strip():
        return "Give the project a name."
    if not names:
        return "Name at least one class."
    if task is Task.COUNTS and (background is None or len(names) < 2):
        return "A project that counts needs a background, and a class of what is counted."
    return ""


def background_choice(engine: Engine, project: Project) -> None:
    """Which class of a project is the background; a change takes effect at once."""
    names = [label.name for label in project.classes]
    ids = [label.id for label in project.classes]
    now = ids.index(project.background) if project.background in ids else None
    key = f"background-{project.id}-{project.background}-{names}"
    with st.expander("Background class", icon=":material/layers:"):
        st.caption(BACKGROUND_HELP)
        chosen = _background_choice(names, now, project.task, key=key)
    if chosen != now and _do(
        lambda: project_service.set_background(
            engine.lab, project_id=project.id, class_id=None if chosen is None else ids[chosen]
        )
    ):
        engine.jobs.changed(project.id)
        st.rerun()


def _background_choice(
    names: list[str], preset: int | None, task: Task, *, key: str, words: str | None = None
) -> int | None:
    """The place of the class that is chosen as background; None for none, which is no choice where objects count.

    `words` explain it where the page does not.
    """
    options: list[int | None] = [*([] if task is Task.COUNTS else [None]), *range(len(names))]
    chosen: int | None = st.selectbox(
        "Background",
        options,
        index=options.index(preset) if preset in options else None,
        placeholder="Which class is no object?",
        format_func=lambda index: "None: no class is background" if index is None else names[index],
        help=words,
        key=key,
    )
    return chosen


def _labels(names: list[str], colours: list[str]) -> tuple[ClassLabel, ...]:
    labels = project_service.labels_of(names)
    chosen = [*colours, *(label.colour for label in labels[len(colours) :])]
    return tuple(replace(label, colour=colour) for label, colour in zip(labels, chosen, strict=True))


@st.dialog("Rename project")
def _rename(engine: Engine, project: Project) -> None:
    with st.form("rename", border=False):
        name = st.text_input("Name", project.name, max_chars=80)
        if st.form_submit_button("Rename", type="primary") and _do(
            lambda: project_service.rename_project(engine.lab, project_id=project.id, name=name)
        ):
            st.rerun()


@st.dialog("Delete project")
def _delete(engine: Engine, project: Project) -> None:
    overview = project_service.dashboard(engine.lab, project_id=project.id)
    st.write(f"This deletes {overview.n_images} images, {overview.n_points} points and all masks, for good.")
    typed = st.text_input("Type the name of the project to confirm", placeholder=project.name)
    if st.button("Delete for good", type="primary", disabled=typed.strip() != project.name) and _do(
        lambda: project_service.delete_project(engine.lab, project_id=project.id)
    ):
        session.forget_project()
        st.rerun()


def _do(change: Callable[[], object]) -> bool:
    """Make a change, or explain why not; whether it was made."""
    try:
        change()
    except FcnlabError as failure:
        session.explained(failure)
        return False
    return True
