"""What further images of a survey would tell: which help most, and how narrow intervals would become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fcnlab.core.surveys.answers import StratumAnswers
from fcnlab.core.surveys.next_images import expected_width, next_images
from fcnlab.domain.survey import Survey
from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.surveys.report import SurveyClass, report_of, stratum_answers
from fcnlab.services.surveys.surveys import survey_images, survey_points


@dataclass(frozen=True, slots=True, eq=False)
class SurveyGrowth:
    """A survey that may ask about further images. Strata are in one order; "don't know" is left out.

    Attributes:
        classes: K of them, in the order of class indices.
        names: of the strata.
        answers: of each stratum so far.
        drawn: images of each stratum that are asked about, answered or waiting for answers.
        available: images of each stratum.
    """

    survey: Survey
    classes: tuple[SurveyClass, ...]
    names: tuple[str, ...]
    answers: tuple[StratumAnswers, ...]
    drawn: tuple[int, ...]
    available: tuple[int, ...]

    @property
    def n_left(self) -> int:
        """Images that are not asked about."""
        return sum(self.available) - sum(self.drawn)

    @property
    def waiting(self) -> tuple[int, ...]:
        """Images of each stratum that are asked about and have no answer yet."""
        return tuple(n - answers.n_images for n, answers in zip(self.drawn, self.answers, strict=True))

    def shared_out(self, n_more: int, class_index: int | None = None, *, waiting_first: bool = False) -> dict[str, int]:
        """How many of so many further images each stratum should get, so that a class (None: all alike) is surest.

        Args:
            n_more: images to draw, or with `waiting_first` to answer: those that wait for answers are the first.

        Raises:
            InvalidSurvey: more images than are left, or answers that do not show how images differ.
        """
        taken = [answers.n_images for answers in self.answers] if waiting_first else self.drawn
        shares = next_images(self.answers, taken, n_more, self.survey.spec.n_per_image, class_index=class_index)
        return dict(zip(self.names, shares, strict=True))

    def to_draw(self, n_more: Mapping[str, int]) -> dict[str, int]:
        """Images to draw from each stratum, so that with those that wait so many are answered; 0 or more."""
        return {name: max(0, n_more[name] - n) for name, n in zip(self.names, self.waiting, strict=True)}

    def width_now(self, class_index: int) -> float:
        """Width of the interval of a class that is expected of the answers so far; raises as `width_with`."""
        return self._width([0] * len(self.names), class_index)

    def width_with(self, n_more: Mapping[str, int], class_index: int) -> float:
        """Width of the interval of a class once all that is asked about is answered, and so many images more.

        Raises:
            InvalidSurvey: more images than are left, or answers that do not show how images differ.
        """
        further = [n + n_more.get(name, 0) for n, name in zip(self.waiting, self.names, strict=True)]
        return self._width(further, class_index)

    def _width(self, further: Sequence[int], class_index: int) -> float:
        spec = self.survey.spec
        return expected_width(self.answers, further, spec.n_per_image, class_index=class_index, level=spec.level)


def growth_of(lab: Lab, *, survey_id: int) -> SurveyGrowth:
    """How a survey may grow.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: a stratum has no answers to go by.
    """
    report = report_of(lab, survey_id=survey_id)
    by_name = stratum_answers(lab, survey_id=survey_id)
    for stratum in report.strata:
        if stratum.name not in by_name:
            raise InvalidSurvey(f"what further images tell shows once there are answers: {'; '.join(stratum.notes)}")
    images = survey_images(lab, survey_id=survey_id)
    asked = {point.image_id for point in survey_points(lab, survey_id=survey_id)}
    available = Counter(image.stratum for image in images)
    drawn = Counter(image.stratum for image in images if image.image_id in asked)
    names = tuple(sorted(available))
    return SurveyGrowth(
        report.survey,
        report.classes,
        names,
        tuple(by_name[name] for name in names),
        tuple(drawn[name] for name in names),
        tuple(available[name] for name in names),
    )
