"""Pages of projects that count, without a browser."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from fcnlab.counts import Task
from fcnlab.domain import Event, EventBatch, EventKind, Point, PointSource
from fcnlab.lab import Lab
from fcnlab.services import projects
from fcnlab.services.importing import import_files
from fcnlab.services.labelling import add_points, apply_events
from tests.ui.test_pages import page, picture


def counted(lab: Lab, name: str = "cells") -> tuple[int, list[int]]:
    """A project that counts, with three images: two cells in the first, which are all; an empty one; one untouched."""
    project = projects.create_project(lab, name=name, task=Task.COUNTS, labels=projects.labels_of(["rest", "cell"]))
    files = [(f"{seed}.png", picture(seed)) for seed in range(3)]
    images = [step.image_id or 0 for step in import_files(lab, files, project_id=project.id)]
    points = [Point(10, 10, 1), Point(30, 50, 1), Point(40, 5, 0)]
    add_points(lab, points, image_id=images[0], labeller="ann", source=PointSource.CLICK)
    say = [Event(seq, EventKind.COMPLETE, one, {"complete": True}) for seq, one in enumerate(images[:2], start=1)]
    apply_events(lab, EventBatch("client-complete", tuple(say)), project_id=project.id, labeller="ann")
    return project.id, images


def form() -> AppTest:
    """The dialog for a new project, without its frame: a test cannot act inside of dialogs."""

    def script() -> None:
        from fcnlab.ui import projects_panel, session

        projects_panel.new_project_form(session.engine())

    return AppTest.from_function(script, default_timeout=60).run()


def test_a_new_project_makes_masks_or_counts(lab: Lab) -> None:
    shown = form()
    (choice,) = [one for one in shown.radio if one.label == "It makes"]
    assert choice.options == ["Masks", "Counts"]
    assert [one.label for one in shown.toggle] == ["Object mode"]

    choice.set_value(Task.COUNTS).run()
    shown.text_input[0].set_value("coins").run()
    assert not shown.toggle
    next(button for button in shown.button if button.label == "Create").click().run()

    assert not shown.exception
    (made,) = projects.projects(lab)
    assert (made.task, [label.name for label in made.classes]) == (Task.COUNTS, ["background", "object"])


def test_what_is_counted_must_be_named(lab: Lab) -> None:
    shown = form()
    shown.radio[0].set_value(Task.COUNTS).run()
    shown.text_input[0].set_value("coins").run()
    shown.text_input[1].set_value("background").run()

    assert next(button for button in shown.button if button.label == "Create").disabled
    assert "what is counted" in shown.caption[-1].value


def test_the_dashboard_counts_objects_and_images_that_are_all_marked(lab: Lab) -> None:
    counted(lab)

    shown = page("projects")

    numbers = {one.label: one.value for one in shown.metric}
    assert numbers == {"Images": "3", "All marked": "2", "Objects marked": "2", "Labellers": "1"}
    assert shown.selectbox[0].options == ["cells (counts)"]
