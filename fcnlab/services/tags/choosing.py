"""Images chosen by their tags: for the strip, for trainings, surveys and exports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.tagging.from_labels import NO, UNKNOWN, YES
from fcnlab.domain.images import ImageState
from fcnlab.domain.project import ClassLabel
from fcnlab.domain.tags import LIKELY, TAG_WORDS, TagChoice, TagFilter
from fcnlab.errors import InvalidTag
from fcnlab.lab import Lab
from fcnlab.services.live.picture_store import PictureStore
from fcnlab.services.tags.reading import ProjectTags, tags_of
from fcnlab.services.tags.suggestions import SeenImages, TagSuggestions, look_at_images, suggest

CODE_OF: dict[TagChoice, int] = {"yes": YES, "no": NO, "unknown": UNKNOWN}


def images_with(
    tags: ProjectTags,
    filters: Sequence[TagFilter],
    *,
    suggestions: TagSuggestions | None = None,
    not_done: bool = False,
) -> tuple[int, ...]:
    """Ids of the images that pass all filters, in import order.

    Args:
        tags: of the project.
        filters: none: all images.
        suggestions: by which classes are predicted; an image of which nothing is suggested is not predicted to contain
            anything.
        not_done: leave out images that somebody marked done.

    Raises:
        InvalidTag: a filter names a class that the project does not use, or predicts and nothing can be.
    """
    passes = np.ones(len(tags.images), np.bool_)
    for each in filters:
        passes &= _passing(tags, each, suggestions)
    if not_done:
        passes &= np.array([image.state is not ImageState.DONE for image in tags.images], np.bool_)
    return tuple(image.id for image, is_in in zip(tags.images, passes, strict=True) if is_in)


def _passing(tags: ProjectTags, wanted: TagFilter, suggestions: TagSuggestions | None) -> NDArray[np.bool_]:
    """(N,) whether each image passes a filter."""
    if wanted.class_id not in tags.column_of:
        raise InvalidTag(f"there is no class {wanted.class_id} in this project; it may have been removed")
    said = tags.values[:, tags.column_of[wanted.class_id]]
    if not wanted.is_predicting:
        return np.asarray(said == CODE_OF[wanted.wanted])
    predicted = (said == UNKNOWN) & _predicted(tags, wanted, suggestions)
    return np.asarray(predicted if wanted.wanted == "predicted" else predicted | (said == YES))


def _predicted(tags: ProjectTags, wanted: TagFilter, suggestions: TagSuggestions | None) -> NDArray[np.bool_]:
    if suggestions is None or wanted.class_id not in suggestions.class_ids:
        name = tags.classes[tags.column_of[wanted.class_id]].name
        raise InvalidTag(
            f"nothing can be predicted of class {name!r} yet: say of images with it yes, and of images without it no"
        )
    likely = np.zeros(len(tags.images), np.bool_)
    column = suggestions.class_ids.index(wanted.class_id)
    for image_id, probability in zip(suggestions.image_ids, suggestions.probabilities[:, column], strict=True):
        if image_id in tags.row_of:
            likely[tags.row_of[image_id]] = probability >= wanted.threshold
    return likely


def filters_of(texts: Sequence[str], classes: Sequence[ClassLabel]) -> tuple[TagFilter, ...]:
    """Filters as people write them: "coral" (yes), "coral=no", "coral=unknown", "coral=predicted", "coral=likely:0.8".

    Raises:
        InvalidTag: no such class, no such choice, or no such probability.
    """
    return tuple(_filter_of(text, classes) for text in texts)


def class_named(name: str, classes: Sequence[ClassLabel]) -> ClassLabel:
    """The class of a name, else of that name in small or capital letters, else of that number.

    Raises:
        InvalidTag: there is none.
    """
    kinds = (
        lambda label: label.name == name,
        lambda label: label.name.casefold() == name.casefold(),
        lambda label: str(label.id) == name,
    )
    for is_meant in kinds:
        for label in classes:
            if is_meant(label):
                return label
    names = ", ".join(label.name for label in classes)
    raise InvalidTag(f"no class is called {name!r}; the classes are {names}")


def _filter_of(text: str, classes: Sequence[ClassLabel]) -> TagFilter:
    name, is_named, choice = text.rpartition("=")
    if not is_named or any(text == label.name for label in classes):
        return TagFilter(class_named(text, classes).id)
    word, has_threshold, threshold = choice.partition(":")
    if word not in TAG_WORDS or (has_threshold and word not in ("predicted", "likely")):
        raise InvalidTag(f"{text!r} is no choice by a tag: write CLASS={'|'.join(TAG_WORDS)}, or CLASS=likely:0.8")
    try:
        share = float(threshold) if has_threshold else LIKELY
    except ValueError:
        raise InvalidTag(f"{text!r}: {threshold!r} is no probability of 0 to 1") from None
    return TagFilter(class_named(name, classes).id, word, share)


def chosen_images(
    lab: Lab, filters: Sequence[TagFilter], *, project_id: int, not_done: bool = False
) -> tuple[int, ...]:
    """As `images_with`, in a process of its own: where a filter predicts, all images are looked at now.

    Raises:
        UnknownProject: no such project.
        InvalidTag: as `images_with`.
        FcnlabError: an image cannot be looked at although it can be read.
    """
    tags = tags_of(lab, project_id=project_id)
    suggestions = None
    if any(each.is_predicting for each in filters):
        seen = SeenImages()
        for _ in look_at_images(lab, PictureStore(lab), project_id=project_id, seen=seen):
            pass
        suggestions = suggest(tags, seen.features, left_out=seen.left_out)
    return images_with(tags, filters, suggestions=suggestions, not_done=not_done)
