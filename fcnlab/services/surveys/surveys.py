"""Cover surveys of a project: planning one, answering it blind, closing it, and letting its answers teach."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Any

import regex
from sqlalchemy.orm import Session

from fcnlab.core.surveys.points import PlannedImage, plan_points
from fcnlab.domain.counting import Task
from fcnlab.domain.events import Point, PointSource
from fcnlab.domain.images import ImageInfo, ImageState
from fcnlab.domain.project import Project
from fcnlab.domain.survey import MOST_POINTS, WHOLE, Survey, SurveyAnswer, SurveyImage, SurveyPoint, SurveySpec
from fcnlab.errors import InvalidSurvey, UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.labelling.point_import import Addition, add_in
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.repository_images import MAX_ID
from fcnlab.storage.database.surveys import repository as repository_surveys
from fcnlab.validation import clean_name

PATTERN_S = 1.0
"""A pattern that takes longer than this for all names is none that people mean."""

BY_FOLDER = "folder"


def strata_by(images: Sequence[ImageInfo], by: str) -> dict[int, str]:
    """The stratum of each image, by its id.

    Args:
        images: of the project.
        by: empty: one stratum; "folder": the folder in the name of the image; else a regular expression, whose groups
            (or, without groups, what it finds) in the name are the stratum. Images in whose name it finds nothing are
            a stratum called "other".

    Raises:
        InvalidSurvey: it is no regular expression, or takes too long.
    """
    if not by:
        return {image.id: WHOLE for image in images}
    if by == BY_FOLDER:
        return {image.id: str(PurePosixPath(image.name).parent) for image in images}
    try:
        hits = _hits(regex.compile(by), images)
    except (regex.error, TimeoutError) as failure:
        raise InvalidSurvey(f"{by!r} is no pattern for strata: {failure}") from failure
    return {
        image_id: " ".join(group for group in hit.groups() or (hit.group(),) if group) or "other" if hit else "other"
        for image_id, hit in hits.items()
    }


def _hits(pattern: Any, images: Sequence[ImageInfo]) -> dict[int, Any]:
    """What the pattern finds in the name of each image, by its id. Raises TimeoutError."""
    until = time.monotonic() + PATTERN_S
    hits = {}
    for image in images:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError("it takes too long")
        hits[image.id] = pattern.search(image.name, timeout=left)
    return hits


def plan_survey(
    lab: Lab, *, project_id: int, spec: SurveySpec, labeller: str, strata: Mapping[int, str] | None = None
) -> Survey:
    """Draw the images and pixels of a survey and store it; nobody has answered yet.

    Args:
        lab: the installation.
        project_id: whose images are the population.
        spec: what is asked; where a stratum has fewer images than it wants, all of them.
        labeller: who plans it.
        strata: the stratum of each image, by its id; None: one stratum. An image that is not named is not of the
            population.

    Raises:
        UnknownProject: no such project.
        InvalidSurvey: no images, a stratum that is none, a name that is taken, more points than an image has pixels.
        InvalidName: a name of the survey or the labeller that cannot be shown.
    """
    who = clean_name(labeller)
    spec = replace(spec, name=clean_name(spec.name, what="the name of the survey"))
    with writing(lab.sessions) as session:
        repository_projects.project(session, project_id=project_id)
        images = repository_images.images(session, project_id=project_id)
        if not images:
            raise InvalidSurvey("a survey asks about images: import some first")
        if spec.name in {survey.spec.name for survey in repository_surveys.surveys(session, project_id=project_id)}:
            raise InvalidSurvey(f"there is a survey {spec.name!r} already: take another name")
        named = strata_by(images, "") if strata is None else {i.id: strata[i.id] for i in images if i.id in strata}
        planned = _planned({image.id: (image.hw, named[image.id]) for image in images if image.id in named}, spec)
        points = [point for image in _in_turns(planned) for point in _points(image)]
        return repository_surveys.add_survey(
            session, project_id=project_id, spec=spec, strata=named, points=points, labeller=who, now=lab.clock()
        )


def enlarge_survey(lab: Lab, *, survey_id: int, n_more: Mapping[str, int]) -> Survey:
    """Ask about further images of a survey, so many of each stratum (all that are left where it has fewer).

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: it is closed, has no such stratum, no image is left, or it would have too many points.
    """
    with writing(lab.sessions) as session:
        survey = _open(repository_surveys.survey(session, survey_id=survey_id))
        population = repository_surveys.survey_images(session, survey_id=survey_id)
        asked = {point.image_id for point in repository_surveys.survey_points(session, survey_id=survey_id)}
        drawn = dict.fromkeys({image.stratum for image in population}, 0)
        for image in population:
            drawn[image.stratum] += image.image_id in asked
        if min(n_more.values(), default=0) < 0:
            raise InvalidSurvey("a survey grows by 0 or more images of a stratum; what was asked stays")
        if set(n_more) - set(drawn):
            raise InvalidSurvey(f"there is no stratum {min(set(n_more) - set(drawn))!r} in survey {survey.spec.name!r}")
        spec = replace(survey.spec, n_images={name: n + n_more.get(name, 0) for name, n in drawn.items()})
        planned = _planned({image.image_id: (image.hw, image.stratum) for image in population}, spec)
        points = [point for image in _in_turns(planned) if int(image.key) not in asked for point in _points(image)]
        if not points:
            raise InvalidSurvey(f"survey {survey.spec.name!r} asks about all of these images already")
        if survey.n_points + len(points) > MOST_POINTS:
            raise InvalidSurvey(f"a survey asks about at most {MOST_POINTS:,} points: take fewer images")
        repository_surveys.add_points(session, survey_id=survey_id, spec=spec, points=points)
        return repository_surveys.survey(session, survey_id=survey_id)


def surveys(lab: Lab, *, project_id: int) -> tuple[Survey, ...]:
    """The surveys of a project, newest first."""
    with reading(lab.sessions) as session:
        return repository_surveys.surveys(session, project_id=project_id)


def survey_of(lab: Lab, *, survey_id: int) -> Survey:
    """The survey of that number. Raises UnknownSurvey."""
    with reading(lab.sessions) as session:
        return repository_surveys.survey(session, survey_id=survey_id)


def find_survey(lab: Lab, wanted: str, *, project_id: int) -> Survey:
    """The survey of the project of that name, else of that number (3 or #3).

    Raises:
        UnknownSurvey: it has none of that name or number.
    """
    candidates = surveys(lab, project_id=project_id)
    for survey in candidates:
        if survey.spec.name == wanted:
            return survey
    for survey in candidates:
        if str(survey.id) == wanted.removeprefix("#"):
            return survey
    names = ", ".join(repr(survey.spec.name) for survey in candidates) or "none; plan one first"
    raise UnknownSurvey(f"there is no survey {wanted!r} in this project; it has {names}")


def survey_points(lab: Lab, *, survey_id: int) -> tuple[SurveyPoint, ...]:
    """The points of a survey in the order of asking, with their answers. Raises UnknownSurvey."""
    with reading(lab.sessions) as session:
        repository_surveys.survey(session, survey_id=survey_id)
        return repository_surveys.survey_points(session, survey_id=survey_id)


def survey_images(lab: Lab, *, survey_id: int) -> tuple[SurveyImage, ...]:
    """The population of a survey, in import order. Raises UnknownSurvey."""
    with reading(lab.sessions) as session:
        repository_surveys.survey(session, survey_id=survey_id)
        return repository_surveys.survey_images(session, survey_id=survey_id)


def answer(lab: Lab, answers: Sequence[SurveyAnswer], *, survey_id: int, project_id: int, labeller: str) -> Survey:
    """Store answers, all or none; of several about one point the last counts. They may come twice.

    Raises:
        UnknownSurvey: the project has no such survey.
        InvalidSurvey: it is closed, a class is none of the project's, or a point is none of the survey's.
    """
    who = clean_name(labeller)
    with writing(lab.sessions) as session:
        refuse_unanswerable(session, survey_id=survey_id, project_id=project_id)
        classes = repository_projects.project(session, project_id=project_id).class_ids()
        for given in answers:
            if given.class_id is not None and (given.is_unknown or given.class_id not in classes):
                raise InvalidSurvey(f"class {given.class_id} is none that can be answered: it may have been removed")
            if not 0 < given.point_id <= MAX_ID:
                raise InvalidSurvey(f"there is no point {given.point_id} in this survey")
        n_stored = repository_surveys.record_answers(
            session, survey_id=survey_id, answers=answers, labeller=who, now=lab.clock()
        )
        if n_stored < len(answers):
            raise InvalidSurvey(f"this survey does not ask about {len(answers) - n_stored} of these points")
        return repository_surveys.survey(session, survey_id=survey_id)


def refuse_unanswerable(session: Session, *, survey_id: int, project_id: int) -> None:
    """Refuse answers to a survey that takes none.

    Raises:
        UnknownSurvey: the project has no such survey.
        InvalidSurvey: it is closed.
    """
    survey = repository_surveys.survey(session, survey_id=survey_id)
    if survey.project_id != project_id:
        raise UnknownSurvey(f"there is no survey {survey_id} in this project")
    _open(survey)


def close_survey(lab: Lab, *, survey_id: int) -> Survey:
    """From now on the survey takes no answers. Raises UnknownSurvey."""
    with writing(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        if survey.is_open:
            repository_surveys.close_survey(session, survey_id=survey_id, now=lab.clock())
        return repository_surveys.survey(session, survey_id=survey_id)


def reopen_survey(lab: Lab, *, survey_id: int) -> Survey:
    """Take answers again.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: its answers teach already: what is learned from them would be asked about.
    """
    with writing(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        if survey.taught_at is not None:
            raise InvalidSurvey(f"the answers of survey {survey.spec.name!r} teach already: plan another survey")
        repository_surveys.close_survey(session, survey_id=survey_id, now=None)
        return repository_surveys.survey(session, survey_id=survey_id)


def delete_survey(lab: Lab, *, survey_id: int) -> None:
    """Delete a survey with its answers; what they taught stays. Raises UnknownSurvey."""
    with writing(lab.sessions) as session:
        repository_surveys.delete_survey(session, survey_id=survey_id)


def teach(lab: Lab, *, survey_id: int) -> int:
    """Make the answers of a closed survey points of the project, once; how many.

    "Don't know" teaches nothing, nor do answers on images that are done or of classes that were removed. The points
    count as pixels drawn at random, by whoever answered.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: it is open, or taught already, or the project counts: each of its points is an object.
    """
    with writing(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        project = repository_projects.project(session, project_id=survey.project_id)
        _refuse_teaching(survey, project)
        images = repository_images.images(session, project_id=survey.project_id)
        classes = project.class_ids()
        learning = {image.id for image in images if image.state is not ImageState.DONE}
        additions = [
            Addition(
                point.image_id,
                Point(point.row, point.col, point.class_id),
                point.labeller,
                PointSource.RANDOM_QUERY,
                f"point {point.id} of survey {survey.spec.name!r}",
                {"survey": survey_id},
            )
            for point in repository_surveys.survey_points(session, survey_id=survey_id)
            if point.class_id in classes and point.image_id in learning
        ]
        now = lab.clock()
        repository_surveys.note_taught(session, survey_id=survey_id, now=now)
        add_in(session, additions, project_id=survey.project_id, now=now)
    return len(additions)


def _refuse_teaching(survey: Survey, project: Project) -> None:
    if survey.is_open:
        raise InvalidSurvey(f"close survey {survey.spec.name!r} first: until then its answers are kept apart")
    if survey.taught_at is not None:
        raise InvalidSurvey(f"the answers of survey {survey.spec.name!r} teach already")
    if project.task is Task.COUNTS:
        raise InvalidSurvey(
            f"project {project.name!r} counts: each of its points is an object, and the answers of a survey are pixels"
        )


def _open(survey: Survey) -> Survey:
    if not survey.is_open:
        raise InvalidSurvey(f"survey {survey.spec.name!r} is closed: reopen it to change its answers")
    return survey


def _planned(
    images: Mapping[int, tuple[tuple[int, int], str]], spec: SurveySpec
) -> dict[str, tuple[PlannedImage, ...]]:
    """Images drawn by stratum, from their sizes and strata by id."""
    strata: dict[str, dict[str, tuple[int, int]]] = {}
    for image_id, (hw, stratum) in images.items():
        strata.setdefault(stratum, {})[str(image_id)] = hw
    wanted = {name: min(n, len(strata.get(name, {}))) if name in strata else n for name, n in spec.n_images.items()}
    return plan_points(strata, wanted, spec.n_per_image, plan=spec.plan, seed=spec.seed)


def _in_turns(planned: Mapping[str, Sequence[PlannedImage]]) -> Iterator[PlannedImage]:
    """Images of all strata by turns, each in the order of drawing: a survey that ends early is a smaller one."""
    for together in zip_longest(*planned.values()):
        yield from (image for image in together if image is not None)


def _points(image: PlannedImage) -> Iterator[repository_surveys.PlannedPoint]:
    for row, col in zip(image.rows.tolist(), image.cols.tolist(), strict=True):
        yield int(image.key), row, col
