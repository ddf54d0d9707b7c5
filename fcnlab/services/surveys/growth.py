"""What further images would tell: how they are best shared out among strata, and how narrow intervals would become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.surveys.planning import expected_widths, need_of, neyman_allocation
from fcnlab.domain.survey import Survey
from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.surveys.report import SurveyClass, report_of, stratum_answers
from fcnlab.services.surveys.surveys import survey_images, survey_points


@dataclass(frozen=True, slots=True)
class StratumGrowth:
    """A stratum that grows.

    Attributes:
        name: of the stratum.
        part: its part of all pixels.
        n_answered: images with answers.
        n_waiting: images that were drawn already and have no answer yet; they are the first to be answered.
        n_more: images to answer from now on, those that wait among them.
        widths_now, widths_then: (K,) widths of the intervals from answers alone, now and with these images.
    """

    name: str
    part: float
    n_answered: int
    n_waiting: int
    n_more: int
    widths_now: tuple[float, ...]
    widths_then: tuple[float, ...]

    @property
    def n_to_draw(self) -> int:
        """Images to draw besides those that wait."""
        return max(0, self.n_more - self.n_waiting)


@dataclass(frozen=True, slots=True)
class SurveyGrowth:
    """A survey with `n_more` further images answered; widths (K,) are of all strata together."""

    survey: Survey
    classes: tuple[SurveyClass, ...]
    strata: tuple[StratumGrowth, ...]
    widths_now: tuple[float, ...]
    widths_then: tuple[float, ...]

    @property
    def n_more(self) -> int:
        """Images to answer from now on."""
        return sum(stratum.n_more for stratum in self.strata)

    @property
    def to_draw(self) -> Mapping[str, int]:
        """What `enlarge_survey` takes."""
        return {stratum.name: stratum.n_to_draw for stratum in self.strata if stratum.n_to_draw}


def growth_of(lab: Lab, *, survey_id: int, n_more: int, class_id: int | None = None) -> SurveyGrowth:
    """How `n_more` further images with answers are best shared out (Neyman), and what they make of intervals.

    "Don't know" is left out. Each of the images has as many points as the survey has now.

    Args:
        lab: the installation.
        survey_id: with answers about two images of each stratum at least, and two of an image.
        n_more: 0 or more.
        class_id: the class whose share shall be surest; None: all alike.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: the answers so far do not show how images differ, more images than are left, or no such class.
    """
    report = report_of(lab, survey_id=survey_id)
    survey, answers = report.survey, stratum_answers(lab, survey_id=survey_id)
    for stratum in report.strata:
        if stratum.name not in answers:
            raise InvalidSurvey(f"what further images tell shows once there are answers: {'; '.join(stratum.notes)}")
    ids = [each.id for each in report.classes]
    if class_id is not None and class_id not in ids:
        raise InvalidSurvey(f"there is no class {class_id} in survey {survey.spec.name!r}")
    index, n = None if class_id is None else ids.index(class_id), survey.spec.n_per_image
    strata = list(answers.values())
    shared_out = neyman_allocation([need_of(each, n, class_index=index) for each in strata], n_more)
    waiting = _waiting(lab, survey_id, {image.image.image_id for image in report.images})
    total = sum(each.total_size for each in strata)
    grown = [
        StratumGrowth(
            name,
            each.total_size / total,
            each.n_images,
            waiting.get(name, 0),
            further,
            *(_plain(expected_widths(each, count, n, level=survey.spec.level)) for count in (0, further)),
        )
        for (name, each), further in zip(answers.items(), shared_out, strict=True)
    ]
    now, then = (_together(grown, [getattr(each, name) for each in grown]) for name in ("widths_now", "widths_then"))
    return SurveyGrowth(survey, report.classes, tuple(grown), now, then)


def _waiting(lab: Lab, survey_id: int, answered: set[int]) -> Mapping[str, int]:
    """Images that were drawn and have no answer, by stratum."""
    strata = {image.image_id: image.stratum for image in survey_images(lab, survey_id=survey_id)}
    drawn = {point.image_id for point in survey_points(lab, survey_id=survey_id)}
    return Counter(strata[image_id] for image_id in drawn - answered)


def _together(strata: Sequence[StratumGrowth], widths: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """(K,) widths of all strata: their errors are independent, and count by the part that a stratum has."""
    parts = np.array([stratum.part for stratum in strata])
    return _plain(np.sqrt(((parts[:, None] * np.array(widths)) ** 2).sum(axis=0)))


def _plain(widths: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(map(float, widths))
