"""Whether a project has a class that is no object, and which: a property of the project, for people to change."""

from __future__ import annotations

import pytest

from fcnlab.domain.counting import Task
from fcnlab.domain.events import EventKind
from fcnlab.errors import InvalidClasses
from fcnlab.lab import Lab
from fcnlab.services.projects import projects
from tests.support.tabs import Tab, new_project

LAND = ("passable area", "built area", "green area", "road")


def test_a_new_project_has_a_background_only_if_a_class_is_called_so(any_lab: Lab) -> None:
    land = projects.create_project(any_lab, name="land", labels=projects.labels_of(LAND))
    cells = projects.create_project(any_lab, name="cells", labels=projects.labels_of(["cell", " Background ", "bg"]))

    assert (land.background, cells.background) == (None, 1)
    assert [label.name for label in land.objects] == list(LAND)
    assert [label.name for label in cells.objects] == ["cell", "bg"]
    assert projects.project(any_lab, project_id=cells.id) == cells


def test_what_is_said_counts_more_than_what_classes_are_called(any_lab: Lab) -> None:
    labels = projects.labels_of(["background", "cell"])

    said = projects.create_project(any_lab, name="a", labels=labels, background=1)
    none = projects.create_project(any_lab, name="b", labels=labels, background=None)

    assert (said.background, none.background) == (1, None)
    with pytest.raises(InvalidClasses, match="none of the classes"):
        projects.create_project(any_lab, name="c", labels=labels, background=2)
    assert len(projects.projects(any_lab)) == 2


def test_another_class_can_be_made_the_background_and_none(any_lab: Lab) -> None:
    made = projects.create_project(any_lab, name="land", labels=projects.labels_of(LAND))

    assert projects.set_background(any_lab, project_id=made.id, class_id=3).background == 3
    assert projects.set_background(any_lab, project_id=made.id, class_id=None).background is None
    with pytest.raises(InvalidClasses):
        projects.set_background(any_lab, project_id=made.id, class_id=4)


def test_the_background_does_not_follow_the_order_of_the_class_bar(tab: Tab) -> None:
    assert not tab.do(EventKind.CLASS_EDIT, class_id=1, order=-1).refusals

    project = projects.project(tab.lab, project_id=tab.project_id)
    assert (project.classes[0].id, project.background) == (1, 0)
    assert next(label.id for label in project.background_first) == 0


def test_a_labeller_changes_the_background_and_undo_leaves_it_alone(tab: Tab) -> None:
    tab.add(3, 4, 1)

    applied = tab.do(EventKind.BACKGROUND, class_id=None)

    assert (applied.refusals, applied.changed_classes, applied.changed_images) == ((), True, frozenset())
    assert projects.project(tab.lab, project_id=tab.project_id).background is None
    assert not tab.do(EventKind.UNDO).refusals
    assert projects.project(tab.lab, project_id=tab.project_id).background is None
    assert not tab.points(), "what was undone is the click"
    assert tab.do(EventKind.BACKGROUND, class_id=99).refusals
    assert not tab.do(EventKind.BACKGROUND, class_id=1).refusals
    assert projects.project(tab.lab, project_id=tab.project_id).background == 1


def test_without_its_background_class_a_project_has_none(tab: Tab) -> None:
    assert not tab.do(EventKind.CLASS_REMOVE, class_id=0).refusals

    assert projects.project(tab.lab, project_id=tab.project_id).background is None


def test_a_project_that_counts_always_has_a_background(any_lab: Lab) -> None:
    for said in (None, "by name"):
        with pytest.raises(InvalidClasses, match="counts needs a class for what is no object"):
            projects.create_project(
                any_lab, name="cells", labels=projects.labels_of(["round", "long"]), task=Task.COUNTS, background=said
            )
    assert not projects.projects(any_lab)

    project_id, images = new_project(any_lab, task=Task.COUNTS)
    tab = Tab(any_lab, project_id=project_id, image_id=images[0])
    refused = [tab.do(EventKind.BACKGROUND, class_id=None), tab.do(EventKind.CLASS_REMOVE, class_id=0)]
    assert all("count" in one.refusals[0].reason for one in refused)
    assert not tab.do(EventKind.BACKGROUND, class_id=1).refusals
    assert not tab.do(EventKind.CLASS_REMOVE, class_id=0).refusals
    assert projects.project(any_lab, project_id=project_id).background == 1
