"""Lessons of a project: when those made before serve no more, and what all of them teach."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fcnlab.core.learner.head import missing_message
from fcnlab.core.learner.learner import Teaching
from fcnlab.core.learner.model import Lesson, canonical_teachings
from fcnlab.domain.project import LearnerSpec, Project
from fcnlab.errors import NoPoints


def teachings_of(lessons: Iterable[Lesson]) -> list[Teaching]:
    """What lessons teach, in canonical order. Raises NoPoints: there are none."""
    teachings = canonical_teachings(lessons)
    if not teachings:
        raise NoPoints(missing_message(()))
    return teachings


def learns_otherwise(before: Project, after: Project) -> bool:
    """Whether lessons made before cannot serve any more."""

    def seen(spec: LearnerSpec) -> LearnerSpec:
        return replace(spec, refine=True, class_weight="balanced", regularisation=1.0)

    return (
        seen(before.learner) != seen(after.learner)
        or before.background != after.background
        or before.imaging != after.imaging
    )
