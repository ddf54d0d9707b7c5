"""How long does a click take in Python, without browser and database, next to a random forest?

    python benchmarks/segmenter_speed.py [--repeat 15] [--json out.json]

On a 512 x 512 photograph (scikit-image's astronaut), medians of one run on one machine:

- encoding the picture, which happens once;
- a click with 20 points of two classes: warm fit plus prediction of the whole mask;
- the same click for a forest of 100 trees on multiscale filter features kept from before, and the ratio of the two;
- a click with 10 and with 1,000 points in the project, spread over 10 pictures, and the ratio of the two;
- the ratio where all points lie in one picture: on a grid, at random, and labelled by chance, as no line separates.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
from numpy.typing import NDArray

from fcnlab.domain.events import Point
from fcnlab.evaluation.images import ForestLearner, InstantLearner, Learner
from fcnlab.segmenter.segmenter import PointSegmenter

WARM_UP = 4
N_PICTURES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--repeat", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rgb: NDArray[np.uint8] = skimage.data.astronaut()
    figures = measure(rgb, repeat=options.repeat)
    print("| figure | value |\n|---|---|")
    for name, value in figures.items():
        print(f"| {name} | {value:.3g} |" if name.startswith("ratio") else f"| {name} | {value:.1f} ms |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


def measure(rgb: NDArray[np.uint8], *, repeat: int) -> dict[str, float]:
    first, second = (PointSegmenter(["background", "object"]) for _ in range(2))
    InstantLearner(first).prepare(rgb)  # loads the encoder
    encoding = alternating_ms({"encoding": lambda: InstantLearner(first).prepare(rgb)}, repeat)["encoding"]
    points = spread(20, rgb, seed=0)
    single = alternating_ms(
        {
            "instant": clicker(InstantLearner(first), [(rgb, points)], repeat),
            "forest": clicker(ForestLearner(), [(rgb, points)], repeat),
        },
        repeat,
    )
    project = alternating_ms(
        {
            "few": clicker(InstantLearner(first), pictures(rgb, 10), repeat),
            "many": clicker(InstantLearner(second), pictures(rgb, 1000), repeat),
        },
        repeat,
    )
    crowded = {f"ratio 1,000 points to 10, one picture, {kind}": one_picture(rgb, kind, repeat) for kind in KINDS}
    return {
        "encoding, once": encoding,
        "click, 20 points": single["instant"],
        "click of the random forest": single["forest"],
        "ratio forest to instant": single["forest"] / single["instant"],
        "click, 10 points in the project": project["few"],
        "click, 1,000 points in the project": project["many"],
        "ratio 1,000 points to 10": project["many"] / project["few"],
        **crowded,
    }


KINDS = ("on a grid", "at random", "labelled by chance")


def one_picture(rgb: NDArray[np.uint8], kind: str, repeat: int) -> float:
    """How many times as long a click takes among 1,000 points of one picture as among 10."""
    works = {}
    for count in (10, 1000):
        points = spread(count, rgb, seed=3)
        if kind == "on a grid":
            side = math.ceil(count**0.5)
            steps = [(np.arange(side) + 0.5) / side * length for length in rgb.shape[:2]]
            grid = [(int(row), int(col)) for row in steps[0] for col in steps[1]]
            points = [Point(*at, point.class_id) for at, point in zip(grid, points, strict=False)]
        elif kind == "labelled by chance":
            points = [Point(point.row, point.col, index % 2) for index, point in enumerate(points)]
        learner = InstantLearner(PointSegmenter(["background", "object"]))
        works[str(count)] = clicker(learner, [(rgb, points)], repeat + WARM_UP)
    alternating_ms(works, WARM_UP)  # among many points the second fit makes the others quick
    times = alternating_ms(works, repeat)
    return times["1000"] / times["10"]


def pictures(rgb: NDArray[np.uint8], n_points: int) -> list[tuple[NDArray[np.uint8], list[Point]]]:
    """Ten pictures that share the points."""
    points = spread(n_points, rgb, seed=2)
    return [(np.roll(rgb, 16 * index, axis=1), points[index::N_PICTURES]) for index in range(N_PICTURES)]


def clicker(
    learner: Learner, labelled: list[tuple[NDArray[np.uint8], list[Point]]], repeat: int
) -> Callable[[], object]:
    """A further click on the last of these pictures, once the learner knows them all."""
    image: Any = None
    for rgb, points in labelled:
        image = learner.prepare(rgb)
        learner.learn(image, points)
    learner.fit()
    learner.predict(image)
    extra = iter(spread(repeat, labelled[-1][0], seed=1))

    def click() -> None:
        learner.learn(image, [next(extra)])
        learner.fit()
        learner.predict(image)

    return click


def spread(count: int, rgb: NDArray[np.uint8], *, seed: int) -> list[Point]:
    """Random pixels: the middle of the picture is the object, the rest background."""
    rng = np.random.default_rng(seed)
    height, width = rgb.shape[:2]
    rows, cols = rng.integers(0, height, count), rng.integers(0, width, count)
    inside = (np.abs(rows - height / 2) < height / 3) & (np.abs(cols - width / 2) < width / 4)
    inside[: min(2, count)] = [False, True][: min(2, count)] if count > 1 else inside[:1]
    return [Point(int(row), int(col), int(class_id)) for row, col, class_id in zip(rows, cols, inside, strict=True)]


def alternating_ms(works: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Medians of works done in turn, so that whatever else the machine does slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeat):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(measured) for name, measured in times.items()}


if __name__ == "__main__":
    main()
