"""The train page without a browser, on an installation whose workers are never started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fcnlab.domain.events import Point, PointSource
from fcnlab.lab import Lab, open_lab
from fcnlab.services.labelling.events import add_points
from fcnlab.services.live.jobs import Jobs
from fcnlab.settings import Settings
from fcnlab.web import session
from fcnlab.web.panels.training import train_panel, train_watch
from tests.support.paths import ROOT
from tests.support.tabs import new_project

ROUTER = ROOT / "app.py"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """The installation that the page opens too."""
    monkeypatch.setenv("FCNLAB_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FCNLAB_DEMO", "false")
    monkeypatch.setenv("FCNLAB_DEVICE", "cpu")
    monkeypatch.setattr(Jobs, "warm_up", lambda _jobs: None)  # no mask is made here
    st.cache_resource.clear()
    lab = open_lab(Settings())
    session.engine()  # before any training waits, else it starts workers
    yield lab
    session.engine().jobs.close()
    st.cache_resource.clear()
    lab.close()


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Projects for which the page wanted a worker; none is started."""
    wanted: list[int] = []
    for module in (train_panel, train_watch):
        monkeypatch.setattr(module, "ensure_worker", lambda _lab, *, project_id: wanted.append(project_id))
    return wanted


@pytest.fixture
def project_id(lab: Lab) -> int:
    """A project with points of both classes."""
    project_id, images = new_project(lab)
    click(lab, images[0], Point(3, 5, 0), Point(30, 60, 1))
    return project_id


def click(lab: Lab, image_id: int, *points: Point) -> None:
    add_points(lab, points, image_id=image_id, labeller="ann", source=PointSource.CLICK)


def page(labeller: str = "ann") -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["labeller"] = labeller
    shown.switch_page("pages/train.py").run()
    assert not shown.exception
    return shown


def press(shown: AppTest, label: str) -> None:
    next(button for button in shown.button if button.label == label).click().run()
    assert not shown.exception


def labels(shown: AppTest) -> set[str]:
    return {button.label for button in shown.button}


def written(shown: AppTest) -> str:
    return "\n".join(one.value for one in (*shown.markdown, *shown.caption))
