"""Does it help to know that classes are grades of one thing? The same points with and without their order.

    python benchmarks/ordered_classes.py [--data DIR] [--per-grade 2 5 10 20] [--seeds 20] [--json out.json]

- Depth: the disparity of scikit-image's motorcycle, cut at its quantiles into five grades; points at random in the
  picture, errors on all of it where the disparity is known.
- Density, with --data: DIR holds `images/*`, `points/<stem>.json` (`[[x, y], ...]`, the centres of cells) and
  `list.txt`. The smoothed number of centres per pixel is cut at its quantiles into four grades. Points at random in
  some images, errors on all pixels of others.

For each number of points per grade, every seed draws other points (and, of density, other images); both learners get
the same ones. Prints tables in Markdown: mean absolute error in grades and quadratic weighted kappa of both, the mean
difference of the errors with a 95 % interval (bootstrap over seeds), and milliseconds of a fit from zero; then
milliseconds of a fit to one point more, among few and among many. Takes four minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import bootstrap
from sklearn.metrics import cohen_kappa_score

from fcnlab.core.encoding.encoder import StageEncoder
from fcnlab.core.images.coords import learner_picture
from fcnlab.core.images.picture import to_rgb8
from fcnlab.core.learner import learner
from fcnlab.core.learner.full_size import full_size
from fcnlab.core.learner.head import Head
from fcnlab.core.learner.samples import canonical_clicks
from fcnlab.core.tiling.large import AnyPicture, open_picture, segment_any
from fcnlab.core.tiling.tiled_stages import MemoryTileCache
from fcnlab.domain.events import Point
from fcnlab.domain.project import IGNORE, LearnerSpec
from fcnlab.evaluation.images import MAX_PIXELS, read_names
from fcnlab.storage.files.weights import load_encoder
from fcnlab.storage.image_readers.registry import decode
from fcnlab.threads import wait_politely

DEPTHS, DENSITIES = 5, 4
SMOOTHING_PX = 16.0
"""Standard deviation of the Gaussian that makes a density of centres."""

LEARNED, SCORED = 4, 12
"""Images of cells with points, and others on which errors are counted, for each seed."""

MANY = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture made ready for clicks, and its grades (H, W) uint8, IGNORE where nobody knows."""

    picture: AnyPicture
    truth: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to learn from one draw of points. `error` is in grades."""

    per_grade: int
    seed: int
    is_ordered: bool
    error: float
    kappa: float
    fit_ms: float


def main() -> None:
    wait_politely()
    options = read_options()
    torch.set_num_threads(1)
    sets: dict[str, tuple[list[Scene], int]] = {"depth": ([depth_scene()], DEPTHS)}
    if options.data:
        sets["density"] = (density_scenes(options.data), DENSITIES)
    results: dict[str, Any] = {}
    for name, (scenes, n_grades) in sets.items():
        rows = list(measured(scenes, n_grades, options.per_grade, range(options.seeds)))
        results[name] = {"rows": [asdict(row) for row in rows], "warm_fit_ms": warm_fits(scenes, n_grades)}
        print(f"{name}, {n_grades} grades\n\n{table(rows)}\n\n{warm_table(results[name]['warm_fit_ms'])}\n")
        sys.stdout.flush()
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def measured(scenes: Sequence[Scene], n_grades: int, counts: Sequence[int], seeds: Sequence[int]) -> Iterator[Row]:
    """Rows of both ways to learn, for all numbers of points and all seeds."""
    for per_grade in counts:
        for seed in seeds:
            rng = np.random.default_rng((seed, per_grade))
            learned, scored = split(scenes, n_grades, rng)
            points = drawn(learned, n_grades, per_grade, rng)
            for grades in ((), tuple(range(n_grades))):
                spec = LearnerSpec(grades=grades)
                samples = samples_of(learned, points, spec)
                started = time.perf_counter()
                head = learner.fit(samples, spec)
                fit_ms = 1000 * (time.perf_counter() - started)
                clicked = points if scored is learned else [[]] * len(scored)
                error, kappa = scores(scored, clicked, head, spec)
                yield Row(per_grade, seed, bool(grades), error, kappa, fit_ms)


def split(scenes: Sequence[Scene], n_grades: int, rng: np.random.Generator) -> tuple[list[Scene], list[Scene]]:
    """Scenes that get points, every grade among them, and others to score; a single one is both."""
    while True:
        chosen = [scenes[k] for k in rng.permutation(len(scenes))[: LEARNED + SCORED]]
        learned = chosen[:LEARNED]
        if set(range(n_grades)) <= set(np.concatenate([np.unique(scene.truth) for scene in learned]).tolist()):
            return learned, chosen[LEARNED:] or learned


def drawn(scenes: Sequence[Scene], n_grades: int, per_grade: int, rng: np.random.Generator) -> list[list[Point]]:
    """Points at random, so many of every grade, each in any of the scenes."""
    points: list[list[Point]] = [[] for _ in scenes]
    for grade in range(n_grades):
        places = [np.argwhere(scene.truth == grade) for scene in scenes]
        starts = np.cumsum([0, *map(len, places)])
        for index in rng.choice(starts[-1], per_grade, replace=False):
            k = int(np.searchsorted(starts, index, side="right")) - 1
            row, col = places[k][index - starts[k]]
            points[k].append(Point(int(row), int(col), grade))
    return points


def samples_of(
    scenes: Sequence[Scene], points: Sequence[Sequence[Point]], spec: LearnerSpec
) -> list[learner.ImageSamples]:
    return [
        learner.extract_samples(scene.picture, canonical_clicks(of_scene, hw_of(scene)), spec, background=None)
        for scene, of_scene in zip(scenes, points, strict=True)
        if of_scene
    ]


def scores(
    scenes: Sequence[Scene], points: Sequence[Sequence[Point]], head: Head, spec: LearnerSpec
) -> tuple[float, float]:
    """Mean absolute error in grades over all known pixels, and quadratic weighted kappa."""
    given, wanted = [], []
    for scene, of_scene in zip(scenes, points, strict=True):
        clicks = canonical_clicks(of_scene, hw_of(scene))
        with torch.inference_mode():
            segmentation = segment_any(scene.picture, head, clicks, spec, background=None)
        is_known = scene.truth != IGNORE
        given.append(full_size(segmentation, hw_of(scene), clicks)[is_known])
        wanted.append(scene.truth[is_known])
    all_given, all_wanted = np.concatenate(given).astype(int), np.concatenate(wanted).astype(int)
    kappa = cohen_kappa_score(all_wanted, all_given, weights="quadratic")
    return float(np.abs(all_given - all_wanted).mean()), float(kappa)


def warm_fits(scenes: Sequence[Scene], n_grades: int) -> dict[str, float]:
    """Median milliseconds of a fit to one point more, among few points and among many, with and without the order."""
    result = {}
    for count in (5 * n_grades, MANY):
        rng = np.random.default_rng(count)
        points = drawn(scenes, n_grades, count // n_grades, rng)
        more = drawn(scenes, n_grades, 5, rng)
        for name, grades in (("softmax", ()), ("ordinal", tuple(range(n_grades)))):
            result[f"{name}, {count} points"] = warm_fit_ms(scenes, points, more, LearnerSpec(grades=grades))
    return result


def warm_fit_ms(
    scenes: Sequence[Scene], points: Sequence[Sequence[Point]], more: Sequence[Sequence[Point]], spec: LearnerSpec
) -> float:
    table, now, taken = learner.SampleTable(), [list(of_scene) for of_scene in points], []
    head = learner.fit(samples_of(scenes, now, spec), spec, table=table)
    for k, of_scene in enumerate(more):
        for point in of_scene:
            now[k].append(point)
            samples = samples_of(scenes, now, spec)
            if learner.wants_preparation(head, sum(map(len, now))):
                head = learner.prepared(head, samples, spec)
            started = time.perf_counter()
            head = learner.fit(samples, spec, start=head, table=table)
            taken.append(1000 * (time.perf_counter() - started))
    return statistics.median(taken[1:])


def depth_scene() -> Scene:
    rgb, _, disparity = skimage.data.stereo_motorcycle()
    is_known = np.isfinite(disparity)
    cuts = np.quantile(disparity[is_known], quantiles(DEPTHS))
    return Scene(ready(rgb), graded(disparity, is_known, cuts))


def density_scenes(folder: Path) -> list[Scene]:
    pictures, densities = [], []
    for name in read_names(folder / "list.txt"):
        rgb, _ = to_rgb8(decode(folder / "images" / name, name=name, max_pixels=MAX_PIXELS).pixels)
        centres = np.zeros(rgb.shape[:2])
        for x, y in json.loads((folder / "points" / f"{Path(name).stem}.json").read_text("utf-8")):
            centres[min(int(y), centres.shape[0] - 1), min(int(x), centres.shape[1] - 1)] += 1
        pictures.append(rgb)
        densities.append(gaussian_filter(centres, SMOOTHING_PX, mode="reflect"))
    cuts = np.quantile(np.concatenate([density.ravel() for density in densities]), quantiles(DENSITIES))
    return [
        Scene(ready(rgb), graded(density, np.ones(density.shape, bool), cuts))
        for rgb, density in zip(pictures, densities, strict=True)
    ]


def quantiles(n_grades: int) -> NDArray[np.float64]:
    return np.arange(1, n_grades) / n_grades


def graded(values: NDArray[Any], is_known: NDArray[np.bool_], cuts: NDArray[Any]) -> NDArray[np.uint8]:
    """Grades (H, W) uint8 of values between cuts, IGNORE where nobody knows them."""
    return np.where(is_known, np.digitize(values, cuts), IGNORE).astype(np.uint8)


def hw_of(scene: Scene) -> tuple[int, int]:
    return scene.truth.shape[0], scene.truth.shape[1]


@cache
def encoder() -> StageEncoder:
    return StageEncoder.of(load_encoder(LearnerSpec().encoder), device="cpu")


def ready(rgb: NDArray[np.uint8]) -> AnyPicture:
    spec = LearnerSpec()
    return open_picture(encoder(), learner_picture(rgb, spec), spec, tile_cache=MemoryTileCache())


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| points per grade | error, softmax | error, ordinal | difference | kappa, softmax | kappa, ordinal "
        "| fit, softmax | fit, ordinal |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for per_grade in (*sorted({row.per_grade for row in rows}), None):
        softmax, ordinal = (
            [row for row in rows if row.is_ordered == ordered and per_grade in (row.per_grade, None)]
            for ordered in (False, True)
        )
        differences = np.array([row.error - peer.error for row, peer in zip(ordinal, softmax, strict=True)])
        interval = bootstrap((differences,), np.mean, n_resamples=5000, rng=0).confidence_interval

        def mean(values: Sequence[Row], of: Callable[[Row], float]) -> str:
            return f"{statistics.fmean(map(of, values)):.3f}"

        def milliseconds(values: Sequence[Row]) -> str:
            return f"{statistics.median(row.fit_ms for row in values):.0f} ms"

        lines.append(
            f"| {per_grade or 'all'} | {mean(softmax, lambda row: row.error)} | {mean(ordinal, lambda row: row.error)} "
            f"| {differences.mean():+.3f} ({interval.low:+.3f} to {interval.high:+.3f}) "
            f"| {mean(softmax, lambda row: row.kappa)} | {mean(ordinal, lambda row: row.kappa)} "
            f"| {milliseconds(softmax)} | {milliseconds(ordinal)} |"
        )
    return "\n".join(lines)


def warm_table(warm_fit_ms: dict[str, float]) -> str:
    return "\n".join(f"One point more, {name}: {taken:.1f} ms" for name, taken in warm_fit_ms.items())


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of images of cells with their centres")
    parser.add_argument("--per-grade", type=int, nargs="+", default=[2, 5, 10, 20], help="points of each grade")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
