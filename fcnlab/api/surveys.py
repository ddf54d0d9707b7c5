"""Cover surveys: planned, answered, predicted and reported."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from fcnlab.api.engine import Own
from fcnlab.api.projects import Number
from fcnlab.api.shapes import Strict
from fcnlab.core.surveys.estimates import Method
from fcnlab.domain.survey import WHOLE, Plan, Survey, SurveyAnswer, SurveyPoint, SurveySpec
from fcnlab.errors import InvalidSurvey, UnknownImage
from fcnlab.services.projects import projects
from fcnlab.services.surveys import surveys as services
from fcnlab.services.surveys.report import Reading, report_of
from fcnlab.services.surveys.report_files import coralnet_csv, report_csv, report_json, report_svg

MOST_ANSWERS = 10_000
"""Stored at once, at most."""

PAGE = 10_000
"""Points told at once, at most."""

LARGEST = 2**31 - 1

router = APIRouter(tags=["surveys"])


class SurveyIn(Strict):
    """A survey to plan; see `fcnlab survey plan --help`.

    `images` is a number for every stratum, or numbers by the name of the stratum. `strata` is empty, "folder", or a
    regular expression that is searched in the names of images. `image_ids` are the population; null: all images of
    the project. `prior` is uniform, jeffreys, or pseudo-counts of each class.
    """

    name: str = Field(min_length=1, max_length=100)
    images: int | dict[str, int]
    points_per_image: int = Field(default=10, ge=1, le=LARGEST)
    plan: Plan = "random"
    seed: int = Field(default=0, ge=-LARGEST, le=LARGEST)
    strata: str = Field(default="", max_length=1000)
    image_ids: list[int] | None = None
    prior: str | float = "jeffreys"
    level: float = 0.9
    labeller: str = Field(default="api", max_length=200)


class SurveyOut(BaseModel):
    """A survey. `images` are those it wanted of each stratum; `unknown` are answers "don't know", among `answered`."""

    id: int
    project_id: int
    name: str
    images: dict[str, int]
    points_per_image: int
    plan: Plan
    seed: int
    prior: str | float
    level: float
    labeller: str
    created_at: str
    closed: bool
    taught: bool
    points: int
    answered: int
    unknown: int
    predicted_by: str | None

    @classmethod
    def of(cls, survey: Survey) -> SurveyOut:
        """From the value of the services."""
        spec = survey.spec
        return cls(
            id=survey.id,
            project_id=survey.project_id,
            name=spec.name,
            images=dict(spec.n_images),
            points_per_image=spec.n_per_image,
            plan=spec.plan,
            seed=spec.seed,
            prior=spec.prior,
            level=spec.level,
            labeller=survey.labeller,
            created_at=survey.created_at.isoformat(),
            closed=not survey.is_open,
            taught=survey.taught_at is not None,
            points=survey.n_points,
            answered=survey.n_answered,
            unknown=survey.n_unknown,
            predicted_by=None if survey.predicted_by is None else survey.predicted_by.model,
        )


class SurveyPointOut(BaseModel):
    """A pixel that is asked about. `class_id` is null without an answer, and for "don't know"."""

    id: int
    image_id: int
    row: int
    col: int
    class_id: int | None
    unknown: bool
    labeller: str
    answered_at: str | None

    @classmethod
    def of(cls, point: SurveyPoint) -> SurveyPointOut:
        """From the value of the services; what is predicted there is not told, so that answers stay blind."""
        return cls(
            id=point.id,
            image_id=point.image_id,
            row=point.row,
            col=point.col,
            class_id=point.class_id,
            unknown=point.is_unknown,
            labeller=point.labeller,
            answered_at=None if point.answered_at is None else point.answered_at.isoformat(),
        )


class AnswerIn(Strict):
    """The answer about a point: a class, or `unknown`; neither takes back what was answered."""

    point_id: int = Field(ge=1, le=LARGEST)
    class_id: int | None = Field(default=None, ge=0, le=254)
    unknown: bool = False


class AnswersIn(Strict):
    """Answers, stored all or none; of several about a point the last counts, and they may be sent twice."""

    answers: list[AnswerIn] = Field(min_length=1, max_length=MOST_ANSWERS)
    labeller: str = Field(default="api", max_length=200)


class MoreIn(Strict):
    """Further images to ask about, by the name of the stratum; a number in a survey without strata."""

    images: int | dict[str, int]


class ClosedIn(Strict):
    """Whether the survey takes no answers any more."""

    closed: bool


class TaughtOut(BaseModel):
    """How many answers are points of the project now."""

    taught: int


class PredictingOut(BaseModel):
    """How far predicting the images of a survey is; `message` says why it failed."""

    state: Literal["never", "running", "finished", "failed", "cancelled"]
    done: int = 0
    total: int = 0
    message: str = ""


@router.get("/projects/{project_id}/surveys")
def list_surveys(engine: Own, project_id: Number) -> list[SurveyOut]:
    """The surveys of a project, newest first."""
    projects.project(engine.lab, project_id=project_id)
    return [SurveyOut.of(survey) for survey in services.surveys(engine.lab, project_id=project_id)]


@router.post("/projects/{project_id}/surveys", status_code=201)
def plan_survey(engine: Own, project_id: Number, wanted: SurveyIn) -> SurveyOut:
    """Draw images and pixels of all images of a project; their points are to be answered."""
    projects.project(engine.lab, project_id=project_id)
    population = projects.images(engine.lab, project_id=project_id)
    if wanted.image_ids is not None:
        chosen = set(wanted.image_ids)
        strange = sorted(chosen - {image.id for image in population})
        if strange:
            raise UnknownImage(f"there is no image {strange[0]} in this project; it may have been deleted")
        population = tuple(image for image in population if image.id in chosen)
    strata = services.strata_by(population, wanted.strata)
    n_images = wanted.images
    if isinstance(n_images, int):
        n_images = dict.fromkeys(strata.values(), n_images)
    spec = SurveySpec(
        wanted.name, n_images, wanted.points_per_image, wanted.plan, wanted.seed, wanted.prior, wanted.level
    )
    return SurveyOut.of(
        services.plan_survey(engine.lab, project_id=project_id, spec=spec, labeller=wanted.labeller, strata=strata)
    )


@router.get("/surveys/{survey_id}")
def get_survey(engine: Own, survey_id: Number) -> SurveyOut:
    """A survey, and how far it is answered."""
    return SurveyOut.of(services.survey_of(engine.lab, survey_id=survey_id))


@router.delete("/surveys/{survey_id}")
def delete_survey(engine: Own, survey_id: Number) -> None:
    """Delete a survey with its answers; what they taught stays."""
    services.delete_survey(engine.lab, survey_id=survey_id)


@router.get("/surveys/{survey_id}/points")
def list_survey_points(
    engine: Own,
    survey_id: Number,
    start: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    count: Annotated[int, Query(ge=1, le=PAGE)] = 1000,
) -> list[SurveyPointOut]:
    """The points of a survey in the order of asking, `count` of them from place `start` on."""
    points = services.survey_points(engine.lab, survey_id=survey_id)
    return [SurveyPointOut.of(point) for point in points[start : start + count]]


@router.put("/surveys/{survey_id}/answers")
def store_answers(engine: Own, survey_id: Number, wanted: AnswersIn) -> SurveyOut:
    """Store answers."""
    survey = services.survey_of(engine.lab, survey_id=survey_id)
    answers = [SurveyAnswer(each.point_id, each.class_id, each.unknown) for each in wanted.answers]
    return SurveyOut.of(
        services.answer(
            engine.lab, answers, survey_id=survey_id, project_id=survey.project_id, labeller=wanted.labeller
        )
    )


@router.post("/surveys/{survey_id}/images")
def enlarge_survey(engine: Own, survey_id: Number, wanted: MoreIn) -> SurveyOut:
    """Ask about further images; the points and answers there are stay."""
    n_more = {WHOLE: wanted.images} if isinstance(wanted.images, int) else wanted.images
    return SurveyOut.of(services.enlarge_survey(engine.lab, survey_id=survey_id, n_more=n_more))


@router.put("/surveys/{survey_id}/closed")
def set_closed(engine: Own, survey_id: Number, wanted: ClosedIn) -> SurveyOut:
    """Close a survey, or take answers again."""
    change = services.close_survey if wanted.closed else services.reopen_survey
    return SurveyOut.of(change(engine.lab, survey_id=survey_id))


@router.post("/surveys/{survey_id}/teach")
def teach(engine: Own, survey_id: Number) -> TaughtOut:
    """Make the answers of a closed survey points of the project, once."""
    survey = services.survey_of(engine.lab, survey_id=survey_id)
    taught = services.teach(engine.lab, survey_id=survey_id)
    engine.jobs.changed(survey.project_id)
    return TaughtOut(taught=taught)


@router.post("/surveys/{survey_id}/predictions", status_code=202)
def predict(engine: Own, survey_id: Number) -> PredictingOut:
    """Begin to predict all images of a survey; ask with GET until the state is not running any more."""
    survey = services.survey_of(engine.lab, survey_id=survey_id)
    if survey.taught_at is not None:
        raise InvalidSurvey(
            f"the project has learned from the answers of survey {survey.spec.name!r}: plan another one"
        )
    engine.surveys.start(survey_id, project_id=survey.project_id)
    return get_predicting(engine, survey_id)


@router.get("/surveys/{survey_id}/predictions")
def get_predicting(engine: Own, survey_id: Number) -> PredictingOut:
    """How far predicting the images of a survey is; "never" when nobody asked since the service started."""
    services.survey_of(engine.lab, survey_id=survey_id)
    status = engine.surveys.status(survey_id)
    if status is None:
        return PredictingOut(state="never")
    return PredictingOut(state=status.state, done=status.done, total=status.total, message=status.message)


REPORTS: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/json": {}, "text/csv": {}, "image/svg+xml": {}},
        "description": "shares of classes with intervals, 0 to 1; percent in the layout of CoralNet",
    }
}


@router.get("/surveys/{survey_id}/report", response_class=Response, responses=REPORTS)
def get_report(
    engine: Own,
    survey_id: Number,
    as_format: Annotated[Literal["json", "csv", "coralnet", "svg"], Query(alias="format")] = "json",
    dont_know: Reading = "left out",
    method: Method | None = None,
    stratum: Annotated[str | None, Query(max_length=1000)] = None,
) -> Response:
    """The cover of each class: all of it as JSON, a table, percent covers of images for CoralNet, or a figure.

    `dont_know` is "left out" of the shares, or "a class". `method` of the table and the figure is the best unless it
    is named; `stratum` is what the figure is of.
    """
    report = report_of(engine.lab, survey_id=survey_id, reading_as=dont_know)
    if as_format == "svg":
        return Response(report_svg(report, stratum=stratum, method=method), media_type="image/svg+xml")
    if as_format == "json":
        return Response(report_json(report), media_type="application/json")
    data = report_csv(report, method=method) if as_format == "csv" else coralnet_csv(report)
    return Response(data, media_type="text/csv; charset=utf-8")
