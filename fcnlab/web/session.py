"""The only module that touches `st.session_state`, `st.query_params` and `st.cache_*`."""

from __future__ import annotations

import gc
import logging
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import streamlit as st

from fcnlab.access import page_settings
from fcnlab.domain.counting import Task
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import FcnlabError, as_sentence, storage_failure
from fcnlab.lab import Lab, open_lab
from fcnlab.services.comparing.model_difference import tile_jpeg
from fcnlab.services.counting.jobs import CountJobs
from fcnlab.services.images.imaging import Sample, sample_of
from fcnlab.services.installation.sweeping import sweep_quietly
from fcnlab.services.live.jobs import Jobs
from fcnlab.services.projects.demos import make_first_demo, make_other_demos
from fcnlab.services.projects.statistics import pixels_per_class
from fcnlab.services.surveys.jobs import SurveyJobs
from fcnlab.services.tags.jobs import TagJobs
from fcnlab.services.tags.scoring import ScoredTags
from fcnlab.services.training.workers import ensure_workers
from fcnlab.settings import load_settings

log = logging.getLogger(__name__)

DEMOS_AFTER_S = 12.0
"""The first view and its mask come first."""

CANVAS_KEY = "workspace"
OF_PROJECT = ("image", "survey", "answering")
"""What an address says of a project: another one has none of it."""

MAX_NAME = 60

SWITCH_INTERVAL_S = 0.0005
"""How long a page may hold the interpreter while a click waits for it; Python's default is ten times that."""


@dataclass(frozen=True, slots=True)
class Engine:
    """What one server process works with.

    Attributes:
        scene_numbers: they rise, also from one process to the next.
        project_ids: of the keys that were asked for; a key never becomes that of another project.
        tags: who suggests tags, behind the other work of `jobs`.
    """

    lab: Lab
    jobs: Jobs
    scene_numbers: Iterator[int] = field(default_factory=count)
    project_ids: dict[str, int] = field(default_factory=dict)
    tags: TagJobs = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tags", TagJobs(self.lab, self.jobs))


@dataclass(frozen=True, slots=True)
class View:
    """What one browser tab looks at: from the address, so that a reload and a link show the same."""

    project_id: int | None
    image_id: int | None
    labeller: str | None


@st.cache_resource(show_spinner="Opening fcnlab")
def engine() -> Engine:
    """The lab and the background work, built once per process."""
    lab = open_lab(page_settings(load_settings(), listens_on=st.get_option("server.address") or ""))
    try:
        make_first_demo(lab)
    except BaseException:  # the next visit tries again
        lab.close()
        raise
    threading.Thread(target=sweep_quietly, args=(lab,), name="fcnlab-sweep", daemon=True).start()
    threading.Thread(target=_make_demos, args=(lab,), name="fcnlab-demos", daemon=True).start()
    jobs = Jobs(lab)
    jobs.warm_up()
    ensure_workers(lab)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()  # what is loaded now stays; full collections need not walk through it
    return Engine(lab, jobs, count(int(lab.clock().timestamp() * 1000)))


def _make_demos(lab: Lab) -> None:
    """Make the other demos once the first page had time to be shown."""
    time.sleep(DEMOS_AFTER_S)
    try:
        for project in make_other_demos(lab):
            if project.task is Task.COUNTS:
                count_jobs().start(project.id)
    except Exception:
        log.exception("a demo was not made; restore it on the Projects page")


@st.cache_resource(show_spinner=False)
def count_jobs() -> CountJobs:
    """Who counts whole projects in this process."""
    of_process = engine()
    return CountJobs(of_process.lab, of_process.jobs)


@st.cache_resource(show_spinner=False)
def survey_jobs() -> SurveyJobs:
    """Who predicts the images of surveys in this process."""
    of_process = engine()
    return SurveyJobs(of_process.lab, of_process.jobs)


@st.cache_data(show_spinner=False, max_entries=50_000)
def mask_area(file: str) -> dict[int, int]:
    """Pixels per class id of a kept mask; the file of a mask never changes."""
    return pixels_per_class(file)


@st.cache_data(show_spinner=False, max_entries=2_000)
def mask_tile(picture: str, mask: str, classes: tuple[ClassLabel, ...], background: int | None) -> bytes:
    """A small picture under a mask, JPEG; both files never change. `mask` empty: the bare picture."""
    return tile_jpeg(Path(picture), Path(mask) if mask else None, classes, background)


@st.cache_data(
    show_spinner="Reading the image", max_entries=8, hash_funcs={ImageInfo: lambda image: image.content_hash}
)
def image_sample(_engine: Engine, image: ImageInfo) -> Sample:
    """Part of an image as its file holds it, which never changes."""
    return sample_of(_engine.lab, image)


@st.cache_data(show_spinner="Testing the suggestions", max_entries=8)
def tag_scores(_engine: Engine, project_id: int, revision: tuple[int, int], encoding: str) -> ScoredTags:
    """How good suggestions are at a revision of the tags of a project, by what an encoder sees of its images.

    Raises InvalidTag: too little was answered.
    """
    del revision, encoding  # what is kept is kept by them
    return _engine.tags.scores(project_id)


def current_view() -> View:
    """The view of this tab."""
    asked = st.query_params
    return View(_number(asked.get("project")), _number(asked.get("image")), _name(asked.get("labeller")))


def show(*, project_id: int | None = None, image_id: int | None = None, labeller: str | None = None) -> None:
    """Change the address; what is None stays, and another project forgets the image."""
    if project_id is not None and project_id != current_view().project_id:
        st.query_params["project"] = str(project_id)
        for name in OF_PROJECT:
            st.query_params.pop(name, None)
    if image_id is not None:
        st.query_params["image"] = str(image_id)
    if labeller is not None:
        st.query_params["labeller"] = labeller.strip()[:MAX_NAME]


def labeller() -> str | None:
    """Who works in this tab: from the address, which forgets it on the way to another page, else from before."""
    shown = current_view().labeller
    if shown is not None:
        remember("labeller", shown)
        return shown
    remembered: str | None = peek("labeller")
    if remembered is not None:
        show(labeller=remembered)
    return remembered


def forget_project() -> None:
    """Take project and image out of the address."""
    for name in ("project", *OF_PROJECT):
        st.query_params.pop(name, None)


def survey_shown() -> tuple[int | None, bool]:
    """The survey of the address, and whether its points are being answered: a reload shows the same."""
    return _number(st.query_params.get("survey")), st.query_params.get("answering") == "1"


def show_survey(survey_id: int | None, *, is_answering: bool = False) -> None:
    """Change the survey of the address; None: whichever is the newest."""
    for name, value in (("survey", survey_id), ("answering", 1 if is_answering else None)):
        if value is None:
            st.query_params.pop(name, None)
        else:
            st.query_params[name] = str(value)


def tags_view() -> str:
    """The view of the Tags page in the address; empty for the first one."""
    return str(st.query_params.get("view", ""))


def show_tags_view(view: str, *, image_id: int | None = None) -> None:
    """Change the view of the Tags page in the address; with an image, which is opened there at the next run."""
    st.query_params["view"] = view
    if image_id is not None:
        show(image_id=image_id)
        remember("tags_turn", peek("tags_turn", 0) + 1)


def client_id() -> str | None:
    """The id under which this browser tab sends events; None before the first one is stored."""
    told: Any = st.session_state.get(CANVAS_KEY)
    tab = told.get("tab") if told is not None else None
    told_id = tab.get("client_id") if isinstance(tab, dict) else None
    return told_id if isinstance(told_id, str) else None


def remember(name: str, value: object) -> None:
    """Keep a value for the next run of this tab: a notice, an opened dialog."""
    st.session_state[f"fcnlab_{name}"] = value


def recall(name: str, default: Any = None) -> Any:
    """A remembered value, which is forgotten now."""
    return st.session_state.pop(f"fcnlab_{name}", default)


def peek(name: str, default: Any = None) -> Any:
    """A remembered value, which stays."""
    return st.session_state.get(f"fcnlab_{name}", default)


def explained(failure: FcnlabError) -> None:
    """Show a failure the user can do something about."""
    st.error(escape_markdown(as_sentence(str(failure))), icon=":material/error:")


def escape_markdown(text: str) -> str:
    """A name or message as it is, inside of Markdown: whatever would be read as a mark is shown.

    Every name, message and path goes through here on its way into a text of Streamlit; a test looks.
    """
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~:$&])", r"\\\1", " ".join(text.splitlines()))


@contextmanager
def failures_explained() -> Iterator[None]:
    """Whatever can be explained is, with a way to try again: also what keeps the whole installation from opening."""
    try:
        yield
    except OSError as failure:
        explanation = failure if isinstance(failure, FcnlabError) else storage_failure(failure)
        if explanation is None:
            raise
        _explained_for_now(explanation)
    except FcnlabError as failure:
        _explained_for_now(failure)


def _explained_for_now(failure: FcnlabError) -> None:
    explained(failure)
    st.button("Try again", icon=":material/refresh:", key="fcnlab-try-again")  # any press runs the page again


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 16 else None


def _name(text: str | None) -> str | None:
    return text.strip()[:MAX_NAME] or None if text else None
