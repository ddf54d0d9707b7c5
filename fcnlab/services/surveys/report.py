"""What the answers of a survey say: cover by class, stratum and image, with intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers, unknown_as_class
from fcnlab.core.surveys.estimates import ESTIMATORS, CoverEstimate, Method, PredictedCover, predicted
from fcnlab.core.surveys.posterior import DirichletPosterior, posterior_of, scaled_posterior
from fcnlab.domain.images import PixelSize
from fcnlab.domain.project import ClassLabel
from fcnlab.domain.survey import WHOLE, Survey, SurveyImage, SurveyPoint
from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import removed_classes
from fcnlab.storage.database.surveys import repository as repository_surveys

Reading = Literal["left out", "a class"]
"""What "don't know" is taken for. Left out: shares are of the pixels whose class can be told. A class: of all."""

READINGS: tuple[Reading, ...] = ("left out", "a class")
UNKNOWN_NAME, UNKNOWN_COLOUR = "don't know", "#9e9e9e"

METHOD_WORDS: dict[Method, str] = {
    "from_answers": "from the answers alone",
    "corrected": "answers and predicted masks together",
    "by_confusion": "answers by predicted class",
    "as_if_independent": "as if every answer were independent",
}
"""How shares were estimated, for people."""


@dataclass(frozen=True, slots=True)
class SurveyClass:
    """A class of a report: its id in the project, None for "don't know"."""

    id: int | None
    name: str
    colour: str


@dataclass(frozen=True, slots=True, eq=False)
class CoverReport:
    """Cover in a stratum, or in all of them together.

    Attributes:
        name: of the stratum; empty for all together.
        n_images, n_surveyed: images of the population, and those with answers.
        n_answers, n_unknown: answers that name a class, and "don't know".
        area_m2: square metres of the population; None where pixel sizes are not known of every image.
        estimates: by method; those that can be had.
        posterior: of the shares, by as many independent answers as the clustered ones are worth; None without one.
        predicted: shares in the masks of the model and their bias, None without predictions.
        notes: why something is missing, in words.
        told: the method to tell first.
    """

    name: str
    n_images: int
    n_surveyed: int
    n_answers: int
    n_unknown: int
    area_m2: float | None = None
    estimates: Mapping[Method, CoverEstimate] = field(default_factory=dict)
    posterior: DirichletPosterior | None = None
    predicted: tuple[PredictedCover, ...] | None = None
    notes: tuple[str, ...] = ()
    told: Method = "from_answers"

    @property
    def best(self) -> CoverEstimate | None:
        """The estimate to tell first: by the method that was asked for, else from the answers alone."""
        return self.estimates.get(self.told) or self.estimates.get("from_answers")

    def estimate(self, method: Method | None = None) -> CoverEstimate | None:
        """The estimate by a method, None where it cannot be had; without a method the best."""
        return self.best if method is None else self.estimates.get(method)


@dataclass(frozen=True, slots=True, eq=False)
class ImageCover:
    """What was answered in an image: answers of each class, "don't know", points asked about, and the posterior of the
    shares of its pixels."""

    image: SurveyImage
    counts: tuple[int, ...]
    n_unknown: int
    n_points: int
    posterior: DirichletPosterior


@dataclass(frozen=True, slots=True, eq=False)
class SurveyReport:
    """A survey, its classes, and cover in all strata together, in each stratum, and in each image with answers."""

    survey: Survey
    reading: Reading
    classes: tuple[SurveyClass, ...]
    total: CoverReport
    strata: tuple[CoverReport, ...]
    images: tuple[ImageCover, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Material:
    """What a report is made from: class ids in the order of the report, and square metres of a pixel by image id."""

    survey: Survey
    labels: tuple[ClassLabel, ...]
    removed: frozenset[int]
    images: tuple[SurveyImage, ...]
    points: tuple[SurveyPoint, ...]
    pixel_m2: Mapping[int, float]

    @property
    def class_ids(self) -> tuple[int, ...]:
        """Ids of the classes, in the order of the report."""
        return tuple(label.id for label in self.labels)


def report_of(
    lab: Lab, *, survey_id: int, reading_as: Reading = "left out", method: Method = "from_answers"
) -> SurveyReport:
    """The report of a survey as it is now, told by a method. What cannot be estimated is missing; the notes say why.

    Raises:
        UnknownSurvey: no such survey.
    """
    material = _material(lab, survey_id)
    answers: dict[str, StratumAnswers] = {}
    reports = []
    for name in sorted({image.stratum for image in material.images}):
        report, of_stratum = _stratum_report(material, name, reading_as)
        reports.append(replace(report, told=method))
        if of_stratum is not None:
            answers[name] = of_stratum
    total = replace(_total(material, reports, answers), told=method)
    classes = [
        SurveyClass(label.id, f"{label.name} (removed)" if label.id in material.removed else label.name, label.colour)
        for label in material.labels
    ]
    if reading_as == "a class":
        classes.append(SurveyClass(None, UNKNOWN_NAME, UNKNOWN_COLOUR))
    images = _image_covers(material, reading_as)
    return SurveyReport(material.survey, reading_as, tuple(classes), total, tuple(reports), images)


def stratum_answers(lab: Lab, *, survey_id: int) -> dict[str, StratumAnswers]:
    """The answers of each stratum that has enough of them, by its name. Raises UnknownSurvey."""
    material = _material(lab, survey_id)
    named = {image.stratum for image in material.images}
    pairs = {name: _stratum_report(material, name, "left out")[1] for name in sorted(named)}
    return {name: answers for name, answers in pairs.items() if answers is not None}


def _material(lab: Lab, survey_id: int) -> _Material:
    with reading(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        points = repository_surveys.survey_points(session, survey_id=survey_id)
        images = repository_surveys.survey_images(session, survey_id=survey_id)
        project = repository_projects.project(session, project_id=survey.project_id)
        gone = removed_classes(session, project_id=survey.project_id)
        infos = repository_images.images(session, project_id=survey.project_id)
    met = {point.class_id for point in points if point.class_id is not None}
    removed = tuple(label for label in gone if label.id in met)
    surveyed = {image.image_id for image in images}
    pixel_m2 = {info.id: area for info in infos if info.id in surveyed and (area := _area(info.pixel_size)) is not None}
    return _Material(
        survey, (*project.classes, *removed), frozenset(label.id for label in removed), images, points, pixel_m2
    )


def _area(pixel_size: PixelSize | None) -> float | None:
    return None if pixel_size is None else pixel_size.area_m2


def _stratum_report(material: _Material, name: str, reading_as: Reading) -> tuple[CoverReport, StratumAnswers | None]:
    """The report of a stratum, and its answers where there are enough to estimate from."""
    population = [image for image in material.images if image.stratum == name]
    ids = {image.image_id for image in population}
    answered = [point for point in material.points if point.image_id in ids and point.is_answered]
    n_unknown = sum(point.is_unknown for point in answered)
    plain = CoverReport(
        name,
        len(population),
        len({point.image_id for point in answered}),
        len(answered) - n_unknown,
        n_unknown,
        _area_of(material, population),
    )
    notes: list[str] = []
    try:
        answers = _answers(material, population, answered, name, notes)
        if reading_as == "a class":
            answers = unknown_as_class(answers)
    except InvalidSurvey as reason:
        return _with(plain, {}, None, [*notes, str(reason)]), None
    return _estimated(plain, material.survey, [answers], notes), answers


def _total(material: _Material, reports: Sequence[CoverReport], answers: Mapping[str, StratumAnswers]) -> CoverReport:
    """All strata together; nothing is estimated of all while one of them has no answers to go by."""
    areas = [report.area_m2 for report in reports]
    plain = CoverReport(
        WHOLE,
        sum(report.n_images for report in reports),
        sum(report.n_surveyed for report in reports),
        sum(report.n_answers for report in reports),
        sum(report.n_unknown for report in reports),
        None if None in areas else sum(area for area in areas if area is not None),
    )
    if len(reports) == 1:
        (only,) = reports
        return _with(plain, only.estimates, only.predicted, only.notes, only.posterior)
    missing = [report.name for report in reports if report.name not in answers]
    if missing:
        notes = [f"strata without enough answers: {', '.join(missing)}; cover of all strata needs answers in each"]
        return _with(plain, {}, None, notes)
    notes = list(dict.fromkeys(note for report in reports for note in report.notes))
    return _estimated(plain, material.survey, list(answers.values()), notes)


def _estimated(plain: CoverReport, survey: Survey, strata: Sequence[StratumAnswers], notes: list[str]) -> CoverReport:
    """The report with every estimate that can be had."""
    has_model = all(answers.predictions is not None for answers in strata)
    methods: list[Method] = ["as_if_independent", "from_answers", *(("corrected", "by_confusion") if has_model else ())]
    estimates: dict[Method, CoverEstimate] = {}
    for method in methods:
        try:
            estimates[method] = ESTIMATORS[method](strata, level=survey.spec.level)
        except InvalidSurvey as reason:
            if str(reason) not in notes:
                notes.append(str(reason))
    shares = predicted(strata, level=survey.spec.level) if "corrected" in estimates else None
    clustered, posterior = estimates.get("from_answers"), None
    if clustered is not None and np.isfinite(clustered.effective_answers):
        posterior = scaled_posterior(clustered.shares, clustered.effective_answers, survey.spec.prior)
    return _with(plain, estimates, shares, notes, posterior)


def _with(
    plain: CoverReport,
    estimates: Mapping[Method, CoverEstimate],
    shares: tuple[PredictedCover, ...] | None,
    notes: Sequence[str],
    posterior: DirichletPosterior | None = None,
) -> CoverReport:
    return CoverReport(
        plain.name,
        plain.n_images,
        plain.n_surveyed,
        plain.n_answers,
        plain.n_unknown,
        plain.area_m2,
        estimates,
        posterior,
        shares,
        tuple(notes),
    )


def _answers(
    material: _Material,
    population: Sequence[SurveyImage],
    answered: Sequence[SurveyPoint],
    name: str,
    notes: list[str],
) -> StratumAnswers:
    """The answers of a stratum as estimators take them. Raises InvalidSurvey: there are none to go by."""
    if not answered:
        raise InvalidSurvey(f"no point of {f'stratum {name!r}' if name else 'this survey'} is answered yet")
    surveyed = sorted({point.image_id for point in answered})
    row_of = {image_id: row for row, image_id in enumerate(surveyed)}
    index_of = {class_id: index for index, class_id in enumerate(material.class_ids)}
    sizes = _sizes(material, population)
    images = np.array([row_of[point.image_id] for point in answered], np.int64)
    classes = np.array(
        [UNKNOWN if point.class_id is None else index_of[point.class_id] for point in answered], np.int64
    )
    return StratumAnswers(
        images,
        classes,
        len(material.class_ids),
        np.array([sizes[image_id] for image_id in surveyed]),
        len(population),
        sum(sizes.values()),
        _predictions(material, population, answered, surveyed, sizes, notes),
        name,
    )


def _sizes(material: _Material, population: Sequence[SurveyImage]) -> dict[int, float]:
    """How much each image counts, by its id: its pixels, or its ground where that is known of all images of the survey.

    Ground is told in pixels of the smallest ground: sizes say how many pixels an image has besides (estimators count
    with answered pixels being none that are left), and must not be fewer than these.
    """
    smallest = min(material.pixel_m2.values(), default=1.0)
    by_area = _has_ground(material)
    return {
        image.image_id: image.hw[0] * image.hw[1] * (material.pixel_m2[image.image_id] / smallest if by_area else 1.0)
        for image in population
    }


def _area_of(material: _Material, population: Sequence[SurveyImage]) -> float | None:
    if not _has_ground(material):
        return None
    return sum(image.hw[0] * image.hw[1] * material.pixel_m2[image.image_id] for image in population)


def _has_ground(material: _Material) -> bool:
    return all(image.image_id in material.pixel_m2 for image in material.images)


def _predictions(
    material: _Material,
    population: Sequence[SurveyImage],
    answered: Sequence[SurveyPoint],
    surveyed: Sequence[int],
    sizes: Mapping[int, float],
    notes: list[str],
) -> Predictions | None:
    """What the model predicts for a stratum; None, with a note, where that is not known of everything."""
    if material.survey.predicted_by is None:
        return None
    index_of = {class_id: index for index, class_id in enumerate(material.class_ids)}
    if any(image.shares is None for image in population) or any(point.predicted is None for point in answered):
        notes.append("the survey grew since its images were predicted: predict them again")
        return None
    shares = np.zeros((len(population), len(index_of)))
    for row, image in enumerate(population):
        for class_id, share in (image.shares or {}).items():
            if class_id not in index_of:
                notes.append("classes were removed since the images were predicted: predict them again")
                return None
            shares[row, index_of[class_id]] = share
    if any(point.predicted not in index_of for point in answered) or not shares.sum(axis=1).all():
        notes.append("the predicted masks say nothing of some pixels: predict the images again")
        return None
    row_of = {image.image_id: row for row, image in enumerate(population)}
    return Predictions(
        classes=np.array([index_of[point.predicted or 0] for point in answered], np.int64),
        surveyed=np.array([row_of[image_id] for image_id in surveyed], np.int64),
        shares=shares / shares.sum(axis=1, keepdims=True),
        sizes=np.array([sizes[image.image_id] for image in population]),
    )


def _image_covers(material: _Material, reading_as: Reading) -> tuple[ImageCover, ...]:
    """Each image with answers, in import order."""
    index_of = {class_id: index for index, class_id in enumerate(material.class_ids)}
    n_classes = len(index_of) + (reading_as == "a class")
    counts: dict[int, NDArray[np.int64]] = {}
    unknown: dict[int, int] = {}
    n_points = Counter(point.image_id for point in material.points)
    for point in material.points:
        if not point.is_answered:
            continue
        of_image = counts.setdefault(point.image_id, np.zeros(n_classes, np.int64))
        if point.class_id is not None:
            of_image[index_of[point.class_id]] += 1
        else:
            unknown[point.image_id] = unknown.get(point.image_id, 0) + 1
            if reading_as == "a class":
                of_image[-1] += 1
    return tuple(
        ImageCover(
            image,
            tuple(counts[image.image_id].tolist()),
            unknown.get(image.image_id, 0),
            n_points[image.image_id],
            posterior_of(counts[image.image_id], material.survey.spec.prior),
        )
        for image in material.images
        if image.image_id in counts and n_classes > 1
    )
