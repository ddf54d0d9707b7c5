"""What a trained network makes of a picture, made ready for clicks: they are obeyed without asking it again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import lab_image
from fcnlab.core.learner.learner import Segmentation, segment_from_probabilities
from fcnlab.core.learner.model import kept_places
from fcnlab.core.learner.refine import guided_filter, make_guide
from fcnlab.core.learner.samples import Clicks, Colours, canonical_clicks
from fcnlab.core.learner.signed_scores import probabilities_of
from fcnlab.core.tiling.large import STRIP_ROWS, LazyLab, enlarged_rows, is_large, refined_rows
from fcnlab.core.training.network_model import NetworkModel, network_probabilities
from fcnlab.domain.project import LearnerSpec

GRID = 4
"""Coarse probabilities have so many working pixels to a cell, as many as the instant learner's."""


@dataclass(frozen=True, slots=True, eq=False)
class ChosenNetwork:
    """A network as a project uses it.

    Attributes:
        model: its class ids are those of the project.
        name: tells it apart from every other network.
        spec: of the project's learner: working size, sharpened borders, object mode.
        background: class id of what is not an object, None without one.
        used: ids of the classes in use.
        clicks: of the images that have any, by the hash of their content.
    """

    model: NetworkModel
    name: str
    spec: LearnerSpec
    background: int | None
    used: frozenset[int]
    clicks: Mapping[str, Clicks]

    def clicks_of(self, image: str, image_hw: tuple[int, int]) -> Clicks:
        """The clicks on an image; none when nobody clicked it."""
        image_clicks = self.clicks.get(image)
        return (
            image_clicks
            if image_clicks is not None and image_clicks.image_hw == image_hw
            else canonical_clicks([], image_hw)
        )

    def output_of(self, working: NDArray[np.uint8], probabilities: NDArray[np.floating]) -> NetworkOutput:
        """The network's output for a working picture (H, W, 3) uint8, from its probabilities (K, h, w)."""
        return output_from_probabilities(working, probabilities, self.model.class_ids, self.spec, used=self.used)

    def segment(self, output: NetworkOutput, clicks: Clicks) -> Segmentation:
        """The mask of a picture; clicks are obeyed as those of the instant learner are."""
        return segment_from_probabilities(
            output.class_ids, output.probabilities, clicks, output.lab, self.spec, background=self.background
        )


@dataclass(frozen=True, slots=True, eq=False)
class NetworkOutput:
    """The output of a network for a working picture; nothing in it depends on clicks.

    Attributes:
        class_ids: classes in use that the network knows, in the order of the probabilities.
        probabilities: (K, H, W) of the working picture, sharpened if the settings say so; float16 of a large one.
        lab: CIELAB of the working picture.
    """

    class_ids: tuple[int, ...]
    probabilities: NDArray[np.floating]
    lab: Colours


def rounded_probabilities(model: NetworkModel, rgb: NDArray[np.uint8], *, device: str) -> NDArray[np.float16]:
    """Probabilities (K, h, w) of a picture (H, W, 3) uint8, rounded so that keeping them changes nothing."""
    return network_probabilities(model, rgb, device=device).astype(np.float16)


def in_use(
    class_ids: tuple[int, ...], probabilities: NDArray[np.floating], used: Collection[int]
) -> tuple[tuple[int, ...], NDArray[np.float32]]:
    """Only the classes still in use, whose probabilities sum to one again.

    Args:
        class_ids: of the K probabilities, in order.
        probabilities: (K, h, w).
        used: ids of the classes in use.

    Raises:
        InvalidClasses: fewer than two of them are in use.
    """
    kept = kept_places(class_ids, used)
    used_probabilities = probabilities[kept].astype(np.float32)
    used_probabilities /= np.maximum(used_probabilities.sum(axis=0), 1e-6)
    return tuple(class_ids[index] for index in kept), used_probabilities


def output_from_probabilities(
    rgb: NDArray[np.uint8],
    probabilities: NDArray[np.floating],
    class_ids: tuple[int, ...],
    spec: LearnerSpec,
    *,
    used: Collection[int],
) -> NetworkOutput:
    """The output of a network for a working picture, from its probabilities at another size.

    Args:
        rgb: (H, W, 3) uint8 working picture.
        probabilities: (K, h, w) over the same field of view, of any size.
        class_ids: of the K probabilities.
        spec: says whether borders are sharpened.
        used: ids of the classes in use.

    Raises:
        InvalidClasses: fewer than two classes of the network are in use.
    """
    ids, used_probabilities = in_use(class_ids, probabilities, used)
    height, width = rgb.shape[:2]
    maps = used_probabilities[1:] if len(used_probabilities) == 2 else used_probabilities
    if is_large((height, width)):
        return NetworkOutput(ids, _in_rows(rgb, maps, spec), LazyLab(rgb))
    if spec.refine:
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255)
        maps = np.clip(guided_filter(maps, make_guide(grey)), 0, 1)
    elif maps.shape[1:] != (height, width):
        method = cv2.INTER_LINEAR if maps.shape[1] < height else cv2.INTER_AREA
        maps = np.stack([cv2.resize(class_map, (width, height), interpolation=method) for class_map in maps])
    if len(used_probabilities) == 2:
        maps = np.concatenate([1 - maps, maps])
    return NetworkOutput(ids, maps / np.maximum(maps.sum(axis=0), 1e-6), lab_image(rgb))


def _in_rows(rgb: NDArray[np.uint8], maps: NDArray[np.float32], spec: LearnerSpec) -> NDArray[np.float16]:
    """Probabilities as of `output_from_probabilities`, some rows at a time; of two classes, maps are of the second."""
    hw = (rgb.shape[0], rgb.shape[1])
    signed_scores = 2 * maps - 1
    rows_of = refined_rows(rgb, signed_scores, None) if spec.refine else enlarged_rows(hw, signed_scores)
    result = np.empty((max(2, len(maps)), *hw), np.float16)
    for start in range(0, hw[0], STRIP_ROWS):
        stop = min(start + STRIP_ROWS, hw[0])
        result[:, start:stop] = probabilities_of(rows_of(start, stop))
    return result


def coarse_probabilities(
    probabilities: NDArray[np.floating],
    class_ids: tuple[int, ...],
    working_hw: tuple[int, int],
    *,
    used: Collection[int],
) -> NDArray[np.float32]:
    """Probabilities (K, h, w) float32 of the classes in use, at one GRID-th of the working size or their own.

    Raises:
        InvalidClasses: fewer than two classes of the network are in use.
    """
    _, used_probabilities = in_use(class_ids, probabilities, used)
    height, width = (-(-side // GRID) for side in working_hw)
    if used_probabilities.shape[1] <= height:
        return used_probabilities
    return np.stack(
        [cv2.resize(class_map, (width, height), interpolation=cv2.INTER_AREA) for class_map in used_probabilities]
    )
