"""A fitted model as arrays and a plain spec: what a checkpoint holds, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.learner.head import Head, Samples, kept_head
from fcnlab.core.learner.learner import ImageSamples
from fcnlab.core.learner.ordinal import GradeScale
from fcnlab.core.learner.samples import Clicks, canonical_clicks
from fcnlab.domain.project import IGNORE, LearnerSpec
from fcnlab.errors import CheckpointError, InvalidClasses

SAMPLE_GROUPS = ("clicked", "neighbours", "border", "guess")
_NO_SAMPLES = Samples(np.zeros((0, 0), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
EMPTY_IMAGE_SAMPLES = ImageSamples(_NO_SAMPLES, _NO_SAMPLES, None)
"""Of clicks that a head does not learn from."""


@dataclass(frozen=True, slots=True)
class LabelledSamples:
    """The clicks of one image and the training samples taken at them."""

    image: str
    clicks: Clicks
    samples: ImageSamples


@dataclass(frozen=True, slots=True)
class Model:
    """Everything needed to segment a new image, and to learn on from where it stopped.

    `classes` are (id, name) pairs; `background` is the id of what is not an object, None without one.
    """

    spec: LearnerSpec
    classes: tuple[tuple[int, str], ...]
    head: Head
    background: int | None
    samples: tuple[LabelledSamples, ...] = ()

    def clicks_of(self, image: str, image_hw: tuple[int, int]) -> Clicks:
        """The clicks the model learned from on an image; none when it never saw it."""
        stored = (
            labelled.clicks
            for labelled in self.samples
            if labelled.image == image and labelled.clicks.image_hw == image_hw
        )
        return next(stored, canonical_clicks([], image_hw))


def with_current_settings(
    model: Model,
    *,
    classes: tuple[tuple[int, str], ...],
    background: int | None,
    spec: LearnerSpec,
    clicks: Mapping[str, Clicks],
) -> Model:
    """A model whose head stays as it is, for masks of a project as it is now.

    Args:
        model: its head's class ids are those of the project; it keeps its encoder, scales and working size.
        classes: (id, name) of the classes in use; the head's others are dropped.
        background: of the project.
        spec: says whether this is object mode and whether borders are sharpened.
        clicks: to obey, by the image's name in the model.

    Raises:
        InvalidClasses: fewer than two of the head's classes are in use.
    """
    kept = kept_places(model.head.class_ids, {class_id for class_id, _ in classes})
    seen = replace(model.spec, object_mode=spec.object_mode, refine=spec.refine)
    samples = tuple(LabelledSamples(image, image_clicks, EMPTY_IMAGE_SAMPLES) for image, image_clicks in clicks.items())
    return Model(seen, classes, kept_head(model.head, kept), background, samples)


def kept_places(class_ids: tuple[int, ...], used: Collection[int]) -> list[int]:
    """Indices of the classes still in use. Raises InvalidClasses: fewer than two are."""
    kept = [index for index, class_id in enumerate(class_ids) if class_id in used]
    if len(kept) < 2:
        raise InvalidClasses(
            f"the chosen version knows {len(kept)} of the classes in use and cannot tell them apart: choose another "
            "version, or the instant learner, on the Models page"
        )
    return kept


def canonical_samples(samples: Iterable[LabelledSamples]) -> list[ImageSamples]:
    """The samples of the images that have clicks, in an order that depends on their content alone.

    So that a fit is the same whatever the images are called and whichever door they came through.
    """

    def key(labelled: LabelledSamples) -> tuple[Any, ...]:
        clicks = labelled.clicks
        return (
            clicks.image_hw,
            clicks.rows.tolist(),
            clicks.cols.tolist(),
            clicks.class_ids.tolist(),
            clicks.weights.tolist(),
            labelled.samples.clicked.features[:1].tobytes(),
        )

    return [
        labelled.samples for labelled in sorted((labelled for labelled in samples if len(labelled.clicks)), key=key)
    ]


def image_samples_to_arrays(extracted: ImageSamples) -> dict[str, NDArray[Any]]:
    """Arrays named `<group>.features|class_ids|weights`; a group that is None is left out."""
    arrays: dict[str, NDArray[Any]] = {}
    for group in SAMPLE_GROUPS:
        samples: Samples | None = getattr(extracted, group)
        if samples is not None:
            arrays[f"{group}.features"] = samples.features
            arrays[f"{group}.class_ids"] = samples.class_ids
            arrays[f"{group}.weights"] = samples.weights
    return arrays


def image_samples_from_arrays(arrays: dict[str, NDArray[Any]], prefix: str = "") -> ImageSamples:
    """Inverse of `image_samples_to_arrays`. Raises KeyError for a missing array."""

    def group(name: str) -> Samples:
        start = f"{prefix}{name}."
        return Samples(arrays[start + "features"], arrays[start + "class_ids"], arrays[start + "weights"])

    border, guess = (group(name) if f"{prefix}{name}.features" in arrays else None for name in ("border", "guess"))
    return ImageSamples(group("clicked"), group("neighbours"), border, guess)


def model_to_arrays(model: Model) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """(arrays, spec) for a checkpoint."""
    head = model.head
    arrays: dict[str, NDArray[Any]] = {"head.weights": head.weights, "head.bias": head.bias}
    if head.scale is not None:
        arrays["head.thresholds"] = head.scale.thresholds
    images = []
    for index, labelled in enumerate(model.samples):
        clicks = labelled.clicks
        arrays[f"{index}.points"] = np.stack([clicks.rows, clicks.cols, clicks.class_ids], axis=1)
        if clicks.are_weighted:
            arrays[f"{index}.weights"] = clicks.weights
        arrays |= {f"{index}.{name}": array for name, array in image_samples_to_arrays(labelled.samples).items()}
        images.append({"image": labelled.image, "height": clicks.image_hw[0], "width": clicks.image_hw[1]})
    spec = {
        "kind": "instant",
        "learner": model.spec.to_dict(),
        "classes": [list(pair) for pair in model.classes],
        "background": model.background,
        "head_class_ids": list(head.class_ids),
        **({"is_guess": True} if head.is_guess else {}),
        **({"head_grade_places": list(head.scale.places)} if head.scale is not None else {}),
        "images": images,
    }
    return arrays, spec


def model_from_arrays(arrays: dict[str, NDArray[Any]], spec: dict[str, Any]) -> Model:
    """Inverse of `model_to_arrays`.

    Raises:
        CheckpointError: something is missing or does not fit together.
    """
    try:
        for name, array in arrays.items():
            ids = array if name.endswith(".class_ids") else array[:, 2] if name.endswith(".points") else ()
            if len(ids) and not 0 <= np.min(ids) <= np.max(ids) < IGNORE:
                raise ValueError(f"{name} has a class that no mask can hold")
        head = _head_from(arrays, spec)
        samples = []
        for index, image in enumerate(spec["images"]):
            points = arrays[f"{index}.points"]
            weights = arrays.get(f"{index}.weights", np.ones(len(points), np.float32))
            hw = (image["height"], image["width"])
            clicks = Clicks(points[:, 0], points[:, 1], points[:, 2], hw, weights)
            samples.append(LabelledSamples(image["image"], clicks, image_samples_from_arrays(arrays, f"{index}.")))
        classes = tuple((int(class_id), str(name)) for class_id, name in spec["classes"])
        learner = LearnerSpec.from_dict(spec["learner"])
    except (KeyError, TypeError, ValueError, IndexError) as failure:
        raise CheckpointError(
            f"the model's parts do not fit together ({failure!r}): save or fetch it again"
        ) from failure
    if head.n_outputs != len(head.weights) or not classes:
        raise CheckpointError("the model's head and its class list do not fit together: save or fetch it again")
    return Model(learner, classes, head, background_from(spec, classes), tuple(samples))


def _head_from(arrays: Mapping[str, NDArray[Any]], spec: Mapping[str, Any]) -> Head:
    """Raises KeyError, TypeError or ValueError: something is missing or wrong."""
    class_ids, scale = tuple(spec["head_class_ids"]), None
    if "head_grade_places" in spec:
        scale = GradeScale(tuple(int(place) for place in spec["head_grade_places"]), arrays["head.thresholds"])
        present = [place for place in scale.places if place != -1]
        is_of_head = bool(present) and set(present) <= set(range(len(class_ids))) and len(set(present)) == len(present)
        is_in_order = np.isfinite(scale.thresholds).all() and (np.diff(scale.thresholds) >= 0).all()
        if not is_of_head or not is_in_order or scale.thresholds.shape != (len(scale.places) - 1,):
            raise ValueError("its grades are no grades of its classes")
    return Head(class_ids, arrays["head.weights"], arrays["head.bias"], bool(spec.get("is_guess")), scale)


def background_from(spec: Mapping[str, Any], classes: tuple[tuple[int, str], ...]) -> int | None:
    """The background a checkpoint names; in files from before there was a choice it is the first class.

    Raises:
        CheckpointError: it is none of the model's classes.
    """
    background: int | None = spec.get("background", classes[0][0])
    if background is not None and background not in dict(classes):
        raise CheckpointError(f"the model's background {background!r} is none of its classes: save or fetch it again")
    return background
