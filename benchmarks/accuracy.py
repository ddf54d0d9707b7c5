"""How good are the masks? A simulated labeller clicks on data sets with a known truth, next to a random forest.

    python benchmarks/accuracy.py --data DIR [--json out.json] [--limit 10] [--sets grabcut,cwfid] [--no-forest]

DIR holds one folder per data set: `images/*`, `masks/<stem>.png` (uint8 class ids, 255 unknown) and `list.txt`, one
picture name a line. Sets that are absent are passed over. Two protocols:

- clicks per image, for `grabcut` and `davis2016`, in object mode, longer side 512: IoU after 2, 3, 5, 10 and 20 clicks
  (the first in the object, the second in the background, each further one in the largest wrong region), clicks to 80,
  85 and 90 % IoU (an image that never gets there counts as 20), and milliseconds per click; for clicks at the centre of
  the error, near it, and anywhere in it, since centres flatter every method.
- images, for every other set: 10 random pixels, balanced over the classes, of 10 random images; mean IoU on 20 other
  images, mean of three seeds; next to a forest of 100 trees on multiscale filter features, given the same pixels.

Prints a table in Markdown, writes all figures to JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fcnlab.evaluation.images import (
    ForestLearner,
    instant_learners,
    label_across,
    label_images,
    n_classes_of,
    read_example,
    read_names,
    summary_of_clicks,
)
from fcnlab.evaluation.labeller import ClickStyle

CLICK_SETS = ("grabcut", "davis2016")
IMAGE_SETS = ("dsb2018", "isbi2012_em", "cvc_clinicdb", "isic2018", "cwfid", "crackforest", "camvid")
STYLES: tuple[ClickStyle, ...] = ("centre", "jittered", "random")
CLICKS, N_TRAIN, PIXELS, SEEDS = 20, 10, 10, 3
WORKING_SIDE = 512


def main() -> None:
    options = read_options()
    wanted = options.sets.split(",") if options.sets else [*CLICK_SETS, *IMAGE_SETS]
    present = [name for name in wanted if (options.data / name / "list.txt").is_file()]
    if not present:
        sys.exit(f"none of {', '.join(wanted)} is in {options.data}")
    by_click = [name for name in present if name in CLICK_SETS]
    by_image = [name for name in present if name not in CLICK_SETS]
    result = {
        "clicks": {name: clicks(options.data / name, limit=options.limit) for name in by_click},
        "images": {name: images(options.data / name, with_forest=not options.no_forest) for name in by_image},
    }
    print(click_table(result["clicks"]))
    print()
    print(image_table(result["images"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


def clicks(folder: Path, *, limit: int | None) -> dict[str, Any]:
    """Summary and runs for each style of clicking."""
    names = read_names(folder / "list.txt")[:limit]
    n_classes = max(n_classes_of([read_example(folder, name)]) for name in names)
    make = instant_learners(working_side=WORKING_SIDE, object_mode=True)
    figures = {}
    for style in STYLES:
        examples = (read_example(folder, name) for name in names)
        runs = list(label_images(examples, make, n_classes=n_classes, clicks=CLICKS, style=style, seed=0))
        figures[style] = {"summary": summary_of_clicks(runs, clicks=CLICKS), "runs": [asdict(run) for run in runs]}
        print(f"{folder.name}, {style}: done", file=sys.stderr)
    return figures


def images(folder: Path, *, with_forest: bool) -> dict[str, Any]:
    """Mean IoU and runs for each learner; a short list is split in halves."""
    names = read_names(folder / "list.txt")
    n_train = min(N_TRAIN, len(names) // 2)
    builders: dict[str, Any] = {"instant": instant_learners()}
    if with_forest:
        builders["forest"] = lambda _n_classes: ForestLearner()
    figures = {}
    for learner, make in builders.items():
        runs = [label_across(folder, names, make, n_train=n_train, pixels=PIXELS, seed=seed) for seed in range(SEEDS)]
        mean_iou = sum(run.mean_iou for run in runs) / SEEDS
        figures[learner] = {"mean_iou": mean_iou, "runs": [asdict(run) for run in runs]}
        print(f"{folder.name}, {learner}: {mean_iou:.3f}", file=sys.stderr)
    return figures


def click_table(figures: dict[str, Any]) -> str:
    lines = [
        "| set | clicks | 2 | 3 | 5 | 10 | 20 | to 80 % | to 85 % | to 90 % | ms/click median | p95 |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, styles in figures.items():
        for style, style_figures in styles.items():
            summary = style_figures["summary"]
            ious = " | ".join(f"{iou:.3f}" for iou in summary["iou"].values())
            counts = " | ".join(f"{count:.1f}" for count in summary["clicks_to"].values())
            times = summary["milliseconds"]
            lines.append(
                f"| {name} | {style} | {ious} | {counts} | {times['click_median']:.0f} | {times['click_p95']:.0f} |"
            )
    return "\n".join(lines)


def image_table(figures: dict[str, Any]) -> str:
    lines = ["| set | instant learner, mIoU | random forest, mIoU |", "|---|---|---|"]
    for name, learners in figures.items():
        forest = f"{learners['forest']['mean_iou']:.3f}" if "forest" in learners else ""
        lines.append(f"| {name} | {learners['instant']['mean_iou']:.3f} | {forest} |")
    return "\n".join(lines)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--limit", type=int, help="first pictures of the click sets only")
    parser.add_argument("--sets", help="names apart by commas")
    parser.add_argument("--no-forest", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
