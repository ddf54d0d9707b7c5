"""How well does the instant counter count after 10, 30 and 100 clicks, and how long does a click take?

    python benchmarks/instant_counting.py --data DIR [--sets vgg_cells dsb2018] [--seeds 3] [--json out.json]

DIR/SET holds `images/*`, `points/<stem>.json` ([[x, y], ...], one point per object) and `list.txt`. A simulated
labeller clicks (a pixel or so off the centre) 10 objects or mistakes in one image, then 30 in three images, then 100
in five: of what is wrong in the image with the fewest clicks one thing is drawn, a missed object or, as background, a
false one; an image in which every object has its point is all marked. After each stage all methods count the same
held-out images:

- the instant counter;
- `blob_log` of scikit-image at the widths of the marked objects, with the highest threshold at which nine of ten marked
  objects are found;
- Otsu's threshold and a watershed of the distance to the border, seeds at least half a marked object apart.

Both get their polarity from each picture: objects are what covers the smaller part. Prints a table in Markdown: F-score
within the radius of the set, and mean absolute error of the count, mean and spread over seeds; then milliseconds per
click at 512 x 512.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from skimage.feature import blob_log, peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from fcnlab.core.counting.count_maps import instant_count_maps
from fcnlab.core.counting.counted import Counted, count_on_maps
from fcnlab.core.counting.instant import (
    CountHead,
    CountPicture,
    CountSums,
    extract_count_samples,
    fit_counts,
    ready_to_count,
)
from fcnlab.core.counting.marks import Sizes, sizes_at, spacing_from, usual_width
from fcnlab.core.counting.scoring import match_points
from fcnlab.core.encoding.encoder import StageEncoder, lab_image
from fcnlab.core.learner.samples import Clicks, canonical_clicks
from fcnlab.domain.events import Point
from fcnlab.storage.files.weights import BUNDLED_ENCODER, load_encoder
from fcnlab.threads import wait_politely

STAGES = ((10, 1), (30, 3), (100, 5))
RADIUS = {"vgg_cells": 4.0, "adipocytes": 4.0, "dsb2018": 8.0, "mbm_cells": 10.0}
USUAL_RADIUS = 8.0
JITTER_PX = 0.8
LONGEST = 700
"""Larger pictures are made smaller, so that the run stays short."""

Positions = NDArray[np.float64]


@dataclass(eq=False)
class Case:
    """A picture with its true objects (N, 2), and what the labeller has clicked in it."""

    rgb: NDArray[np.uint8]
    lightness: NDArray[np.float32]
    picture: CountPicture
    true: Positions
    objects: dict[int, tuple[float, float]] = field(default_factory=dict)
    background: list[tuple[float, float]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.objects) == len(self.true)

    @property
    def clicks(self) -> Clicks:
        points = {self._pixel(position): 0 for position in self.background}
        points |= {self._pixel(position): 1 for position in self.objects.values()}
        return canonical_clicks([Point(*pixel, class_id) for pixel, class_id in points.items()], self.picture.hw)

    @property
    def sizes(self) -> Sizes:
        rows, cols = self.clicks.on(self.picture.hw)
        is_object = self.clicks.class_ids == 1
        return sizes_at(self.picture.space, rows[is_object], cols[is_object])

    def _pixel(self, position: tuple[float, float]) -> tuple[int, int]:
        height, width = self.picture.hw
        return min(max(round(position[0]), 0), height - 1), min(max(round(position[1]), 0), width - 1)


def main() -> None:
    wait_politely()
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["vgg_cells", "dsb2018"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--held-out", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    trained = load_encoder(BUNDLED_ENCODER)
    encoder = StageEncoder.of(trained)
    results: dict[str, Any] = {}
    for name in options.sets:
        runs = [
            run_of(options.data / name, encoder, RADIUS.get(name, USUAL_RADIUS), seed, options.held_out)
            for seed in range(options.seeds)
        ]
        results[name] = runs
        print(table(name, runs), flush=True)
        results[f"{name}, ms"] = milliseconds(options.data / name, encoder)
        print(f"{name}: a click at 512 x 512 takes {results[f'{name}, ms']} ms\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


def run_of(folder: Path, encoder: StageEncoder, radius: float, seed: int, n_held_out: int) -> dict[str, Any]:
    """Per stage and method: F-score and mean absolute error on the held-out images."""
    rng = np.random.default_rng(seed)
    names = [line.strip() for line in (folder / "list.txt").read_text("utf-8").splitlines() if line.strip()]
    groups = sorted({group_of(name) for name in names}) if folder.name == "mbm_cells" else names
    order = [groups[index] for index in rng.permutation(len(groups))]
    drawn = [name for group in order for name in names if name == group or group_of(name) == group]
    held_out = [read_case(folder, name, encoder) for name in drawn[-n_held_out:]]
    cases: list[Case] = []
    result: dict[str, Any] = {}
    for n_clicks, n_images in STAGES:
        while len(cases) < n_images:
            cases.append(read_case(folder, drawn[len(cases)], encoder))
        while sum(len(case.objects) + len(case.background) for case in cases) < n_clicks:
            if all(case.is_complete for case in cases):
                cases.append(read_case(folder, drawn[len(cases)], encoder))
            click(cases, radius, rng)
        head = learned(cases)
        methods: dict[str, Callable[[Case], Positions]] = {
            "instant counter": lambda case, head=head: places(
                counted(case, head, canonical_clicks([], case.picture.hw))
            ),
            "blob_log": log_detector(cases, radius),
            "Otsu, watershed": otsu_detector(cases),
        }
        result[str(n_clicks)] = {name: scored(held_out, method, radius) for name, method in methods.items()}
    return result


def group_of(name: str) -> str:
    """The field that a picture was cut from."""
    return name.rsplit("_", 1)[0]


def read_case(folder: Path, name: str, encoder: StageEncoder) -> Case:
    path = next(
        candidate for candidate in (folder / "images" / name, folder / "images" / f"{name}.png") if candidate.is_file()
    )
    rgb = np.asarray(Image.open(path).convert("RGB")).copy()
    marks = json.loads((folder / "points" / f"{path.stem}.json").read_text("utf-8"))
    true = np.array(marks, np.float64).reshape(-1, 2)[:, ::-1]
    factor = min(1.0, LONGEST / max(rgb.shape[:2]))
    if factor < 1:
        rgb = cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        true = (true + 0.5) * factor - 0.5
    lightness = lab_image(rgb)[..., 0]
    picture = ready_to_count(rgb, encoder.encode(rgb, scales=(1.0, 0.5), position=True))
    return Case(rgb, lightness, picture, true)


def learned(cases: Sequence[Case]) -> CountHead:
    sizes = [case.sizes for case in cases]
    spacing, sums = spacing_from(sizes), CountSums()
    for case in cases:
        sums.add(
            extract_count_samples(
                case.picture, case.clicks, background=0, is_complete=case.is_complete, spacing=spacing
            )
        )
    return fit_counts(sums, class_ids=[1], spacing=spacing, width=usual_width(sizes))


def counted(case: Case, head: CountHead, clicks: Clicks, *, is_complete: bool = False) -> Counted:
    count_maps = instant_count_maps(case.picture, head, class_ids=(0, 1), image_hw=case.picture.hw)
    return count_on_maps(count_maps, clicks, is_complete=is_complete, out_hw=case.picture.hw)


def places(counted_picture: Counted) -> Positions:
    return np.array(
        [(detection.row, detection.col) for detection in counted_picture.count.objects], np.float64
    ).reshape(-1, 2)


def unmarked_places(case: Case, *, head: CountHead) -> Positions:
    """What a head finds in a picture in which nothing is marked."""
    return places(counted(case, head, canonical_clicks([], case.picture.hw)))


def click(cases: Sequence[Case], radius: float, rng: np.random.Generator) -> None:
    """One more click in the image with the fewest that is not all marked."""
    case = min(
        (candidate for candidate in cases if not candidate.is_complete),
        key=lambda candidate: len(candidate.objects) + len(candidate.background),
    )
    unmarked = [index for index in range(len(case.true)) if index not in case.objects]
    missed, false = unmarked, np.zeros((0, 2))
    if sum(len(labelled_case.objects) for labelled_case in cases):
        detected = places(counted(case, learned(cases), case.clicks))
        of_true, of_found = match_points(case.true, detected, radius)
        missed = sorted(set(unmarked) - set(of_true.tolist()))
        others = np.delete(detected, of_found, axis=0)
        if len(others):
            far = np.linalg.norm(others[:, None] - case.true, axis=2).min(axis=1) > radius
            false = others[far]
    if len(false) and rng.random() < len(false) / (len(false) + len(missed)):
        row, col = false[rng.integers(len(false))]
        case.background.append((float(row), float(col)))
        return
    chosen = int(rng.choice(missed or unmarked))
    row, col = case.true[chosen] + rng.normal(0, JITTER_PX, 2)
    case.objects[chosen] = (float(row), float(col))


def bright_objects(lightness: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Lightness 0 to 1, turned so that what covers less is bright, and Otsu's threshold."""
    light = lightness / 100
    threshold = float(threshold_otsu(light))
    return (light, threshold) if (light > threshold).mean() < 0.5 else (1 - light, 1 - threshold)


def log_detector(cases: Sequence[Case], radius: float) -> Callable[[Case], Positions]:
    width = usual_width([case.sizes for case in cases])

    def blobs(case: Case, threshold: float) -> Positions:
        light, _ = bright_objects(case.lightness)
        detected = blob_log(light, min_sigma=width / 2, max_sigma=width * 1.5, num_sigma=5, threshold=threshold)
        return np.asarray(detected[:, :2], np.float64).reshape(-1, 2)

    for threshold in (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.12, 0.1, 0.08, 0.06, 0.04, 0.03, 0.02):
        n_marked = sum(len(case.objects) for case in cases)
        n_found = sum(
            len(match_points(np.array(list(case.objects.values())).reshape(-1, 2), blobs(case, threshold), radius)[0])
            for case in cases
        )
        if n_found >= 0.9 * n_marked:
            break
    return lambda case: blobs(case, threshold)


def otsu_detector(cases: Sequence[Case]) -> Callable[[Case], Positions]:
    apart = max(2, round(usual_width([case.sizes for case in cases]) * 2**0.5))

    def watershed_objects(case: Case) -> Positions:
        light, threshold = bright_objects(case.lightness)
        inside = ndimage.binary_opening(light > threshold)
        depth = ndimage.distance_transform_edt(inside)
        seeds = np.zeros(depth.shape, np.int32)
        peaks = peak_local_max(depth, min_distance=apart, labels=ndimage.label(inside)[0], exclude_border=False)
        seeds[peaks[:, 0], peaks[:, 1]] = np.arange(1, len(peaks) + 1)
        parts = watershed(-depth, seeds, mask=inside)
        return np.array(ndimage.center_of_mass(inside, parts, range(1, len(peaks) + 1))).reshape(-1, 2)

    return watershed_objects


def scored(cases: Sequence[Case], method: Callable[[Case], Positions], radius: float) -> dict[str, float]:
    n_matched = n_found = n_true = 0
    errors = []
    for case in cases:
        detected = method(case)
        n_matched += len(match_points(case.true, detected, radius)[0])
        n_found, n_true = n_found + len(detected), n_true + len(case.true)
        errors.append(abs(len(detected) - len(case.true)))
    return {"f": 2 * n_matched / max(1, n_found + n_true), "mae": float(np.mean(errors)), "true": n_true / len(cases)}


def milliseconds(folder: Path, encoder: StageEncoder) -> int:
    """Median of a click: learn from the picture, fit, maps, objects; after the twentieth point."""
    name = (folder / "list.txt").read_text("utf-8").split()[0]
    case = read_case(folder, name, encoder)
    factor = 512 / np.array(case.rgb.shape[:2])
    case.rgb = cv2.resize(case.rgb, (512, 512), interpolation=cv2.INTER_AREA)
    case.true = (case.true + 0.5) * factor - 0.5
    case.picture = ready_to_count(case.rgb, encoder.encode(case.rgb, scales=(1.0, 0.5), position=True))
    taken = []
    for index, (row, col) in enumerate(case.true[:40]):
        case.objects[index] = (float(row), float(col))
        started = time.perf_counter()
        counted(case, learned([case]), case.clicks)
        taken.append((time.perf_counter() - started) * 1000)
    return round(float(np.median(taken[20:] or taken)))


def table(name: str, runs: Sequence[dict[str, Any]]) -> str:
    rows = [f"{name}, {runs[0]['10']['blob_log']['true']:.0f} objects a picture", ""]
    rows += ["| clicks | method | F-score | mean absolute error |", "|---|---|---|---|"]
    for stage in runs[0]:
        for method in runs[0][stage]:
            f, mae = (np.array([run[stage][method][key] for run in runs]) for key in ("f", "mae"))
            rows.append(f"| {stage} | {method} | {f.mean():.3f} ± {f.std():.3f} | {mae.mean():.1f} ± {mae.std():.1f} |")
    return "\n".join([*rows, ""])


if __name__ == "__main__":
    main()
