"""What the model of a project predicts for all images of a survey, so that its answers can correct it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import IGNORE
from fcnlab.domain.survey import PredictedBy, Survey, SurveyPoint
from fcnlab.errors import InvalidSurvey
from fcnlab.lab import Lab
from fcnlab.services.export.plan import NOTHING_LEARNED, Runner, learning, snapshot
from fcnlab.services.live.fitting import ProjectLearner
from fcnlab.services.live.mask_source import MaskSource
from fcnlab.services.live.masks import predicted_mask
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading, writing
from fcnlab.storage.database.surveys import repository as repository_surveys

INSTANT = "instant learner"


def predict_survey(lab: Lab, run: Runner, *, survey_id: int) -> Iterator[tuple[int, int, str]]:
    """Predict every image of a survey by what the project knows now: number, count and name of each, one per step.

    What was predicted before is replaced once all images are.

    Raises:
        UnknownSurvey: no such survey.
        InvalidSurvey: nothing can be predicted yet, or the project has learned from the answers of the survey.
        FcnlabError: an image cannot be read, or the model that the project chose cannot be used.
    """
    with reading(lab.sessions) as session:
        survey = repository_surveys.survey(session, survey_id=survey_id)
        points = repository_surveys.survey_points(session, survey_id=survey_id)
        ids = [image.image_id for image in repository_surveys.survey_images(session, survey_id=survey_id)]
        images = [repository_images.image(session, image_id=image_id) for image_id in ids]
    _refuse_taught(survey)
    for done, total, name in learning(run):
        yield done, total + len(images), name
    moment, source = snapshot(lab, run, project_id=survey.project_id, with_masks=True)
    if source is None:
        raise InvalidSurvey(f"no mask of the images of this survey can be predicted: {NOTHING_LEARNED}")
    asked: dict[int, list[SurveyPoint]] = {}
    for point in points:
        asked.setdefault(point.image_id, []).append(point)
    shares: dict[int, dict[int, float]] = {}
    predicted: dict[int, int] = {}
    for number, image in enumerate(images, start=1):
        mask = run(partial(_mask, image=image, source=source))
        shares[image.id] = shares_of(mask)
        predicted |= {point.id: int(mask[point.row, point.col]) for point in asked.get(image.id, [])}
        yield number, len(images), image.name
    by = PredictedBy(moment.model.name if moment.model else INSTANT, moment.revision, lab.clock().isoformat())
    with writing(lab.sessions) as session:
        _refuse_taught(repository_surveys.survey(session, survey_id=survey_id))
        repository_surveys.record_predictions(
            session, survey_id=survey_id, predicted_by=by, shares=shares, predicted=predicted
        )


def shares_of(mask: NDArray[np.uint8]) -> dict[int, float]:
    """Share of each class id among the pixels of a mask (H, W) about which something is said."""
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)[:IGNORE]
    total = max(1, int(counts.sum()))
    return {int(class_id): float(counts[class_id] / total) for class_id in np.flatnonzero(counts)}


def _mask(learner: ProjectLearner, *, image: ImageInfo, source: MaskSource) -> NDArray[np.uint8]:
    return predicted_mask(learner, image, source)


def _refuse_taught(survey: Survey) -> None:
    if survey.taught_at is not None:
        raise InvalidSurvey(
            f"the project has learned from the answers of survey {survey.spec.name!r}, so that they cannot say "
            "how well it predicts any more: predict before, or plan another survey"
        )
