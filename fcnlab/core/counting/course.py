"""What is decided before a network learns to count: the classes, the magnification, and with them the aim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.counting.aims import CountingAim
from fcnlab.core.counting.marks import magnification_for, spacing_of
from fcnlab.core.training.network_model import seen_hw
from fcnlab.core.training.splits import held_out
from fcnlab.domain.network import NetworkSpec
from fcnlab.domain.training import TrainingSpec
from fcnlab.errors import InvalidSetting

Positions = NDArray[np.floating]


def usual_spacing(
    objects: Sequence[tuple[Positions, Positions]], complete: Sequence[bool], image_hw: tuple[int, int]
) -> float:
    """The usual distance between neighbours, pixels at full size, by images that are all marked if there are any.

    Where only some objects are marked, neighbours are missing.

    Args:
        objects: (rows, cols) of the objects of each image.
        complete: whether each image is all marked.
        image_hw: the size most images have.
    """
    marked = [one for one, is_complete in zip(objects, complete, strict=True) if is_complete and len(one[0]) > 1]
    return spacing_of(marked or objects, image_hw)


def magnified(training: TrainingSpec, spacing: float, image_hw: tuple[int, int]) -> TrainingSpec:
    """The settings with the magnification that is used, chosen by the spacing unless one is given."""
    chosen = training.magnification or magnification_for(spacing, image_hw, training.working_side)
    return replace(training, magnification=chosen)


def counting_aim(
    spec: NetworkSpec,
    training: TrainingSpec,
    *,
    class_ids: Sequence[int],
    spacing: float,
    image_hw: tuple[int, int],
    device: str,
) -> CountingAim:
    """The aim of a network that counts.

    Args:
        spec: of the network; one of a fixed size takes whole pictures, and turns them by halves only.
        training: see `magnified`.
        class_ids: the class of each score, the background first.
        spacing: see `usual_spacing`.
        image_hw: the size most images have.

    Raises:
        InvalidSetting: the settings do not count.
    """
    if not training.objective.counts:
        raise InvalidSetting(f"objective {training.objective} counts no objects: choose blobs or density")
    height, _ = seen_hw(image_hw, spec, training)
    is_fixed = spec.input_hw is not None
    return CountingAim(
        replace(training, crop=0) if is_fixed else training,
        tuple(class_ids),
        spacing,
        height / image_hw[0],
        device,
        turns=not is_fixed,
    )


def held_out_counts(
    groups: Sequence[Sequence[int]],
    classes: Sequence[NDArray[np.int64]],
    complete: Sequence[bool],
    *,
    share: float,
    rng: np.random.Generator,
) -> frozenset[int]:
    """Numbers of the images that training never sees; only groups with an image that is all marked are drawn.

    Args:
        groups: image numbers that belong together.
        classes: places (N,) of the points of each image, 0 the background; a class stays in what is learned from.
        complete: whether each image is all marked.
        share: wanted part of the images of such groups.
    """
    usable = [list(group) for group in groups if any(complete[number] for number in group)]
    numbers = [number for group in usable for number in group]
    place = {number: index for index, number in enumerate(numbers)}
    renumbered = [[place[number] for number in group] for group in usable]
    objects = [classes[number][classes[number] > 0] for number in numbers]
    if not any(len(one) for one in objects):
        return frozenset()
    chosen = held_out(renumbered, objects, share=share, rng=rng)
    return frozenset(numbers[one] for one in chosen)
