"""The instant learner: the one path from points to a mask that page, command line and Python API share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.core.encoding.encoder import lab_image
from fcnlab.core.encoding.stages import Stages, on_grid, regridded
from fcnlab.core.learner.head import Head, Samples, fit_head, missing_message, with_inverse
from fcnlab.core.learner.image_adaptation import (
    ClassSimilarity,
    EncoderMap,
    edge_features,
    encoder_maps,
    local_features,
    local_signed_scores,
    remembered_similarity,
    unit_maps,
)
from fcnlab.core.learner.inverse_hessian import FEW_GRADIENTS
from fcnlab.core.learner.refine import Guide, clicked_regions, guided_filter, make_guide, obey_nearby
from fcnlab.core.learner.samples import (
    BORDER_POINTS,
    BORDER_WEIGHT,
    NEIGHBOURS_UP_TO,
    Clicks,
    Colours,
    FeaturesByPosition,
    SampleTable,
    border_positions,
    canonical_clicks,
    grid_positions,
    join_samples,
    neighbour_positions,
    samples_at,
    samples_by_position,
)
from fcnlab.core.learner.signed_scores import probabilities_of, scored, signed_scores_of, winning_class
from fcnlab.core.learner.walker import Seeds, WalkerGraph, walk, walk_coarsely, walker_graph
from fcnlab.domain.project import LearnerSpec
from fcnlab.errors import NoPoints
from fcnlab.threads import on_one_thread

WALKER_STRIDE = 4
SIMILARITY_STRIDES = (8, 16)
SIMILARITY_WEIGHT = 2.0
LOCAL_WEIGHT = 3.0
LOCAL_HASTE = 8.0
"""The picture's own head weighs LOCAL_WEIGHT * (1 + LOCAL_HASTE / clicks): the fewer clicks, the more it is needed."""

WIDEST_PREPARED, MOST_PREPARED = 2048, 20_000
"""Features of a head, and points, beyond which `prepared` takes too long: its matrix has the square of the features."""

GRADES_WALKED = 0.25
"""What the odds between grades count in what the walker begins with: one direction alone is too sure of them. Measured
by benchmarks/ordered_classes.py."""

GRADED_UP_TO = 30
"""Clicks for each grade, on average, up to which their order helps; among more, one direction is too little."""

WALKER_SHARE = 0.7
WON_ROWS = 2048


GUESS_GRID = 400
"""Places that a first guess looks at, spread evenly over the picture."""

GUESS_NEAR = 0.5
"""So much of them is too near to the clicks, or too much like them, to be taken for background."""


class SampledPicture(Protocol):
    """What `extract_samples` asks of a picture, whole or in tiles."""

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""

    @property
    def lab(self) -> Colours:
        """CIELAB of the working picture."""

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A working picture made ready: everything a click needs that does not depend on the clicks.

    Attributes:
        lab: CIELAB of the working picture.
        guide: for the guided filter.
        stages: on the learner's device; float16 where they are finer than the walker's grid, or to save memory.
        grid_stages: the same on the walker's grid, which every click scores.
        graph: for the random walker.
        descriptors: encoder maps of unit length per pixel, for similarity.
        own_features: (F, h * w) float32 on the walker's grid, for the picture's own head.
        remembered, alike: what the last clicks found out about the picture, so that one more finds out little.
    """

    lab: Colours
    guide: Guide
    stages: Stages
    grid_stages: Stages
    graph: WalkerGraph
    descriptors: tuple[EncoderMap, ...]
    own_features: NDArray[np.float32]
    remembered: FeaturesByPosition = field(default_factory=dict, compare=False, repr=False)
    alike: dict[int, ClassSimilarity] = field(default_factory=dict, compare=False, repr=False)

    @property
    def hw(self) -> tuple[int, int]:
        """Height and width of the working picture."""
        return self.stages.hw

    def samples(self, rows: NDArray[np.float64], cols: NDArray[np.float64]) -> NDArray[np.float32]:
        """Standardised features (N, D) at float positions of the working picture; each is looked up once."""
        return samples_by_position(self.remembered, partial(samples_at, self.stages), rows, cols)


@dataclass(frozen=True, slots=True)
class ImageSamples:
    """What one image contributes to a fit: its clicks, their neighbours, its border.

    `guess`: what stands for the background while nobody clicked it; see `first_guess`.
    """

    clicked: Samples
    neighbours: Samples
    border: Samples | None
    guess: Samples | None = None


@dataclass(frozen=True, slots=True)
class Segmentation:
    """probabilities (K, H, W), float16 of large pictures, and class_map (H, W) uint8 of the working picture."""

    class_ids: tuple[int, ...]
    probabilities: NDArray[np.floating]
    class_map: NDArray[np.uint8]


def prepare(rgb: NDArray[np.uint8], stages: Stages, *, between: Callable[[], None] = lambda: None) -> Picture:
    """Make a picture ready for clicks; `stages` come from encoder or cache, `between` is called now and then."""
    stages = _single_where_dense(stages)
    lab = lab_image(rgb)
    between()
    guide = make_guide(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32) / np.float32(255))
    between()
    height, width = grid_hw(stages.hw)
    small = np.asarray(cv2.resize(lab, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    maps = encoder_maps(stages)
    on_walker_grid = on_grid(stages, WALKER_STRIDE)
    between()
    graph = walker_graph(small, edge_features(maps, (height, width), WALKER_STRIDE))
    between()
    descriptors, own_features = unit_maps(maps, SIMILARITY_STRIDES), local_features(maps, small, WALKER_STRIDE)
    return Picture(lab, guide, stages, on_walker_grid, graph, descriptors, own_features)


def _single_where_dense(stages: Stages) -> Stages:
    """The stages as float32 where every click scores them; where single pixels are read, as they come from a cache."""
    maps = [
        feature_map.float() if info.stride >= WALKER_STRIDE else feature_map
        for info, feature_map in zip(stages.infos, stages.maps, strict=True)
    ]
    return replace(stages, maps=tuple(maps))


def extract_samples(
    picture: SampledPicture, clicks: Clicks, spec: LearnerSpec, *, background: int | None
) -> ImageSamples:
    """Samples of one image; keep them as long as its clicks stay the same. Without a background no border counts."""
    rows, cols = clicks.on(picture.hw)
    few = clicks if len(clicks) <= NEIGHBOURS_UP_TO else canonical_clicks([], clicks.image_hw)
    near_rows, near_cols, near = neighbour_positions(few, picture.lab)
    border_of = background if spec.object_mode and len(clicks) else None
    border_rows, border_cols = ([], []) if border_of is None else border_positions(clicks, picture.hw, border_of)
    features = picture.samples(
        np.concatenate([rows, near_rows, border_rows]),
        np.concatenate([cols, near_cols, border_cols]),
    )
    clicked, beside, border = np.split(features, [len(rows), len(rows) + len(near_rows)])
    weight = np.full(len(border), BORDER_WEIGHT / BORDER_POINTS, np.float32)
    return ImageSamples(
        Samples(clicked, clicks.class_ids, clicks.weights),
        Samples(beside, few.class_ids[near], few.weights[near]),
        None if border_of is None else Samples(border, np.full(len(border), border_of, np.int64), weight),
    )


def wants_guess(clicked: Collection[int], n_points: int, background: int | None) -> bool:
    """Whether the first clicks of a project can be answered by a guess: few, of one class, which is no background."""
    return background is not None and len(clicked) == 1 and background not in clicked and n_points <= NEIGHBOURS_UP_TO


def first_guess(picture: SampledPicture, clicks: Clicks, *, background: int) -> Samples:
    """Samples that count faintly as background in an image whose clicks are all of one other class.

    They lie where the picture looks least like any click, seen from features and from afar: the farther from the
    nearest click, the more a sample weighs. No point is made of them, and they serve only until a second class is
    clicked.
    """
    rows, cols = grid_positions(picture.hw, GUESS_GRID)
    own_rows, own_cols = clicks.on(picture.hw)
    features = picture.samples(np.concatenate([rows, own_rows]), np.concatenate([cols, own_cols]))
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-6)
    grid, clicked = unit[: len(rows)], unit[len(rows) :]
    apart = np.hypot(rows[:, None] - own_rows, cols[:, None] - own_cols) / np.hypot(*picture.hw)
    distance = (1 - grid @ clicked.T + apart).min(axis=1)
    near, far = np.quantile(distance, GUESS_NEAR), distance.max()
    weights = np.clip((distance - near) / max(float(far - near), 1e-6), 0, 1).astype(np.float32)
    kept = weights > 0
    weights /= max(float(weights.sum()), 1e-6)
    return Samples(features[: len(rows)][kept], np.full(int(kept.sum()), background, np.int64), weights[kept])


def without_neighbours(extracted: ImageSamples) -> ImageSamples:
    """The same samples without the neighbours of the clicks, for projects with more than NEIGHBOURS_UP_TO points.

    Copies what it keeps, so that the memory of the rest is free.
    """
    border = extracted.border
    return ImageSamples(
        _copied(extracted.clicked, len(extracted.clicked.class_ids)),
        _copied(extracted.neighbours, 0),
        None if border is None else _copied(border, len(border.class_ids)),
        extracted.guess,
    )


def _copied(samples: Samples, count: int) -> Samples:
    return Samples(samples.features[:count].copy(), samples.class_ids[:count].copy(), samples.weights[:count].copy())


@on_one_thread
def fit(
    samples: list[ImageSamples], spec: LearnerSpec, *, start: Head | None = None, table: SampleTable | None = None
) -> Head:
    """Fit the head to the points of all images, given in canonical order of the images.

    While one class alone has points, the guesses at the background stand for the other. A fit that goes on from `start`
    ends at the same minimum in any order; `table` spares it copying what did not change since the last one.

    Raises:
        NoPoints: fewer than two classes have points, and there is no guess.
    """
    parts, is_guess = _learned_from(samples)
    joined = join_samples(parts) if table is None else table.joined(parts)
    warm_start = None if start is not None and start.is_guess and not is_guess else start  # nothing is left of a guess
    head = fit_head(
        joined,
        class_weight=spec.class_weight,
        regularisation=spec.regularisation,
        grades=_ordered(samples, spec),
        start=warm_start,
    )
    return replace(head, is_guess=is_guess)


def _ordered(samples: list[ImageSamples], spec: LearnerSpec) -> tuple[int, ...]:
    """The grades whose order is used: all, while their clicks are few."""
    clicked = [part.clicked.class_ids[np.isin(part.clicked.class_ids, spec.grades)] for part in samples if spec.grades]
    ids = np.concatenate(clicked) if clicked else np.empty(0, np.int64)
    return spec.grades if len(ids) <= GRADED_UP_TO * len(np.unique(ids)) else ()


def wants_preparation(head: Head, n_points: int) -> bool:
    """Whether `prepared` would make the next fit quicker."""
    if not NEIGHBOURS_UP_TO < n_points <= MOST_PREPARED or head.weights.shape[1] > WIDEST_PREPARED or head.scale:
        return False
    return head.gradients > FEW_GRADIENTS if head.inverse is None else head.inverse.is_old


def prepared(head: Head, samples: list[ImageSamples], spec: LearnerSpec) -> Head:
    """The same head, fitted to these samples, made ready for the next fit; among many points that takes as long
    as a few clicks."""
    parts, _ = _learned_from(samples)
    return with_inverse(head, join_samples(parts), class_weight=spec.class_weight, regularisation=spec.regularisation)


def _learned_from(samples: list[ImageSamples]) -> tuple[list[Samples], bool]:
    """All that a fit learns from, and whether it is a first guess.

    Raises:
        NoPoints: fewer than two classes have points, and there is no guess.
    """
    parts = [image_samples.clicked for image_samples in samples]
    clicked = np.unique(np.concatenate([part.class_ids for part in parts])).tolist() if parts else []
    if len(clicked) < 2:  # the border of object mode is no click
        guesses = [image_samples.guess for image_samples in samples if image_samples.guess is not None]
        if not clicked or not guesses:
            raise NoPoints(missing_message(tuple(clicked)))
        parts += guesses
    if sum(len(image_samples.clicked.class_ids) for image_samples in samples) <= NEIGHBOURS_UP_TO:
        parts += [image_samples.neighbours for image_samples in samples]
    if len(clicked) > 1:  # a guess says more of the background
        parts += [image_samples.border for image_samples in samples if image_samples.border is not None]
    return parts, len(clicked) < 2


Mark = Callable[[str], None]
"""Is told the name of a part when that is finished: so whoever may look at a clock knows how long each took."""


def unmarked(part: str) -> None:
    """A Mark that records nothing: for callers that do not time the parts."""


@on_one_thread
def segment(
    picture: Picture,
    head: Head,
    clicks: Clicks,
    spec: LearnerSpec,
    *,
    background: int | None,
    mark: Mark = unmarked,
) -> Segmentation:
    """Score, add what the clicks of this image say, refine; the parts are `score`, `walk` and `refine`.

    In an image nobody clicked two classes in, the walker has little to hold on to: its scores and those of the head
    alone are averaged, which keeps thin things. A first guess is the exception where its click is: there the picture's
    own head tells better than the project's what the click stands for.
    """
    signed_scores = _at_picture_size(_walked(picture, head, clicks, mark), picture, spec)
    if not has_two_classes(clicks, head):
        unrefined = signed_scores_of(scored(picture.stages, head))
        signed_scores = WALKER_SHARE * signed_scores + (1 - WALKER_SHARE) * _at_picture_size(unrefined, picture, spec)
    segmentation = segment_from_probabilities(
        head.class_ids, probabilities_of(signed_scores), clicks, picture.lab, spec, background=background
    )
    mark("refine")
    return segmentation


def segment_from_probabilities(
    class_ids: tuple[int, ...],
    probabilities: NDArray[np.floating],
    clicks: Clicks,
    lab: Colours,
    spec: LearnerSpec,
    *,
    background: int | None,
) -> Segmentation:
    """The segmentation that probabilities give, whatever made them: clicks are obeyed, objects kept whole.

    Args:
        class_ids: of the K probabilities, in order.
        probabilities: (K, H, W) of the working picture, sharpened already if that is wanted.
        clicks: of this image.
        lab: CIELAB of the working picture.
        spec: says whether this is object mode.
        background: class id of what is not an object; None: there is none, and object mode has no effect.
    """
    strips = (probabilities[:, start : start + WON_ROWS] for start in range(0, probabilities.shape[1], WON_ROWS))
    class_map = np.concatenate([winning_class(class_ids, strip) for strip in strips])
    return Segmentation(class_ids, probabilities, obeyed(class_map, clicks, lab, spec, background=background))


def obeyed(
    class_map: NDArray[np.uint8], clicks: Clicks, lab: Colours, spec: LearnerSpec, *, background: int | None
) -> NDArray[np.uint8]:
    """A class map (H, W), changed or not, in which clicks are obeyed and, in object mode, objects kept whole."""
    obey_nearby(class_map, clicks, lab)
    if spec.object_mode and background is not None:
        class_map = obey_nearby(clicked_regions(class_map, clicks, background=background), clicks, lab)
    return class_map


def grid_hw(hw: tuple[int, int]) -> tuple[int, int]:
    """Size of the walker's grid for a working picture."""
    return -(-hw[0] // WALKER_STRIDE), -(-hw[1] // WALKER_STRIDE)


def _at_picture_size(signed_scores: NDArray[np.float32], picture: Picture, spec: LearnerSpec) -> NDArray[np.float32]:
    """Signed scores (M, H, W) from the walker's grid or the picture's own, with sharpened borders if wanted."""
    height, width = picture.stages.hw
    if spec.refine:
        return guided_filter(signed_scores, picture.guide)
    if signed_scores.shape[1:] == (height, width):
        return signed_scores
    return np.stack([regridded(score_map, WALKER_STRIDE)[:height, :width] for score_map in signed_scores])


def _walked(picture: Picture, head: Head, clicks: Clicks, mark: Mark) -> NDArray[np.float32]:
    """The walker's signed scores on its grid, (1 or K, h, w); it runs twice where two classes were clicked.

    In between, the picture's own head learns from the first answer, which is a coarse one.
    """
    scores = scored(picture.grid_stages, head, grid=WALKER_STRIDE, grade_weight=GRADES_WALKED)
    rows, cols = clicks.pixels_on(picture.stages.hw)
    belongs = np.asarray(head.class_ids)[:, None] == clicks.class_ids
    alike = SIMILARITY_WEIGHT * remembered_similarity(
        picture.alike,
        picture.descriptors,
        (rows, cols),
        belongs,
        head.class_ids,
        grid=WALKER_STRIDE,
        grid_hw=picture.graph.hw,
    )
    scores += alike[1:] - alike[:1] if len(scores) == 1 else alike
    mark("score")
    own_features = picture.own_features if has_two_classes(clicks, head) else None
    walked = spread(picture.graph, scores, clicks, belongs, picture.hw, own_features)
    mark("walk")
    return walked


def spread(
    graph: WalkerGraph,
    scores: NDArray[np.float32],
    clicks: Clicks,
    belongs: NDArray[np.bool_],
    hw: tuple[int, int],
    own_features: NDArray[np.floating] | None,
) -> NDArray[np.float32]:
    """Signed scores (M, h, w) of the walker from scores (M, h, w) on its grid; with `own_features` it runs twice.

    Args:
        belongs: (K, N), which clicks are of which class.
        hw: of the working picture.
        own_features: see `Picture`; None unless `has_two_classes`.
    """
    rows, cols = (positions // WALKER_STRIDE for positions in clicks.pixels_on(hw))
    seeds = Seeds(rows, cols, np.where(belongs[-len(scores) :], 1, -1).astype(np.float32))
    prior = signed_scores_of(2 * scores)
    if own_features is None:
        return walk(graph, prior, seeds)
    walked = walk_coarsely(graph, prior, seeds)
    scores += LOCAL_WEIGHT * (1 + LOCAL_HASTE / len(clicks)) * local_signed_scores(own_features, graph.hw, walked)
    return walk(graph, signed_scores_of(2 * scores), seeds)


def has_two_classes(clicks: Clicks, head: Head) -> bool:
    """Whether the walker has seeds enough: clicks of two classes, or of one if the head is a first guess."""
    return len(np.unique(clicks.class_ids)) >= (1 if head.is_guess else 2)
