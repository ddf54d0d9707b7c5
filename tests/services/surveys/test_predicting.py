"""What the model of a project predicts for the images of a survey."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fcnlab.domain.project import IGNORE
from fcnlab.domain.survey import WHOLE, Survey, SurveyAnswer, SurveySpec
from fcnlab.errors import InvalidSurvey, UnknownSurvey
from fcnlab.lab import Lab
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.masks import predicted_mask
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.projects.projects import images
from fcnlab.services.surveys.predicting import INSTANT, predict_survey, shares_of
from fcnlab.services.surveys.report import report_of
from fcnlab.services.surveys.surveys import (
    answer,
    close_survey,
    delete_survey,
    enlarge_survey,
    find_survey,
    plan_survey,
    survey_images,
    survey_points,
    teach,
)
from tests.support.bars import Site


@pytest.fixture
def site(lab: Lab) -> Site:
    return Site(lab, 4)


def planned(site: Site, *, n: int = 2, n_per_image: int = 15) -> Survey:
    spec = SurveySpec("bars", {WHOLE: n}, n_per_image=n_per_image)
    return plan_survey(site.lab, project_id=site.project.id, spec=spec, labeller="ann")


def answered(site: Site, survey: Survey) -> None:
    number_of = {image_id: number for number, image_id in enumerate(site.images)}
    answers = [
        SurveyAnswer(p.id, site.project.classes[int(site.pixels[number_of[p.image_id]][p.row, p.col, 0] > 100)].id)
        for p in survey_points(site.lab, survey_id=survey.id)
    ]
    answer(site.lab, answers, survey_id=survey.id, project_id=site.project.id, labeller="ann")


def learner_of(site: Site) -> ProjectLearner:
    return ProjectLearner(site.lab, PictureStore(site.lab), project_id=site.project.id)


def predicting(site: Site, survey: Survey) -> Iterator[tuple[int, int, str]]:
    learner = learner_of(site)
    return predict_survey(site.lab, lambda work: work(learner), survey_id=survey.id)


def test_shares_and_predicted_classes_are_those_of_the_masks(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)
    answered(site, survey)

    steps = list(predicting(site, survey))

    learner = learner_of(site)
    learner.refresh()
    source = learner.source()
    masks = {each.id: predicted_mask(learner, each, source) for each in images(site.lab, project_id=site.project.id)}
    assert [name for _, _, name in steps[-4:]] == ["0.png", "1.png", "2.png", "3.png"]
    for image in survey_images(site.lab, survey_id=survey.id):
        assert image.shares == shares_of(masks[image.image_id])
    for point in survey_points(site.lab, survey_id=survey.id):
        assert point.predicted == masks[point.image_id][point.row, point.col]
    report = report_of(site.lab, survey_id=survey.id)
    assert report.total.best is not None
    assert report.total.best.method == "corrected"
    assert report.total.notes == ()
    by = report.survey.predicted_by
    assert by is not None
    assert by.model == INSTANT


def test_points_that_came_after_predicting_are_predicted_again(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)
    list(predicting(site, survey))
    enlarge_survey(site.lab, survey_id=survey.id, n_more={WHOLE: 1})
    answered(site, survey)
    assert "corrected" not in report_of(site.lab, survey_id=survey.id).total.estimates

    list(predicting(site, survey))

    assert "corrected" in report_of(site.lab, survey_id=survey.id).total.estimates


def test_without_points_of_two_classes_nothing_is_predicted_and_that_is_said(site: Site) -> None:
    survey = planned(site)

    with pytest.raises(InvalidSurvey, match="click pixels of two classes"):
        list(predicting(site, survey))

    assert find_survey(site.lab, "bars", project_id=site.project.id).predicted_by is None


def test_predicting_that_is_broken_off_stores_nothing(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)

    steps = predicting(site, survey)
    for _ in range(3):
        next(steps)
    steps.close()  # type: ignore[attr-defined]

    assert find_survey(site.lab, "bars", project_id=site.project.id).predicted_by is None
    assert all(image.shares is None for image in survey_images(site.lab, survey_id=survey.id))


def test_a_model_that_learned_the_answers_does_not_predict(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)
    answered(site, survey)
    list(predicting(site, survey))
    before = report_of(site.lab, survey_id=survey.id).total.best
    close_survey(site.lab, survey_id=survey.id)
    teach(site.lab, survey_id=survey.id)

    with pytest.raises(InvalidSurvey, match="has learned from the answers"):
        list(predicting(site, survey))

    assert report_of(site.lab, survey_id=survey.id).total.best == before


def test_a_survey_taught_while_it_is_predicted_keeps_no_predictions(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)
    answered(site, survey)
    steps = predicting(site, survey)
    next(steps)
    close_survey(site.lab, survey_id=survey.id)
    teach(site.lab, survey_id=survey.id)

    with pytest.raises(InvalidSurvey, match="has learned from the answers"):
        list(steps)

    assert find_survey(site.lab, "bars", project_id=site.project.id).predicted_by is None


def test_a_survey_deleted_while_it_is_predicted_is_gone(site: Site) -> None:
    site.click(0, per_class=6)
    survey = planned(site)
    steps = predicting(site, survey)
    next(steps)
    delete_survey(site.lab, survey_id=survey.id)

    with pytest.raises(UnknownSurvey):
        list(steps)


def test_shares_leave_unknown_pixels_out() -> None:
    mask = np.full((3, 5), IGNORE, np.uint8)
    assert shares_of(mask) == {}

    mask[:2, 0], mask[0, 1:3] = 4, 7

    assert shares_of(mask) == {4: 0.5, 7: 0.5}
