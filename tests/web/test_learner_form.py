"""The encoder in the learner popover, without a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from fcnlab.domain.counting import Task
from fcnlab.domain.project import LearnerSpec
from fcnlab.lab import Lab
from fcnlab.services.labelling.events import points_of_project
from fcnlab.services.projects import projects
from fcnlab.web.panels.projects.encoder_form import OFFERED, OTHER
from tests.support.bars import Site
from tests.support.encoder_files import SMALL, random_file
from tests.support.paths import ROOT


@pytest.fixture
def site(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setenv("FCNLAB_IMPORT_ROOTS", f'["{tmp_path}"]')
    site = Site(lab, 2)
    site.click(0)
    return site


def page(project_id: int = 1) -> AppTest:
    shown = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    shown.query_params["labeller"] = "ann"
    shown.query_params["project"] = str(project_id)
    shown.switch_page("pages/label.py").run()
    assert not shown.exception
    return shown


def widget(shown: AppTest, kind: str, label: str) -> Any:
    return next(one for one in getattr(shown, kind) if one.label == label)


def change(shown: AppTest, kind: str, label: str, value: object) -> None:
    widget(shown, kind, label).set_value(value).run()
    assert not shown.exception


def press(shown: AppTest, label: str) -> None:
    widget(shown, "button", label).click().run()
    assert not shown.exception


def said(shown: AppTest) -> str:
    return " ".join(one.value for one in shown.caption)


def learner(site: Site) -> LearnerSpec:
    return projects.project(site.lab, project_id=site.project.id).learner


def test_a_change_says_what_it_costs_and_waits_to_be_applied(site: Site) -> None:
    points = points_of_project(site.lab, project_id=site.project.id)
    shown = page()
    assert widget(shown, "button", "Apply encoder").disabled

    change(shown, "multiselect", "Scales", [0.5, 1.0, 2.0])

    assert learner(site) == LearnerSpec()
    assert "1 image with points, about a moment per megapixel. Clicks stay." in said(shown)
    press(shown, "Apply encoder")
    assert learner(site) == LearnerSpec(scales=(2.0, 1.0, 0.5))
    assert points_of_project(site.lab, project_id=site.project.id) == points
    assert widget(shown, "button", "Apply encoder").disabled


def test_the_bundled_encoder_comes_first_and_a_typed_one_with_its_file_is_taken(site: Site, tmp_path: Path) -> None:
    weights = random_file(tmp_path)
    shown = page()

    assert next(iter(OFFERED)) == LearnerSpec().encoder == widget(shown, "selectbox", "Encoder").value
    change(shown, "selectbox", "Encoder", OTHER)
    change(shown, "text_input", "Name of the timm network", SMALL)
    change(shown, "text_input", "Weight file on the server", f" {weights} ")
    press(shown, "Apply encoder")

    assert learner(site) == LearnerSpec(encoder=SMALL, encoder_weights=str(weights))
    assert widget(page(), "text_input", "Name of the timm network").value == SMALL


def test_what_cannot_work_is_explained_and_not_stored(site: Site, tmp_path: Path) -> None:
    shown = page()

    change(shown, "text_input", "Weight file on the server", str(tmp_path / "no.pth"))
    press(shown, "Apply encoder")

    assert "There is no weight file" in shown.error[0].value
    assert "keeps the encoder it has" in said(shown)
    change(shown, "text_input", "Weight file on the server", "")
    change(shown, "multiselect", "Scales", [])
    press(shown, "Apply encoder")
    assert "at least one" in shown.error[0].value
    assert learner(site) == LearnerSpec()


def test_other_settings_take_effect_at_once_and_leave_the_encoder(site: Site) -> None:
    projects.set_learner(site.lab, project_id=1, learner=LearnerSpec(scales=(0.5, 1.0)))
    shown = page()
    assert widget(shown, "button", "Apply encoder").disabled, "the order that is stored is no change"

    change(shown, "selectbox", "Encoder", "resnet18")
    change(shown, "toggle", "Refine edges", False)

    assert learner(site) == LearnerSpec(scales=(0.5, 1.0), refine=False)
    assert widget(shown, "selectbox", "Encoder").value == "resnet18"
    press(shown, "Reset to default")
    assert learner(site) == LearnerSpec(scales=(0.5, 1.0))


def test_a_project_that_counts_chooses_its_encoder_too(lab: Lab) -> None:
    counting = projects.create_project(lab, name="cells", task=Task.COUNTS)
    shown = page(counting.id)

    change(shown, "multiselect", "Scales", [1.0])
    press(shown, "Apply encoder")

    assert projects.project(lab, project_id=counting.id).learner.scales == (1.0,)


def test_every_encoder_that_is_offered_has_the_features_that_are_wanted() -> None:
    from fcnlab.storage.files.weights import untrained_encoder

    assert all(32 in untrained_encoder(name).strides for name in OFFERED)
