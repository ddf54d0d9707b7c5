"""What PointSegmenter makes sure of before it takes something in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fcnlab.core.learner.model import LabelledSamples
from fcnlab.domain.project import MAX_CLASSES
from fcnlab.errors import InvalidClasses, InvalidImage, InvalidPoints


def as_array(image: ArrayLike) -> NDArray[Any]:
    """The pixels of an image as an array. Raises InvalidImage: rows of different lengths, or no numbers."""
    try:
        return np.asarray(image)
    except (TypeError, ValueError, OverflowError) as failure:
        raise InvalidImage(f"an image must be an array of pixels: {failure}") from failure


def checked_background(background: int | str | None, classes: Sequence[str]) -> int | None:
    """The place of the background among the classes, None without one. Raises InvalidClasses: it is none of them."""
    if background is None:
        return None
    if isinstance(background, str) and background in classes:
        return classes.index(background)
    if type(background) is int and 0 <= background < len(classes):
        return background
    raise InvalidClasses(f"the background {background!r} is no class: name one of {', '.join(classes)}, or None")


def checked_grades(grades: Sequence[int | str], classes: Sequence[str]) -> tuple[int, ...]:
    """The places of the grades among the classes, lowest first. Raises InvalidClasses: one is none of them."""
    if isinstance(grades, str) or not isinstance(grades, Sequence):
        raise InvalidClasses(f"the grades {grades!r} must be a list of classes: {', '.join(classes)}")
    places = []
    for grade in grades:
        if isinstance(grade, str) and grade in classes:
            places.append(classes.index(grade))
        elif type(grade) is int and 0 <= grade < len(classes):
            places.append(grade)
        else:
            raise InvalidClasses(f"the grade {grade!r} is no class: name one of {', '.join(classes)}")
    return tuple(places)


def whole_numbers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """Values (N,) int64; a single number counts as N = 1. Raises InvalidPoints for anything else."""
    try:
        array = np.atleast_1d(np.asarray(values))
    except (TypeError, ValueError, OverflowError) as failure:  # ragged lists
        raise InvalidPoints(f"{name} must be whole numbers of shape (N,): {failure}") from failure
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise InvalidPoints(f"{name} must be whole numbers of shape (N,), got {array.dtype} of shape {array.shape}")
    if array.max() > np.iinfo(np.int64).max:
        raise InvalidPoints(f"{name} holds {array.max()}, which is beyond 64 bits")
    return array.astype(np.int64)


def renumbered(labelled: LabelledSamples, index_of: dict[int, int]) -> LabelledSamples:
    """Samples of an image with class ids turned into indices of the class list."""
    table = np.zeros(MAX_CLASSES, np.int64)
    for class_id, index in index_of.items():
        table[class_id] = index

    def turned(samples: Any) -> Any:
        return None if samples is None else replace(samples, class_ids=table[samples.class_ids])

    image_samples = labelled.samples
    return replace(
        labelled,
        clicks=replace(labelled.clicks, class_ids=table[labelled.clicks.class_ids]),
        samples=replace(
            image_samples,
            clicked=turned(image_samples.clicked),
            neighbours=turned(image_samples.neighbours),
            border=turned(image_samples.border),
        ),
    )
