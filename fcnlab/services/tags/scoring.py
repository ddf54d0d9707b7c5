"""How good suggestions are: on images that were answered, by taggers that did not learn from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.tagging.from_labels import UNKNOWN
from fcnlab.core.tagging.scores import Interval, TagScores, tag_scores
from fcnlab.core.tagging.tagger import held_out_probabilities
from fcnlab.core.training.splits import groups_alike
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import FcnlabError, InvalidTag
from fcnlab.lab import Lab
from fcnlab.services.images.pictures import thumbnail_descriptor
from fcnlab.services.tags.reading import ProjectTags
from fcnlab.services.tags.suggestions import Features
from fcnlab.storage.database import repository_images
from fcnlab.storage.database.engine import reading

LEVEL = 0.9
"""How often intervals hold the score on all images like these."""


@dataclass(frozen=True, slots=True)
class ScoredTags:
    """Scores of the classes that can be suggested, in their order, on so many images that were answered."""

    classes: tuple[ClassLabel, ...]
    scores: TagScores


def score_tags(lab: Lab, tags: ProjectTags, features: Features, *, level: float = LEVEL, seed: int = 0) -> ScoredTags:
    """Score suggestions by cross-validation over the images that were answered; those that look alike stay together.

    What labels in images say counts as answered; contradictions do not.

    Args:
        lab: the installation.
        tags: of the project.
        features: of its images that were looked at.
        level: how often intervals hold the score on all images like these.
        seed: of the parts, and of what is left to chance.

    Raises:
        InvalidTag: too little was answered: of no class two images are known with it and two without, or all that were
            answered look alike.
    """
    answered = [
        image.id
        for image, row in zip(tags.images, tags.teaching, strict=True)
        if image.id in features and (row != UNKNOWN).any()
    ]
    answers = tags.teaching[[tags.row_of[image_id] for image_id in answered]]
    columns = [
        column
        for column in range(answers.shape[1])
        if min((answers[:, column] == code).sum() for code in (0, 1)) >= 2  # one to learn from, and one to score
    ]
    if not columns:
        raise InvalidTag(
            "suggestions cannot be scored yet: answer at least two images with a class and two without it, "
            "and have them looked at"
        )
    stacked = np.stack([features[image_id] for image_id in answered])
    class_ids = [tags.class_ids[column] for column in columns]
    probabilities, is_told = held_out_probabilities(
        stacked, answers[:, columns], class_ids, groups=_alike(lab, answered), seed=seed
    )
    if not is_told.any():
        raise InvalidTag(
            "suggestions cannot be scored yet: the images that were answered look alike, so that none is new to a "
            "tagger that learned from the others; answer images that look otherwise"
        )
    told = np.where(is_told, answers[:, columns], np.int8(UNKNOWN))
    classes = tuple(tags.classes[column] for column in columns)
    return ScoredTags(classes, tag_scores(probabilities, told, level=level, seed=seed))


def _alike(lab: Lab, image_ids: list[int]) -> NDArray[np.int64]:
    """(N,) a number for each group of images that look alike; one without a thumbnail looks like no other."""
    with reading(lab.sessions) as session:
        images = {image.id: image for image in repository_images.images_by_ids(session, image_ids=image_ids)}
    numbers = np.arange(len(image_ids), dtype=np.int64)
    descriptors, places = [], []
    for place, image_id in enumerate(image_ids):
        try:
            descriptors.append(thumbnail_descriptor(lab, images[image_id]))
        except (FcnlabError, OSError, KeyError):
            continue
        places.append(place)
    for group in groups_alike(descriptors):
        numbers[[places[index] for index in group]] = places[group[0]]
    return numbers


def scored_values(scored: ScoredTags) -> dict[str, Any]:
    """Scores as plain values for JSON; None where there is no score."""
    scores = scored.scores
    return {
        "classes": [
            {
                "id": label.id,
                "name": label.name,
                "yes": tag.n_yes,
                "no": tag.n_no,
                "average_precision": _interval_values(tag.average_precision),
                "f1": _interval_values(tag.f1),
            }
            for label, tag in zip(scored.classes, scores.tags, strict=True)
        ],
        "mean_average_precision": _interval_values(scores.mean_average_precision),
        "micro_f1": _interval_values(scores.micro_f1),
        "macro_f1": _interval_values(scores.macro_f1),
        "calibration_error": scores.calibration_error,
        "images": scores.n_images,
        "level": scores.level,
        "missing": scores.why_missing,
    }


def _interval_values(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"value": interval.value, "low": interval.low, "high": interval.high}
