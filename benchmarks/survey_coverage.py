"""How often do the intervals of a cover survey hold the truth, and how wide are they?

    python benchmarks/survey_coverage.py --data ../shared/data [--sets camvid cwfid ...] [--surveys 500]
        [--predictions DIR] [--json out.json]

DIR/SET holds `masks/<stem>.png` (uint8 class ids, 255 unknown). All images of a set are the population, and the truth
is the share of each class in all its labelled pixels. A survey draws images without replacement and pixels in each; the
mask answers, and an unlabelled pixel is "don't know". Models are made of the masks by seeded corruption that differs
from image to image: borders are bent, parts of regions get another class, a class grows or shrinks, so that errors
come in clusters as those of networks do. With --predictions, DIR/SET/<stem>.png are masks of one more model.

Prints a table in Markdown: of classes above half a percent, how often the 90 % interval holds the truth, its median
width, and that width as a part of the one from answers alone. Takes eight minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt

from fcnlab.core.surveys.answers import UNKNOWN, Predictions, StratumAnswers
from fcnlab.core.surveys.estimates import ESTIMATORS, CoverEstimate, Method
from fcnlab.core.surveys.planning import StratumNeed, neyman_allocation
from fcnlab.core.training.scores import confusion, iou_per_class
from fcnlab.domain.project import IGNORE

LEAST_SHARE = 0.005
"""Rarer classes are left out of the table."""

DESIGNS: dict[str, tuple[tuple[int, int], ...]] = {
    "camvid": ((20, 10), (40, 10), (100, 5)),
    "camvid/drives": ((40, 10),),
    "cwfid": ((12, 20), (20, 10), (30, 10)),
    "dsb2018": ((20, 10), (40, 10), (60, 5)),
    "isic2018": ((20, 10), (40, 10)),
    "cvc_clinicdb": ((20, 10), (40, 10)),
    "crackforest": ((20, 10), (40, 10)),
    "davis2016": ((20, 10), (40, 10)),
    "grabcut": ((20, 10),),
}
"""Images, and points in each; cwfid has 30 images, dsb2018 60: their last designs survey all of them. The drives of
camvid are strata. Estimators were made with all but the last two at hand, which came afterwards, as a check."""

DRIVE_LETTERS = 6
"""Of the name of an image of camvid, which say the drive."""

CELLS = 14
"""Parts into which an image is cut before regions get another class."""


@dataclass(frozen=True, slots=True)
class Severity:
    """How bad a model is: bent borders in pixels, part of regions that get another class, growth of a class."""

    bent_px: float
    swapped: float
    grown_px: float


MODELS = {
    "good": Severity(2.0, 0.02, 1.0),
    "fair": Severity(2.5, 0.06, 2.0),
    "middling": Severity(4.0, 0.12, 3.0),
    "bad": Severity(8.0, 0.45, 6.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """Masks of a set, flat, and those of each model; true shares (K,), mean IoU of each model; stratum of each mask."""

    masks: list[NDArray[np.uint8]]
    models: dict[str, list[NDArray[np.uint8]]]
    truth: NDArray[np.float64]
    mean_iou: dict[str, float]
    strata: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    data: str
    images: int
    points: int
    model: str
    mean_iou: float
    method: str
    coverage: float
    width: float
    relative: float
    below: float
    above: float


def main() -> None:
    options = read_options()
    rows: list[Row] = []
    for name in options.sets:
        start = time.perf_counter()
        folder, _, by_drive = name.partition("/")
        predictions = options.predictions and options.predictions / folder
        population = read_population(options.data / folder, predictions, by_drive=bool(by_drive))
        print(f"{name}: {population.mean_iou}, {time.perf_counter() - start:.0f} s", file=sys.stderr)
        for n_images, n_points in DESIGNS[name]:
            rows += measured(name, population, n_images, n_points, options.surveys)
            print(f"{name} {n_images}x{n_points}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", "utf-8")
    print(table(rows))


def read_population(folder: Path, predictions: Path | None, *, by_drive: bool) -> Population:
    paths = sorted((folder / "masks").glob("*.png"))
    masks = [np.asarray(Image.open(path), np.uint8) for path in paths]
    n_classes = 1 + max(int(mask[mask != IGNORE].max()) for mask in masks)
    models = {
        name: [
            corrupted(mask, n_classes, severity, np.random.default_rng([index, number]))
            for index, mask in enumerate(masks)
        ]
        for number, (name, severity) in enumerate(MODELS.items())
    }
    if predictions:
        models["given"] = [np.asarray(Image.open(predictions / path.name), np.uint8) for path in paths]
    mean_iou = {name: mean_iou_of(masks, predicted, n_classes) for name, predicted in models.items()}
    counts = np.sum([np.bincount(mask.ravel(), minlength=256)[:n_classes] for mask in masks], axis=0)
    flat = {name: [mask.ravel() for mask in predicted] for name, predicted in models.items()}
    drives = [path.stem[:DRIVE_LETTERS] if by_drive else "" for path in paths]
    strata = np.unique(drives, return_inverse=True)[1]
    return Population([mask.ravel() for mask in masks], flat, counts / counts.sum(), mean_iou, strata)


def mean_iou_of(masks: Sequence[NDArray[np.uint8]], predicted: Sequence[NDArray[np.uint8]], n_classes: int) -> float:
    pairs = zip(masks, predicted, strict=True)
    return float(np.nanmean(iou_per_class(np.sum([confusion(*pair, n_classes) for pair in pairs], axis=0))))


def corrupted(
    mask: NDArray[np.uint8], n_classes: int, severity: Severity, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A mask (H, W) as a model of this severity might predict it; how bad it is differs from image to image."""
    height, width = mask.shape
    nearest = distance_transform_edt(mask == IGNORE, return_distances=False, return_indices=True)
    filled = mask[tuple(nearest)]
    cells = rng.uniform(0, 1, (CELLS, 2)) * (height, width)
    places = np.stack(np.mgrid[:height:8, :width:8], axis=-1)[..., None, :]
    coarse = np.argmin(((places - cells) ** 2).sum(axis=-1), axis=-1).astype(np.uint8)
    cell = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    partner = (np.arange(n_classes) + rng.choice([1, 1, 1, 2], n_classes)) % n_classes
    rate = rng.beta(2 * severity.swapped, 2 * (1 - severity.swapped))
    names = np.where(rng.random((CELLS, n_classes)) < rate, partner, np.arange(n_classes)).astype(np.uint8)
    swapped = names[cell, filled]
    radius = int(rng.integers(0, 2 * severity.grown_px + 1))
    chosen, kernel = int(rng.integers(n_classes)), np.ones((2 * radius + 1,) * 2, np.uint8)
    swapped[cv2.dilate((swapped == chosen).astype(np.uint8), kernel) > 0] = chosen
    bend = severity.bent_px * rng.gamma(2.0, 0.5) * rng.normal(0, 1, (2, 9, 12)).astype(np.float32)
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    down, across = (cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC) for field in bend)
    return cv2.remap(swapped, cols + across, rows + down, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)


def surveys(
    population: Population, n_images: int, n_points: int, n_surveys: int
) -> Iterator[dict[str, list[StratumAnswers]]]:
    """The answers of each stratum, with the predictions of each model at the same pixels ("" without)."""
    n_classes = len(population.truth)
    shares = {
        name: np.array([np.bincount(mask, minlength=n_classes) / mask.size for mask in predicted])
        for name, predicted in population.models.items()
    }
    strata = [np.flatnonzero(population.strata == stratum) for stratum in range(population.strata.max() + 1)]
    sizes = [sum(population.masks[image].size for image in members) for members in strata]
    needs = [StratumNeed(size, 0.0, 0, len(members)) for size, members in zip(sizes, strata, strict=True)]
    allocation = neyman_allocation(needs, n_images)
    for number in range(n_surveys):
        rng = np.random.default_rng([number, n_images, n_points])
        survey: dict[str, list[StratumAnswers]] = {name: [] for name in ("", *population.models)}
        for members, n_drawn in zip(strata, allocation, strict=True):
            drawn = rng.choice(len(members), n_drawn, replace=False)
            answers, predictions = answered(population, shares, members, drawn, n_points, rng)
            survey[""].append(answers)
            for name, predicted in predictions.items():
                survey[name].append(replace(answers, predictions=predicted))
        yield survey


def answered(
    population: Population,
    shares: dict[str, NDArray[np.float64]],
    members: NDArray[np.intp],
    drawn: NDArray[np.intp],
    n_points: int,
    rng: np.random.Generator,
) -> tuple[StratumAnswers, dict[str, Predictions]]:
    masks = population.masks
    sizes = np.array([masks[image].size for image in members], np.float64)
    pixels = [(image, rng.integers(masks[image].size, size=n_points)) for image in members[drawn]]

    def at_pixels(of_images: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
        return np.concatenate([of_images[image][at] for image, at in pixels]).astype(np.int64)

    labels = at_pixels(masks)
    classes = np.where(labels == IGNORE, UNKNOWN, labels)
    of_image = np.repeat(np.arange(len(drawn)), n_points)
    answers = StratumAnswers(of_image, classes, len(population.truth), sizes[drawn], len(members), float(sizes.sum()))
    predictions = {
        name: Predictions(at_pixels(predicted), drawn, shares[name][members], sizes)
        for name, predicted in population.models.items()
    }
    return answers, predictions


def measured(name: str, population: Population, n_images: int, n_points: int, n_surveys: int) -> list[Row]:
    estimates: dict[tuple[str, Method], list[CoverEstimate]] = defaultdict(list)
    methods: dict[bool, tuple[Method, ...]] = {
        False: ("as_if_independent", "from_answers"),
        True: ("corrected", "by_confusion"),
    }
    for survey in surveys(population, n_images, n_points, n_surveys):
        for model, strata in survey.items():
            for method in methods[bool(model)]:
                estimates[model, method].append(ESTIMATORS[method](strata))
    is_shown = population.truth > LEAST_SHARE
    plain_width = widths(estimates["", "from_answers"])[:, is_shown]
    rows = []
    for (model, method), of_method in estimates.items():
        low, high = (
            np.array([[getattr(cover, end) for cover in estimate.classes] for estimate in of_method])
            for end in ("low", "high")
        )
        above, below = (population.truth < low)[:, is_shown], (population.truth > high)[:, is_shown]
        width = (high - low)[:, is_shown]
        rows.append(
            Row(
                name,
                n_images,
                n_points,
                model,
                population.mean_iou.get(model, float("nan")),
                method,
                float(1 - above.mean() - below.mean()),
                float(np.median(width, axis=0).mean()),
                float(np.mean(np.median(width, axis=0) / np.median(plain_width, axis=0))),
                float(below.mean()),
                float(above.mean()),
            )
        )
    return rows


def widths(estimates: Sequence[CoverEstimate]) -> NDArray[np.float64]:
    return np.array([[cover.high - cover.low for cover in estimate.classes] for estimate in estimates])


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| set | images x points | model (mIoU) | method | coverage | too low, high | median width | relative |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        model = f"{row.model} ({row.mean_iou:.2f})" if row.model else ""
        lines.append(
            f"| {row.data} | {row.images} x {row.points} | {model} | {row.method} | {row.coverage:.1%} "
            f"| {row.below:.1%}, {row.above:.1%} | {row.width:.2%} | {row.relative:.2f} |"
        )
    return "\n".join(lines)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--sets", nargs="+", choices=DESIGNS, default=["camvid", "cwfid", "dsb2018"])
    parser.add_argument("--surveys", type=int, default=500)
    parser.add_argument("--predictions", type=Path, help="folder of predicted masks of one more model, by set")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
