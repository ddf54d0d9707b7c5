"""Pages of projects that count, without a browser."""

from __future__ import annotations

import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from fcnlab.domain.counting import ClassCount, Task
from fcnlab.domain.events import Event, EventBatch, EventKind, Point, PointSource
from fcnlab.domain.images import ImageInfo
from fcnlab.lab import Lab
from fcnlab.services.counting.exports import CountRow, CountTable
from fcnlab.services.images.importing import import_files
from fcnlab.services.labelling.events import add_points, apply_events
from fcnlab.services.projects import projects
from fcnlab.web import session
from fcnlab.web.panels.results import count_charts
from tests.web.test_pages import page, picture


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
        from fcnlab.web import session
        from fcnlab.web.panels.projects import projects_panel

        projects_panel.new_project_form(session.engine())

    return AppTest.from_function(script, default_timeout=60).run()


def test_a_new_project_makes_masks_or_counts(lab: Lab) -> None:
    shown = form()
    (choice,) = [one for one in shown.radio if one.label == "Task"]
    assert choice.options == ["Segmentation", "Counting"]
    assert [one.label for one in shown.toggle] == ["The classes are grades, the lowest first", "Object mode"]

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

    next(button for button in shown.button if button.label == "Create").click().run()

    assert "what is counted" in shown.caption[-1].value
    assert "what is counted" in shown.warning[0].value
    assert projects.projects(lab) == ()


def test_a_project_without_a_name_is_not_made_and_says_so(lab: Lab) -> None:
    shown = form()
    next(button for button in shown.button if button.label == "Create").click().run()

    assert "name" in shown.warning[0].value
    assert projects.projects(lab) == ()


def test_the_dashboard_counts_objects_and_images_that_are_all_marked(lab: Lab) -> None:
    counted(lab)

    shown = page("projects")

    numbers = {one.label: one.value for one in shown.metric}
    assert numbers == {"Images": "3", "All marked": "2", "Objects marked": "2", "Labellers": "1"}
    assert shown.selectbox[0].options == ["cells (counts)"]


def test_the_count_page_says_what_is_missing(lab: Lab) -> None:
    masks = projects.create_project(lab, name="a masks")
    assert "makes masks" in page("count").info[0].value
    projects.delete_project(lab, project_id=masks.id)
    made = projects.create_project(lab, name="cells", task=Task.COUNTS)
    assert "no images yet" in page("count").info[0].value
    list(import_files(lab, [("a.png", picture(0))], project_id=made.id))

    assert "No object is marked yet" in page("count").info[0].value


def test_a_project_is_counted_and_the_page_shows_table_chart_and_files(lab: Lab) -> None:
    project_id, images = counted(lab)
    shown = page("count")
    assert "2 objects are marked so far" in shown.markdown[1].value

    next(button for button in shown.button if button.label == "Count all images").click().run()
    for _ in range(600):
        status = session.count_jobs().status(project_id)
        if status is not None and status.state != "running":
            break
        time.sleep(0.1)
    shown.run()

    assert not shown.exception
    assert not shown.error
    assert status is not None
    assert status.state == "finished"
    table = shown.dataframe[0].value
    assert list(table["image"]) == ["0.png", "1.png", "2.png"]
    assert list(table["Marked"]) == [2, 0, 0]
    assert list(table["All marked"]) == [True, True, False]
    assert f"image={images[0]}" in table["open"][0]
    numbers = {one.label: one.value for one in shown.metric}
    assert numbers["All marked"] == "2 of 3"
    assert not shown.warning
    add_points(lab, [Point(5, 5, 1)], image_id=images[2], labeller="ann", source=PointSource.CLICK)
    assert "changed since" in shown.run().warning[0].value


def test_pages_for_masks_lead_to_the_counts(lab: Lab) -> None:
    counted(lab)

    assert "makes no masks" in page("export").info[0].value
    scribble = page("scribble")
    assert "every point is an object" in scribble.info[0].value
    assert not [one for one in scribble.caption if ":material/person:" in one.value]


def test_an_invitation_to_compare_promises_counts_and_no_masks(lab: Lab) -> None:
    counted(lab)

    promised = " ".join(one.value for one in page("compare").markdown)

    assert "counts of validation images" in promised
    assert "masks themselves" not in promised


def test_the_learner_of_a_project_that_counts_has_no_settings_of_masks(lab: Lab) -> None:
    project_id, _ = counted(lab)
    masks = projects.create_project(lab, name="masks")

    shown = {one: page("label", project=one) for one in (project_id, masks.id)}

    assert [one.label for one in shown[project_id].toggle] == []
    assert "Object mode" in [one.label for one in shown[masks.id].toggle]


def row(image: ImageInfo, marked: int, predicted: float, *, is_seen: bool = False, is_exact: bool = True) -> CountRow:
    return CountRow(image, (ClassCount(1, marked, marked=marked, is_exact=is_exact),), {1: predicted}, is_seen)


def test_only_images_that_are_all_marked_are_in_the_chart_and_those_learned_from_are_hollow(lab: Lab) -> None:
    project_id, _ = counted(lab)
    project = projects.project(lab, project_id=project_id)
    first, second, third = projects.images(lab, project_id=project_id)
    rows = (row(first, 2, 2.5), row(second, 0, 0.2, is_seen=True), row(third, 1, 9, is_exact=False))
    table = CountTable("now", rows, None, (), (Path("a"), Path("b"), Path("c")))

    found = count_charts.spots(project, table)

    assert [(one["image"], one["true"], one["predicted"]) for one in found] == [("0.png", 2, 2.5), ("1.png", 0, 0.2)]
    assert [one["image was"] for one in found] == [count_charts.UNSEEN, count_charts.SEEN]
    diagonal, points = count_charts.spec(project, found)["layer"]
    assert [one["true"] == one["predicted"] for one in diagonal["data"]["values"]] == [True, True]
    assert count_charts.UNSEEN in points["encoding"]["fillOpacity"]["condition"]["test"]
