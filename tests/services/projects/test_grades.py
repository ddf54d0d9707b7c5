"""Laws of the grades of a project."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fcnlab.core.images.palette import as_seen, rgb_of
from fcnlab.domain.counting import Task
from fcnlab.domain.project import Project
from fcnlab.errors import InvalidClasses, UnknownProject
from fcnlab.lab import Lab
from fcnlab.services.projects import projects
from fcnlab.services.projects.grades import grades_of, set_grades

CLASSES = ("background", "dense", "none", "sparse")


@pytest.fixture
def project(lab: Lab) -> Project:
    """A project whose grades stand in another order than its classes."""
    return projects.create_project(lab, name="reef", labels=projects.labels_of(CLASSES))


def test_grades_keep_the_order_in_which_they_were_chosen_and_none_takes_it_away(lab: Lab, project: Project) -> None:
    graded = set_grades(lab, project_id=project.id, class_ids=[2, 3, 1])

    assert [label.name for label in grades_of(graded)] == ["none", "sparse", "dense"]
    assert [label.id for label in graded.classes] == [label.id for label in project.classes]
    assert grades_of(set_grades(lab, project_id=project.id, class_ids=[])) == ()


def test_their_colours_become_lighter_with_the_grade_to_all_eyes_and_others_keep_theirs(
    lab: Lab, project: Project
) -> None:
    graded = set_grades(lab, project_id=project.id, class_ids=[2, 3, 1])

    lightness = as_seen([rgb_of(label.colour) for label in grades_of(graded)])[:, :, 0]  # type: ignore[arg-type]
    assert (lightness[1:] > lightness[:-1] + 0.1).all()
    assert graded.classes[0].colour == project.classes[0].colour
    assert len({label.colour for label in graded.classes}) == len(CLASSES)


def test_colours_stay_where_nobody_wants_them_to_change(lab: Lab, project: Project) -> None:
    graded = set_grades(lab, project_id=project.id, class_ids=[2, 3, 1], recolour=False)

    assert graded.classes == project.classes


def test_a_grade_out_of_use_is_none_and_is_one_again_when_it_comes_back(lab: Lab, project: Project) -> None:
    set_grades(lab, project_id=project.id, class_ids=[2, 3, 1])
    projects.remove_class(lab, project_id=project.id, class_id=3)
    graded = projects.project(lab, project_id=project.id)

    assert [label.name for label in grades_of(graded)] == ["none", "dense"]
    changed = projects.set_learner(lab, project_id=project.id, learner=replace(graded.learner, refine=False))
    assert changed.learner.grades == (2, 3, 1)


def test_a_grade_out_of_use_keeps_its_place_while_others_change(lab: Lab, project: Project) -> None:
    set_grades(lab, project_id=project.id, class_ids=[0, 2, 3, 1])
    projects.remove_class(lab, project_id=project.id, class_id=3)

    assert set_grades(lab, project_id=project.id, class_ids=[2, 1]).learner.grades == (2, 3, 1)
    assert set_grades(lab, project_id=project.id, class_ids=[1, 2]).learner.grades == (1, 2, 3)
    assert set_grades(lab, project_id=project.id, class_ids=[]).learner.grades == ()


def test_settings_that_others_changed_while_an_encoder_was_tried_stay(
    lab: Lab, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(*_: object, **__: object) -> None:
        set_grades(lab, project_id=project.id, class_ids=[2, 3, 1])

    monkeypatch.setattr("fcnlab.services.projects.encoders.check_change", meanwhile)
    learner = replace(project.learner, scales=(1.0,))

    stored = projects.set_learner(lab, project_id=project.id, learner=learner).learner

    assert stored == replace(learner, grades=(2, 3, 1))


@pytest.mark.parametrize(
    ("class_ids", "message"),
    [([1], "at least two"), ([1, 1], "twice"), ([1, 2, 9], "class 9 is not in use"), ([1, 2, 1], "named twice")],
)
def test_what_is_no_order_of_classes_is_refused_and_nothing_changes(
    lab: Lab, project: Project, class_ids: list[int], message: str
) -> None:
    with pytest.raises(InvalidClasses, match=message):
        set_grades(lab, project_id=project.id, class_ids=class_ids)

    assert projects.project(lab, project_id=project.id) == project


def test_counts_have_no_grades_and_a_project_has_to_be_there(lab: Lab) -> None:
    counting = projects.create_project(lab, name="cells", task=Task.COUNTS)

    with pytest.raises(InvalidClasses, match="no grades"):
        set_grades(lab, project_id=counting.id, class_ids=[0, 1])
    with pytest.raises(UnknownProject):
        set_grades(lab, project_id=counting.id + 1, class_ids=[0, 1])


def test_settings_of_the_learner_refuse_grades_that_are_no_classes(lab: Lab, project: Project) -> None:
    with pytest.raises(InvalidClasses, match="not in use"):
        projects.set_learner(lab, project_id=project.id, learner=replace(project.learner, grades=(1, 77)))
