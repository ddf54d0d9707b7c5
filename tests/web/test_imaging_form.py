"""The form for channels and contrast on the projects page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fcnlab.domain.images import Imaging, Stretch
from fcnlab.lab import Lab
from fcnlab.services.images.imaging import set_imaging
from fcnlab.services.images.importing import import_files
from fcnlab.services.projects import projects
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"


@pytest.fixture
def fields(lab: Lab, tmp_path: Path) -> Lab:
    """An installation with a project of one image of five channels."""
    projects.create_project(lab, name="fields")
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 3000, (40, 60, 5), dtype=np.uint16))
    list(import_files(lab, [("a.npy", tmp_path / "a.npy")], project_id=1))
    return lab


def page() -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.switch_page("pages/projects.py").run()
    assert not shown.exception
    return shown


def choose(shown: AppTest, label: str, value: str) -> None:
    next(one for one in shown.radio if one.label == label).set_value(value).run()
    assert not shown.exception


def press(shown: AppTest, label: str) -> None:
    next(one for one in shown.button if one.label == label).click().run()
    assert not shown.exception


def test_channels_and_limits_are_applied_to_all_images(fields: Lab) -> None:
    shown = page()

    choose(shown, "Channels", "Three, colour")
    next(one for one in shown.selectbox if one.label == "Red").set_value(5).run()
    choose(shown, "Values shown", "One range")
    press(shown, "Apply to all images")

    found = projects.project(fields, project_id=1).imaging
    assert found.channels == (5, 2, 3)
    assert found.limits[0] is not None
    assert 0 <= found.limits[0].low < 100
    assert projects.images(fields, project_id=1)[0].imaging is not None


def test_what_is_set_is_shown_and_can_be_taken_back(fields: Lab) -> None:
    wanted = Imaging((3, 2, 1), (Stretch(10, 900), None, Stretch(-50, 9000)))
    list(set_imaging(fields, project_id=1, imaging=wanted))
    shown = page()

    assert [one.value for one in shown.radio if one.label == "Values shown"] == ["A range each"]
    assert next(one.value for one in shown.slider) == (10, 900)
    press(shown, "Take images as they come")

    assert projects.project(fields, project_id=1).imaging == Imaging()


def test_a_project_without_images_has_no_such_form(fields: Lab) -> None:
    projects.create_project(fields, name="empty")
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.query_params["project"] = "2"
    shown.switch_page("pages/projects.py").run()

    assert not shown.exception
    assert [one.label for one in shown.radio if one.label == "Channels"] == []
