"""A project with images of which nobody has the files, and surveys about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from fcnlab.core.surveys.estimates import Method
from fcnlab.domain.survey import WHOLE, PredictedBy, Survey, SurveyAnswer, SurveyPoint, SurveySpec
from fcnlab.lab import Lab
from fcnlab.services.surveys.report import Reading, SurveyReport, report_of
from fcnlab.services.surveys.surveys import answer, plan_survey, survey_images, survey_points
from fcnlab.storage.database.engine import writing
from fcnlab.storage.database.surveys import repository as repository_surveys
from tests.support.tabs import HEIGHT, WIDTH, new_project

THIRD = WIDTH // 3
AREA = HEIGHT * WIDTH

Truth = Callable[[SurveyPoint], int | None]
"""The class of the pixel of a point; None: "don't know"."""


def stripes(point: SurveyPoint) -> int | None:
    """The left third of every image is of class 1."""
    return int(point.col < THIRD)


class Bench:
    """A project of `n_images` images, the even ones in stratum "a" and the odd ones in "b" where there are strata."""

    def __init__(self, lab: Lab, *, n_images: int = 8, name: str = "reef") -> None:
        self.lab = lab
        self.project_id, self.images = new_project(lab, name=name, n_images=n_images)

    @property
    def strata(self) -> dict[int, str]:
        return {image_id: "ab"[number % 2] for number, image_id in enumerate(self.images)}

    def plan(self, name: str = "cover", *, n: int | Mapping[str, int] = 4, **more: object) -> Survey:
        """A survey, without strata where `n` is a number."""
        strata = None if isinstance(n, int) else self.strata
        spec = SurveySpec(name, {WHOLE: n} if isinstance(n, int) else n, **more)  # type: ignore[arg-type]
        return plan_survey(self.lab, project_id=self.project_id, spec=spec, labeller="ann", strata=strata)

    def points(self, survey: Survey) -> tuple[SurveyPoint, ...]:
        return survey_points(self.lab, survey_id=survey.id)

    def answer(self, survey: Survey, *answers: SurveyAnswer, who: str = "ann") -> Survey:
        return answer(self.lab, answers, survey_id=survey.id, project_id=self.project_id, labeller=who)

    def answer_all(self, survey: Survey, truth: Truth = stripes, *, who: str = "ann") -> Survey:
        given = [(point.id, truth(point)) for point in self.points(survey) if not point.is_answered]
        answers = [SurveyAnswer(point_id, class_id, class_id is None) for point_id, class_id in given]
        return self.answer(survey, *answers, who=who)

    def predict(self, survey: Survey, n_cols: int = 21) -> None:
        """As if a model had predicted all images: the first `n_cols` columns of each are of class 1."""
        images = survey_images(self.lab, survey_id=survey.id)
        shares = {image.image_id: {0: 1 - n_cols / WIDTH, 1: n_cols / WIDTH} for image in images}
        predicted = {point.id: int(point.col < n_cols) for point in self.points(survey)}
        with writing(self.lab.sessions) as session:
            repository_surveys.record_predictions(
                session,
                survey_id=survey.id,
                predicted_by=PredictedBy("a model", 3, "2026-01-01"),
                shares=shares,
                predicted=predicted,
            )

    def report(self, survey: Survey, reading_as: Reading = "left out", method: Method = "from_answers") -> SurveyReport:
        return report_of(self.lab, survey_id=survey.id, reading_as=reading_as, method=method)
