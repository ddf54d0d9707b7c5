"""A tour of five steps on the first demo: a bar above the picture, which can be left at any time and found again.

Which step is shown, and whether the tour was seen, only the browser knows; what ticks a step off is in the scene that
the page has anyway. So a click on the picture costs no question more, and nothing that matters depends on the tour.
"""

from __future__ import annotations

import secrets
from functools import cache
from typing import Literal, TypedDict

import streamlit as st
from streamlit.components.v2.types import ComponentRenderer

from fcnlab.domain.images import ImageState
from fcnlab.domain.project import Project
from fcnlab.services.labelling.scenes import Scene
from fcnlab.services.projects.demos import first_demo, is_first_demo
from fcnlab.web import session
from fcnlab.web.session import Engine

MARKUP = """
<div class="fcnlab-tour" role="region" aria-label="Tour" hidden>
  <span class="count"></span>
  <span class="text" aria-live="polite"></span>
  <span class="acts">
    <button type="button" data-act="start" class="strong">Take the tour</button>
    <button type="button" data-act="back">Back</button>
    <button type="button" data-act="export" class="strong">Open Export</button>
    <button type="button" data-act="next" class="strong">Next</button>
    <button type="button" data-act="leave" title="Leave the tour: Help has it again">Leave</button>
  </span>
</div>
"""


class Facts(TypedDict):
    """What the page shows: which page, which image, its points, and how many images of the project are not done."""

    page: Literal["label", "export"]
    image: int | None
    points: int
    open: int


def prepare(engine: Engine) -> int:
    """Let the tour begin when the Label page shows the demo, whose project id this is; it is made again where it was
    deleted.

    Raises:
        FcnlabError: the demo cannot be made.
    """
    project = first_demo(engine.lab)
    session.remember("tour", secrets.token_hex(4))
    return project.id


def draw_above(scene: Scene) -> None:
    """The bar above the picture of the first demo; call it where the scene is drawn."""
    if is_first_demo(scene.project):
        is_open = scene.image is not None and scene.image.state is not ImageState.DONE
        image_id = scene.image.id if scene.image else None
        facts = Facts(page="label", image=image_id, points=len(scene.points), open=scene.n_open + is_open)
        if _bar(facts) == "export":
            st.switch_page("pages/export.py", query_params={"project": str(scene.project.id)})


def draw_at_end(project: Project) -> None:
    """The last step, on the Export page of the first demo."""
    if is_first_demo(project):
        _bar(Facts(page="export", image=None, points=0, open=0))


def _bar(facts: Facts) -> object:
    """What the bar was asked for: `export`, or nothing."""
    shown = _component()(key="tour", data={"facts": facts, "run": session.peek("tour")}, on_wish_change=_ran)
    return shown.get("wish")


@cache
def _component() -> ComponentRenderer:
    """Registered at the first use, once per process."""
    return st.components.v2.component("fcnlab.tour", html=MARKUP, css="tour.css", js="tour.js", isolate_styles=False)


def _ran() -> None:
    """What was asked for is read where the bar is drawn."""
