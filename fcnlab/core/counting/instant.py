"""The instant counter: from points on objects to maps that peak where objects are.

Encoders see dark things on white and bright things on black as different; a counter that was shown one kind should
find the other. What covers the smaller part of a picture is taken for the things in it.

A sample near an object should score exp(-d^2 / 2 sigma^2) for its class, d its distance: a ridge regression on the
samples of all images, in closed form, so that neither the order of clicks nor the last fit changes anything. Scored
densely like the head of the instant learner (core/encoding/stages.py), its maps peak at objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial import cKDTree
from skimage.filters import threshold_otsu

from fcnlab.core.counting.density import sigma_for
from fcnlab.core.counting.marks import ScaleSpace, scale_space
from fcnlab.core.encoding.encoder import lab_image
from fcnlab.core.encoding.stages import RawMap, StageInfo, Stages, measure, score_stages
from fcnlab.core.learner.samples import Clicks, FeaturesByPosition, samples_at, samples_by_position
from fcnlab.errors import NoPoints

WIDTHS = (1, 2, 4, 8, 16)
"""Widths (sigma), in working pixels, of the scale space of a picture; a stride of half of it is enough."""

WEIGHT = 2.0
"""How loud each of these maps is beside a stage of the encoder."""


def with_local_contrast(stages: Stages, lightness: NDArray[np.float32]) -> Stages:
    """Stages with maps of local contrast behind them, standardised like the others.

    Args:
        lightness: (H, W) of the working picture.
    """
    covered = [round(side * stages.infos[0].stride) for side in stages.maps[0].shape[1:]]
    beyond = [(0, all_ - side) for all_, side in zip(covered, lightness.shape, strict=True)]
    turned = np.pad(things_bright(lightness), beyond, mode="edge")
    raws = [_raw("things", 1, [turned > 0.5, np.sqrt(_depth(turned > 0.5))])]
    for width in WIDTHS:
        stride = max(1, width // 2)
        size = (turned.shape[1] // stride, turned.shape[0] // stride)
        small = turned if stride == 1 else np.asarray(cv2.resize(turned, size, interpolation=cv2.INTER_AREA))
        smooth = cv2.GaussianBlur(small, (0, 0), width / stride, borderType=cv2.BORDER_REFLECT)
        bent = -cv2.Laplacian(smooth, cv2.CV_32F, borderType=cv2.BORDER_REFLECT)
        raws.append(_raw(f"contrast/{width}", stride, [smooth, bent]))
    device = stages.maps[0].device
    measured = [measure(raw, stages.hw) for raw in raws]
    return Stages(
        (*stages.infos, *(raw.info for raw in raws)),
        (*stages.maps, *(raw.map.to(device, stages.maps[0].dtype) for raw in raws)),
        (*stages.means, *(mean.to(device) for mean, _ in measured)),
        (*stages.scales, *(scale.to(device) for _, scale in measured)),
        stages.hw,
    )


def things_bright(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """A map (H, W) of what is bright if bright pixels are fewer than dark ones, else of what is dark; 0.5 between.

    Bright and dark are told apart by the threshold of Otsu 1979, "A threshold selection method from gray-level
    histograms", and 0.5 lies half way between their means.
    """
    low, high = float(lightness.min()), float(lightness.max())
    if high - low < 1e-3:
        return np.zeros_like(lightness)
    is_light = lightness > threshold_otsu(lightness)  # type: ignore[no-untyped-call]
    middle = (float(lightness[is_light].mean()) + float(lightness[~is_light].mean())) / 2
    distance = lightness - middle if is_light.mean() < 0.5 else middle - lightness
    reach = max(middle - low, high - middle)
    return np.asarray(0.5 + 0.5 * distance / reach, np.float32)


def _depth(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Distance to what is behind, pixels."""
    padded = np.pad(inside, 1).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)


def _raw(group: str, stride: int, maps: list[NDArray[np.generic]]) -> RawMap:
    stacked = np.stack([np.asarray(feature_map, np.float32) for feature_map in maps])
    return RawMap(StageInfo(group, float(stride), len(maps)), WEIGHT, torch.from_numpy(stacked).to(torch.float16))


COARSEST = 16.0
"""Stride, in working pixels, of the coarsest stages a counter looks at: coarser ones find nothing more, and seven
tenths of all features are theirs."""

RINGS = (1.0, 2.0)
RING_PLACES = 8
RING_WEIGHT = 1.0
"""So many sigmas around each object it is told how far the map falls off; a ring counts as much as its object."""

BACKGROUND_WEIGHT = 2.0
FAINT_PLACES = 300
FAINT_WEIGHT = 0.25
FAINT_CLEARANCE = 2.0
"""Where not all objects are marked, places drawn evenly over the picture are faint background: all of them together
count as this part of its points. None lies within so many sigmas of an object."""

COMPLETE_WEIGHT = 4.0
"""Where all objects are marked, the same places are known, and count more than the objects."""

PENALTY = 0.1
PENALTY_OF_MANY = 0.05
MANY_POINTS = 100
"""L2 penalty for few points, and for so many or more; between them it falls with their number."""

BIAS_PENALTY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class CountPicture:
    """A working picture made ready to be counted in: what a counter looks at, and at which widths places stand out."""

    stages: Stages
    space: ScaleSpace
    remembered: FeaturesByPosition = field(default_factory=dict, repr=False)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""
        return self.stages.hw

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture; each is looked up once."""
        return samples_by_position(self.remembered, partial(samples_at, self.stages), rows, cols)


def ready_to_count(rgb: NDArray[np.uint8], stages: Stages) -> CountPicture:
    """Make a working picture (H, W, 3) uint8 ready; `stages` come from the encoder or the cache."""
    lightness = lab_image(rgb)[..., 0]
    near = near_stages(stages).to(stages.maps[0].device, torch.float32)
    return CountPicture(with_local_contrast(near, lightness), scale_space(lightness))


def near_stages(stages: Stages) -> Stages:
    """The stages that can tell one object from the next: those of strides up to COARSEST."""
    kept = [index for index, info in enumerate(stages.infos) if info.stride <= COARSEST]
    maps, means, scales = (tuple(part[index] for index in kept) for part in (stages.maps, stages.means, stages.scales))
    return Stages(tuple(stages.infos[index] for index in kept), maps, means, scales, stages.hw)


@dataclass(frozen=True, slots=True, eq=False)
class CountSamples:
    """The summed samples of one picture for a counter, which are added to and taken from those of others.

    Attributes:
        products: (D + 1, D + 1) float64, the weighted sum of the outer products of the features and a 1.
        targets: (D + 1,) float64 by object class, the weighted sum of the features times how close that class is.
        weight: of all samples.
        n_points: points it comes from.
    """

    products: NDArray[np.float64]
    targets: dict[int, NDArray[np.float64]]
    weight: float
    n_points: int


@dataclass(frozen=True, slots=True, eq=False)
class CountHead:
    """weights (K, D) float32, bias (K,): row k scores how close the nearest object of class `class_ids[k]` is.

    `spacing`: distance of touching objects, working pixels. `width`: at which the marked ones stand out; see `Sizes`.
    """

    class_ids: tuple[int, ...]
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    spacing: float
    width: float


class Sampled(Protocol):
    """What `extract_count_samples` asks of a picture."""

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture."""


def extract_count_samples(
    picture: Sampled, clicks: Clicks, *, background: int | None, is_complete: bool, spacing: float
) -> CountSamples:
    """Samples of one picture, whose points of every class but the background are objects.

    Args:
        is_complete: all its objects are marked; without a point it is empty.
        spacing: distance of touching objects, working pixels.
    """
    sigma, hw = sigma_for(spacing), picture.hw
    clicked = np.column_stack(clicks.on(hw)).reshape(-1, 2)
    is_object = clicks.class_ids != background
    objects, classes = clicked[is_object], clicks.class_ids[is_object]
    tree = cKDTree(objects) if len(objects) else None
    faint = evenly_spread(FAINT_PLACES, hw)
    if not is_complete and tree is not None:
        faint = faint[tree.query(faint)[0] > FAINT_CLEARANCE * sigma]
    share = (COMPLETE_WEIGHT if is_complete else FAINT_WEIGHT) * max(1, len(clicks)) / max(1, len(faint))
    groups = [(objects, 1.0, False)]
    groups += [(_inside(_ring(objects, ring * sigma), hw), RING_WEIGHT / RING_PLACES, False) for ring in RINGS]
    groups += [(clicked[~is_object], BACKGROUND_WEIGHT, True), (faint, share, not is_complete)]
    positions = np.concatenate([points for points, _, _ in groups])
    weights, is_empty = (np.concatenate([np.full(len(group[0]), group[part]) for group in groups]) for part in (1, 2))
    nearest, closeness = np.zeros(len(positions), np.int64), np.zeros(len(positions))
    if tree is not None:
        distances, nearest = tree.query(positions)
        closeness = np.where(is_empty, 0, np.exp(-(distances**2) / (2 * sigma**2)))
    features = picture.samples(positions[:, 0], positions[:, 1])
    owners = classes[nearest] if tree is not None else np.zeros(len(positions), np.int64)
    return _summed(features, closeness, owners, weights, np.unique(classes), len(clicks))


def _summed(
    features: NDArray[np.float32],
    closeness: NDArray[np.float64],
    owners: NDArray[np.int64],
    weights: NDArray[np.float64],
    classes: NDArray[np.int64],
    n_points: int,
) -> CountSamples:
    """The summed samples (N, D) of a picture that are so close (N,) to an object of the class `owners` (N,)."""
    root = np.sqrt(weights).astype(np.float32)[:, None]
    table = np.concatenate([features, np.ones((len(features), 1), np.float32)], axis=1) * root
    targets = {
        int(class_id): np.asarray(table.T @ (root[:, 0] * np.where(owners == class_id, closeness, 0)), np.float64)
        for class_id in classes
    }
    return CountSamples((table.T @ table).astype(np.float64), targets, float(weights.sum()), n_points)


def evenly_spread(count: int, hw: tuple[int, int]) -> NDArray[np.float64]:
    """Places (count, 2) over a picture of size `hw`, spread evenly and always the same: an additive sequence.

    Reference: Roberts 2018, "The unreasonable effectiveness of quasirandom sequences".
    """
    plastic = 1.32471795724474602596
    numbers = np.arange(1, count + 1)
    shares = np.column_stack([(0.5 + numbers / plastic) % 1, (0.5 + numbers / plastic**2) % 1])
    return np.asarray(np.clip(shares * np.array(hw) - 0.5, 0, np.array(hw) - 1.0), np.float64)


@dataclass(slots=True, eq=False)
class CountSums:
    """The sums over the samples of all pictures, to which those of one are added and from which they are taken.

    In float64, of sums of float32: taking away what was added leaves what was there to 1e-12, and no head differs.
    """

    products: NDArray[np.float64] | None = None
    targets: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    weight: float = 0.0
    n_points: int = 0

    def add(self, samples: CountSamples, *, sign: int = 1) -> None:
        """Add the samples of a picture, or take them away with the sign -1."""
        if self.products is None:
            self.products = np.zeros_like(samples.products)
        self.products += sign * samples.products
        for class_id, target in samples.targets.items():
            self.targets[class_id] = self.targets.get(class_id, np.zeros(len(target))) + sign * target
        self.weight += sign * samples.weight
        self.n_points += sign * samples.n_points

    def without(self, samples: CountSamples) -> CountSums:
        """The sums over the samples of the other pictures."""
        products = None if self.products is None else self.products.copy()
        others = CountSums(products, dict(self.targets), self.weight, self.n_points)
        others.add(samples, sign=-1)
        return others


def fit_counts(sums: CountSums, *, class_ids: Sequence[int], spacing: float, width: float) -> CountHead:
    """The ridge regression of closeness on features over the samples of all pictures.

    Args:
        class_ids: object classes with at least one object.
        spacing, width: see CountHead.

    Raises:
        NoPoints: there are none.
    """
    if sums.products is None or not class_ids:
        raise NoPoints("no object is marked yet: click one to start")
    few = np.clip(np.log(MANY_POINTS / max(1, sums.n_points)) / np.log(MANY_POINTS), 0, 1)
    penalty = float(PENALTY_OF_MANY * (PENALTY / PENALTY_OF_MANY) ** few)
    matrix = sums.products / sums.weight
    matrix[np.diag_indices(len(matrix))] += np.array([penalty] * (len(matrix) - 1) + [BIAS_PENALTY])
    wanted = np.stack([sums.targets[class_id] for class_id in class_ids], axis=1) / sums.weight
    solution = cho_solve(cho_factor(matrix, overwrite_a=True, check_finite=False), wanted)
    return CountHead(
        tuple(class_ids),
        np.ascontiguousarray(solution[:-1].T, np.float32),
        np.ascontiguousarray(solution[-1], np.float32),
        spacing,
        width,
    )


def grid_for(spacing: float) -> int:
    """Stride, in working pixels, of the maps that objects this far apart are found on."""
    return 1 if spacing < 14 else 2 if spacing < 40 else 4


def heights_of(stages: Stages, head: CountHead) -> NDArray[np.float32]:
    """(K, h, w) float32 at stride `grid_for`: how close an object of each class is, about 1 at its centre."""
    return score_stages(stages, head.weights, head.bias, grid=grid_for(head.spacing))


def _ring(centres: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Places (RING_PLACES * N, 2) around centres (N, 2)."""
    angles = np.arange(RING_PLACES) * (2 * np.pi / RING_PLACES)
    around = radius * np.column_stack([np.sin(angles), np.cos(angles)])
    return np.asarray((centres[:, None] + around).reshape(-1, 2), np.float64)


def _inside(positions: NDArray[np.float64], hw: tuple[int, int]) -> NDArray[np.float64]:
    return positions[(positions >= 0).all(axis=1) & (positions <= np.array(hw) - 1).all(axis=1)]
