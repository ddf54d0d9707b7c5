"""How far do a few pixels per image of a whole data set go? Next to a random forest, and to labelling every pixel.

    python benchmarks/few_pixels.py --data DIR [--json out.json] [--drive 0006R0] [--every 4] [--no-forest]

DIR holds `images/*`, `masks/<stem>.png` (uint8 class ids, 255 unknown), `train.txt` and `val.txt`. Everything is scored
twice: learned on train and scored on val, and learned on train without the images whose names start with --drive and
scored on those (neighbouring frames of one film are alike, so the first figure flatters).

- pixels per image: 20 at random; 10 at random and 10 chosen (margin; Shin et al. 2021, arXiv:2104.06394); 40, of which
  30 chosen in three rounds; 100 at random;
- "all": 500 random pixels per image stand for full masks, for the same learner;
- the forest of scikit-image's trainable segmentation, given the 20 random pixels.

Prints a table in Markdown, and the seconds of encoding, fitting and asking. Takes an hour on two cores with the
forest; results are written after every line, and a run that finds them goes on behind them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fcnlab.core.learner.queries import Strategy
from fcnlab.evaluation.datasets import DatasetLearner, DatasetRun
from fcnlab.evaluation.images import n_classes_of, read_example, read_names
from fcnlab.evaluation.learners import ForestDatasetLearner, InstantDatasetLearner
from fcnlab.threads import wait_politely

PLANS: tuple[tuple[str, str, tuple[int, ...], Strategy], ...] = (
    ("instant", "chosen", (10, 20, 30, 40), "margin"),
    ("instant", "random", (20, 100, 500), "random"),
    ("forest", "random", (20,), "random"),
)


def main() -> None:
    wait_politely()
    options = read_options()
    train, val = (read_names(options.data / f"{part}.txt") for part in ("train", "val"))
    rest = tuple(name for name in train if not name.startswith(options.drive))
    drive = tuple(name for name in train if name.startswith(options.drive))
    splits = {"val": (train, val), f"without {options.drive}": (rest, drive)}
    results: dict[str, Any] = {}
    if options.json and options.json.is_file():
        results = json.loads(options.json.read_text("utf-8"))
    for split, (trained_on, scored_on) in splits.items():
        for learner, how, pixels, pick in PLANS:
            name = f"{split}, {learner}, {how}"
            if name in results or (learner == "forest" and options.no_forest):
                continue
            build_learner = (
                ForestDatasetLearner if learner == "forest" else lambda: InstantDatasetLearner(device="auto")
            )
            results[name] = measured(
                options.data, trained_on[:: options.every], scored_on[:: options.every], build_learner(), pixels, pick
            )
            print(f"{name}: {results[name]}", file=sys.stderr)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    print(table(results))


def measured(
    folder: Path,
    trained_on: Sequence[str],
    scored_on: Sequence[str],
    learner: DatasetLearner,
    pixels: Sequence[int],
    pick: Strategy,
) -> dict[str, Any]:
    """Rounds and seconds of one learner on one split."""
    n_classes = max(n_classes_of([read_example(folder, name)]) for name in (*trained_on, *scored_on))
    run = DatasetRun(folder, trained_on, scored_on, n_classes)
    rounds = [asdict(scored) for scored in run.rounds(learner, pixels=pixels, pick=pick, rng=np.random.default_rng(0))]
    return {"images": len(trained_on), "encode_s": run.encode_s, "rounds": rounds}


def table(results: dict[str, Any]) -> str:
    lines = ["| images, learner, pixels | per image | mIoU | fit s | query s |", "|---|---|---|---|---|"]
    for name, run in results.items():
        lines += [
            f"| {name} | {row['pixels']} | {row['mean_iou']:.3f} | {row['fit_s']:.0f} | {row['query_s']:.0f} |"
            for row in run["rounds"]
        ]
        lines.append(f"| {name} | encoding {run['images']} images | | {run['encode_s']:.0f} | |")
    return "\n".join(lines)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--drive", default="0006R0", help="images whose names start so make the second split")
    parser.add_argument("--every", type=int, default=1, help="take every n-th image only")
    parser.add_argument("--no-forest", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
