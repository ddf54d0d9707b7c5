"""A simulated labeller at work: how good a learner gets with how few clicks, and how long each click takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.picture import to_rgb8
from fcnlab.core.training.grade_scores import GradeTally
from fcnlab.core.training.scores import confusion, iou_per_class, mask_score
from fcnlab.domain.events import Point
from fcnlab.domain.project import IGNORE
from fcnlab.domain.scores import GradeScore
from fcnlab.errors import InvalidImage, InvalidSetting
from fcnlab.evaluation.labeller import ClickStyle, balanced_pixels, first_clicks, next_click
from fcnlab.segmenter.segmenter import PointSegmenter
from fcnlab.storage.files.png import read_mask
from fcnlab.storage.image_readers.registry import decode

FOREST_TREES = 100


def forest_features(rgb: NDArray[np.uint8]) -> NDArray[Any]:
    """Multiscale filter features (H, W, F) of a picture (H, W, 3)."""
    from skimage.feature import multiscale_basic_features

    filters: Any = multiscale_basic_features
    features: NDArray[Any] = filters(rgb, sigma_min=1, sigma_max=16, channel_axis=-1)
    return features


def grown_forest(features: NDArray[Any], class_ids: Sequence[int]) -> Any:
    """A balanced forest of FOREST_TREES trees on samples (N, F)."""
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(FOREST_TREES, n_jobs=-1, class_weight="balanced", random_state=0)
    return forest.fit(features, class_ids)


REPORTED_CLICKS = (2, 3, 5, 10, 20)
TARGETS = (0.80, 0.85, 0.90)
SCORED_IMAGES = 20
MAX_PIXELS = 500_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A picture (H, W, 3) uint8 and its truth (H, W) uint8 of class ids, IGNORE where nobody knows."""

    name: str
    rgb: NDArray[np.uint8]
    truth: NDArray[np.uint8]


class Learner(Protocol):
    """A learner that can be measured on single pictures."""

    def prepare(self, rgb: NDArray[np.uint8]) -> Any:
        """Make a picture known and do all work that needs no points; returns its id."""

    def learn(self, image: Any, points: Sequence[Point]) -> None:
        """Take further points of an image."""

    def fit(self) -> None:
        """Learn from all points so far."""

    def predict(self, image: Any) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8 of a known image."""


class InstantLearner:
    """A PointSegmenter that starts from nothing."""

    def __init__(self, segmenter: PointSegmenter) -> None:
        segmenter.reset()
        self._segmenter = segmenter

    def prepare(self, rgb: NDArray[np.uint8]) -> Any:
        """See Learner."""
        image = self._segmenter.add_image(rgb)
        self._segmenter.encode(image)
        return image

    def learn(self, image: Any, points: Sequence[Point]) -> None:
        """See Learner."""
        self._segmenter.add_points(
            image,
            [point.row for point in points],
            [point.col for point in points],
            [point.class_id for point in points],
        )

    def fit(self) -> None:
        """See Learner."""
        self._segmenter.fit(warm=True)

    def predict(self, image: Any) -> NDArray[np.uint8]:
        """See Learner."""
        return self._segmenter.predict(image)


class ForestLearner:
    """The peer: a random forest on multiscale filter features, as in scikit-image's trainable segmentation."""

    def __init__(self) -> None:
        self._features: list[NDArray[Any]] = []
        self._points: list[tuple[int, Point]] = []
        self._forest: Any = None

    def prepare(self, rgb: NDArray[np.uint8]) -> Any:
        """See Learner."""
        self._features.append(forest_features(rgb))
        return len(self._features) - 1

    def learn(self, image: Any, points: Sequence[Point]) -> None:
        """See Learner."""
        self._points += [(image, point) for point in points]

    def fit(self) -> None:
        """See Learner."""
        samples = [self._features[image][point.row, point.col] for image, point in self._points]
        self._forest = grown_forest(np.stack(samples), [point.class_id for _, point in self._points])

    def predict(self, image: Any) -> NDArray[np.uint8]:
        """See Learner."""
        features = self._features[image]
        flat = features.reshape(-1, features.shape[-1])
        return np.asarray(self._forest.predict(flat).reshape(features.shape[:2]), np.uint8)


def instant_learners(**options: Any) -> Callable[[int], Learner]:
    """Makes instant learners of so many classes, one after another: each takes over the encoder of the last.

    Args:
        options: of PointSegmenter.
    """
    segmenters: dict[int, PointSegmenter] = {}

    def make(n_classes: int) -> Learner:
        if n_classes not in segmenters:
            names = [f"class {class_id}" for class_id in range(n_classes)]
            segmenters[n_classes] = PointSegmenter(names, **options)
        return InstantLearner(segmenters[n_classes])

    return make


@dataclass(frozen=True, slots=True)
class ImageRun:
    """One picture labelled from the first click to the last.

    Attributes:
        ious: IoU by number of clicks; the classes' mean when there are more than two.
        milliseconds: fit and prediction of each click after the first two.
        confusions: (K, K) pixels by number of clicks, truth by prediction; kept where classes are grades.
    """

    name: str
    ious: dict[int, float]
    milliseconds: tuple[float, ...]
    encoding_milliseconds: float
    confusions: dict[int, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SeedRun:
    """Random pixels of some images, scored on others. `ious` holds None for a class that never occurs."""

    seed: int
    trained_on: tuple[str, ...]
    scored_on: tuple[str, ...]
    ious: tuple[float | None, ...]
    mean_iou: float
    grades: GradeScore | None = None


def read_names(file: Path) -> tuple[str, ...]:
    """Picture names, one a line. Raises InvalidSetting."""
    try:
        names = tuple(line.strip() for line in file.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as failure:
        raise InvalidSetting(f"the list {file} cannot be read: {failure}") from failure
    if not names:
        raise InvalidSetting(f"the list {file} names no image")
    return names


def read_example(folder: Path, name: str) -> Example:
    """`images/<name>` with `masks/<stem>.png`. Raises InvalidImage, ImportRefused."""
    rgb, _ = to_rgb8(decode(folder / "images" / name, name=name, max_pixels=MAX_PIXELS).pixels)
    mask_file = folder / "masks" / f"{Path(name).stem}.png"
    truth = read_mask(mask_file)
    if truth is None or truth.shape != rgb.shape[:2]:
        shape = "missing or damaged" if truth is None else f"of shape {truth.shape}"
        raise InvalidImage(f"the mask {mask_file} is {shape}; wanted {rgb.shape[:2]} uint8")
    return Example(name, rgb, truth)


def n_classes_of(examples: Sequence[Example]) -> int:
    """One more than the highest class id."""
    highest = [int(example.truth[example.truth != IGNORE].max(initial=0)) for example in examples]
    return max(2, max(highest, default=0) + 1)


def label_image(
    example: Example,
    make: Callable[[int], Learner],
    *,
    n_classes: int,
    clicks: int,
    style: ClickStyle,
    rng: np.random.Generator,
    has_grades: bool = False,
) -> ImageRun:
    """Label one picture from nothing with `clicks` clicks, each in the largest wrong region."""
    learner, truth = make(n_classes), example.truth
    started = time.perf_counter()
    image = learner.prepare(example.rgb)
    encoding = (time.perf_counter() - started) * 1000
    taken = np.zeros(truth.shape, bool)
    points = first_clicks(truth, tuple(range(n_classes)), style=style, rng=rng)
    ious: dict[int, float] = {}
    confusions: dict[int, NDArray[np.int64]] = {}
    milliseconds: list[float] = []
    n_clicks = len(points)
    if n_clicks < 2:
        raise InvalidImage(f"the truth of {example.name} has one class only: nothing can be told apart")
    while True:
        for point in points:
            taken[point.row, point.col] = True
        started = time.perf_counter()
        learner.learn(image, points)
        learner.fit()
        prediction = learner.predict(image)
        milliseconds.append((time.perf_counter() - started) * 1000)
        ious[n_clicks] = mask_score(truth, prediction, n_classes=n_classes)
        if has_grades:
            confusions[n_clicks] = confusion(truth, prediction, n_classes)
        click = next_click(truth, prediction, taken=taken, style=style, rng=rng) if n_clicks < clicks else None
        if click is None:
            break
        points, n_clicks = [click], n_clicks + 1
    for later in range(n_clicks + 1, clicks + 1):  # nothing was left to click
        ious[later] = ious[n_clicks]
        if has_grades:
            confusions[later] = confusions[n_clicks]
    return ImageRun(example.name, ious, tuple(milliseconds), encoding, confusions)


def label_images(
    examples: Iterator[Example] | Sequence[Example],
    make: Callable[[int], Learner],
    *,
    n_classes: int,
    clicks: int,
    style: ClickStyle,
    seed: int,
    has_grades: bool = False,
) -> Iterator[ImageRun]:
    """`label_image` for each; the random choices of one image do not depend on the others."""
    for index, example in enumerate(examples):
        rng = np.random.default_rng([seed, index])
        yield label_image(
            example, make, n_classes=n_classes, clicks=clicks, style=style, rng=rng, has_grades=has_grades
        )


def label_across(
    folder: Path,
    names: Sequence[str],
    make: Callable[[int], Learner],
    *,
    n_train: int,
    pixels: int,
    seed: int,
    grades: Sequence[int] = (),
) -> SeedRun:
    """Learn from random pixels of random images, score on others.

    Raises:
        InvalidSetting: the list is too short for both.
    """
    rng = np.random.default_rng(seed)
    order = [names[index] for index in rng.permutation(len(names))]
    trained_on, scored_on = order[:n_train], order[n_train : n_train + SCORED_IMAGES]
    if not scored_on:
        raise InvalidSetting(f"the list names {len(names)} images: more than {n_train} are needed to score on others")
    examples = [read_example(folder, name) for name in trained_on]
    n_classes = n_classes_of([*examples, *(read_example(folder, name) for name in scored_on)])
    learner = make(n_classes)
    for example in examples:
        learner.learn(learner.prepare(example.rgb), balanced_pixels(example.truth, pixels, rng))
    learner.fit()
    counts, tally = np.zeros((n_classes, n_classes), np.int64), GradeTally(grades_below(n_classes, grades))
    for name in scored_on:
        example = read_example(folder, name)
        of_image = confusion(example.truth, learner.predict(learner.prepare(example.rgb)), n_classes)
        counts += of_image
        tally.add(of_image)
    ious = iou_per_class(counts)
    shown = tuple(None if np.isnan(iou) else float(iou) for iou in ious)
    return SeedRun(seed, tuple(trained_on), tuple(scored_on), shown, float(np.nanmean(ious)), tally.score())


def grades_below(n_classes: int, grades: Sequence[int]) -> tuple[int, ...]:
    """The grades, once all of them are classes of the masks. Raises InvalidSetting."""
    if strange := [grade for grade in grades if grade >= n_classes]:
        raise InvalidSetting(
            f"grade {strange[0]} occurs in no mask, whose class ids run from 0 to {n_classes - 1}: leave it out"
        )
    return tuple(grades)


def grades_after(runs: Sequence[ImageRun], n_clicks: int, grades: Sequence[int]) -> GradeScore | None:
    """How far grades are off in the pixels of all images after so many clicks, as `_iou_after` takes them."""
    tally = GradeTally(grades)
    for run in runs:
        tally.add(run.confusions[_clicks_by_then(run, n_clicks)])
    return tally.score()


def summary_of_clicks(runs: Sequence[ImageRun], *, clicks: int, grades: Sequence[int] = ()) -> dict[str, Any]:
    """Means over the images; an image that never reaches a target counts as `clicks`.

    How far grades are off is told of the pixels of all images together, with an interval over images.
    """
    shown = [n_clicks for n_clicks in REPORTED_CLICKS if n_clicks <= clicks]
    times = [milliseconds for run in runs for milliseconds in run.milliseconds]
    encodings = [run.encoding_milliseconds for run in runs]
    return {
        "images": len(runs),
        "iou": {str(n_clicks): _mean([_iou_after(run, n_clicks) for run in runs]) for n_clicks in shown},
        "clicks_to": {
            f"{target:.0%}": _mean([_clicks_to(run, target, at_most=clicks) for run in runs]) for target in TARGETS
        },
        "milliseconds": {
            "click_median": float(np.median(times)),
            "click_p95": float(np.percentile(times, 95)),
            "encoding_median": float(np.median(encodings)),
        },
        **({"grades": _grades_by_clicks(runs, shown, grades)} if grades else {}),
    }


def _grades_by_clicks(runs: Sequence[ImageRun], shown: Sequence[int], grades: Sequence[int]) -> dict[str, Any]:
    scores = {str(n_clicks): grades_after(runs, n_clicks, grades) for n_clicks in shown}
    return {n_clicks: asdict(score) for n_clicks, score in scores.items() if score is not None}


def _iou_after(run: ImageRun, n_clicks: int) -> float:
    """IoU with that many clicks; with the first ones when they were more."""
    return run.ious[_clicks_by_then(run, n_clicks)]


def _clicks_by_then(run: ImageRun, n_clicks: int) -> int:
    return n_clicks if n_clicks in run.ious else min(run.ious)


def _clicks_to(run: ImageRun, target: float, *, at_most: int) -> float:
    return min((n_clicks for n_clicks, iou in run.ious.items() if iou >= target), default=at_most)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
