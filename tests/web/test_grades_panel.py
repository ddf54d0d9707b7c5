"""Grades on the projects page."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from fcnlab.lab import Lab
from fcnlab.services.projects import projects
from fcnlab.services.projects.grades import grades_of
from tests.support.paths import ROOT

ROUTER = ROOT / "app.py"
LABEL = "Grades, the lowest first"


def page() -> AppTest:
    shown = AppTest.from_file(str(ROUTER), default_timeout=60).run()
    shown.switch_page("pages/projects.py").run()
    assert not shown.exception
    return shown


def test_grades_are_chosen_in_their_order_and_saved_by_the_button(lab: Lab) -> None:
    made = projects.create_project(lab, name="reef", labels=projects.labels_of(["bare", "dense", "sparse"]))
    shown = page()

    next(field for field in shown.multiselect if field.label == LABEL).set_value([0, 2, 1]).run()
    assert grades_of(projects.project(lab, project_id=made.id)) == ()
    next(button for button in shown.button if button.label == "Save grades").click().run()

    assert not shown.exception
    assert [label.name for label in grades_of(projects.project(lab, project_id=made.id))] == ["bare", "sparse", "dense"]
    assert next(field for field in shown.multiselect if field.label == LABEL).value == [0, 2, 1]


def test_one_grade_alone_cannot_be_saved(lab: Lab) -> None:
    projects.create_project(lab, name="reef", labels=projects.labels_of(["bare", "dense", "sparse"]))
    shown = page()

    next(field for field in shown.multiselect if field.label == LABEL).set_value([0]).run()

    assert next(button for button in shown.button if button.label == "Save grades").disabled
    assert any("at least two" in caption.value for caption in shown.caption)
