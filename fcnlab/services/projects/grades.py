"""Which classes of a project are grades of one thing, and the colours that show their order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from fcnlab.core.images.palette import grade_colours
from fcnlab.domain.counting import Task
from fcnlab.domain.project import ClassLabel, Project
from fcnlab.errors import InvalidClasses
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_projects
from fcnlab.storage.database.engine import writing


def grades_of(project: Project) -> tuple[ClassLabel, ...]:
    """The classes in use that are grades, the lowest first; empty if fewer than two are."""
    labels = {label.id: label for label in project.classes}
    return tuple(labels[class_id] for class_id in project.learner.grades_of(labels))


def set_grades(lab: Lab, *, project_id: int, class_ids: Sequence[int], recolour: bool = True) -> Project:
    """Make classes grades, the lowest first, or none. Points and masks stay what they are.

    Grades that are out of use keep their place above the one that they stood above, for when they are back.

    Args:
        lab: the installation.
        project_id: whose.
        class_ids: at least two of its classes, each once; empty: no class has an order.
        recolour: give them the colours of a sequence, from dark to light.

    Raises:
        UnknownProject: no such project.
        InvalidClasses: one class alone, one named twice, one that is not in use, or a project that counts.
    """
    wanted = tuple(class_ids)
    with writing(lab.sessions) as session:
        project = repository_projects.project(session, project_id=project_id)
        check_grades(project, wanted)
        repository_projects.set_learner(
            session, project_id=project_id, learner=replace(project.learner, grades=_with_resting(project, wanted))
        )
        if recolour and wanted:
            for label in _recoloured(project.classes, wanted):
                repository_projects.edit_class(session, project_id=project_id, label=label)
        return repository_projects.project(session, project_id=project_id)


def named_grades(labels: Sequence[ClassLabel], names: Sequence[str]) -> tuple[int, ...]:
    """Ids of the classes of these names, whatever their case. Raises InvalidClasses: no class is called so."""
    by_name = {label.name.casefold(): label.id for label in labels}
    unknown = [name for name in names if name.casefold() not in by_name]
    if unknown:
        choices = ", ".join(label.name for label in labels)
        raise InvalidClasses(f"no class is called {unknown[0]!r}: name some of {choices}")
    return tuple(by_name[name.casefold()] for name in names)


def check_grades(project: Project, class_ids: Sequence[int]) -> None:
    """Make sure that classes of a project can be its grades; those that are already may have gone out of use.

    Raises:
        InvalidClasses: see `set_grades`.
    """
    if not class_ids or tuple(class_ids) == project.learner.grades:
        return
    if project.task is Task.COUNTS:
        raise InvalidClasses("a project that counts has no grades: make a project for segmentation")
    if len(class_ids) < 2:
        raise InvalidClasses("one class alone has no order: choose at least two grades, the lowest first")
    doubled = [class_id for class_id in class_ids if list(class_ids).count(class_id) > 1]
    if doubled:
        raise InvalidClasses(f"class {doubled[0]} is named twice among the grades: name each class once")
    unknown = set(class_ids) - project.class_ids() - set(project.learner.grades)
    if unknown:
        names = ", ".join(f"{label.id} ({label.name})" for label in project.classes)
        raise InvalidClasses(f"class {min(unknown)} is not in use and can be no grade: the classes are {names}")


def _with_resting(project: Project, wanted: Sequence[int]) -> tuple[int, ...]:
    """The wanted grades, and between them those of the project that are out of use."""
    grades, before = list(wanted), project.learner.grades
    for place, class_id in enumerate(before if wanted else ()):
        if class_id not in project.class_ids() and class_id not in grades:
            below = [grades.index(lower) for lower in before[:place] if lower in grades]
            grades.insert(max(below, default=-1) + 1, class_id)
    return tuple(grades)


def _recoloured(labels: Iterable[ClassLabel], grades: Sequence[int]) -> list[ClassLabel]:
    """The classes that are grades, in colours that no other class has."""
    by_id = {label.id: label for label in labels}
    others = [label.colour for label in by_id.values() if label.id not in grades]
    present = [by_id[class_id] for class_id in grades if class_id in by_id]
    colours = grade_colours(len(present), taken=others)
    return [replace(label, colour=colour) for label, colour in zip(present, colours, strict=True)]
