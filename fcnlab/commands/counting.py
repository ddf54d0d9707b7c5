"""`fcnlab count`: networks that count objects, trained, applied and judged."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from fcnlab.commands.common import answer, json_option, say, settings_of
from fcnlab.commands.counting_training import train
from fcnlab.commands.output import show_progress
from fcnlab.domain.counting import CountScore
from fcnlab.errors import FcnlabError, InvalidSetting


@click.group()
def count() -> None:
    """Count objects from one point each."""


@count.command()
@click.option("--model", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A model file.")
@click.option("--images", multiple=True, required=True, help="A folder or pattern of image files.")
@click.option("--points", required=True, type=click.Path(path_type=Path), help="Their point files, as for train.")
@click.option("--radius", type=float, help="Pixels within which an object is found; half the usual distance.")
@click.option("--known-images", is_flag=True, help="Judge it on images that made it what it is as well.")
@json_option
@click.pass_context
def evaluate(
    ctx: click.Context,
    model: Path,
    images: tuple[str, ...],
    points: Path,
    radius: float | None,
    known_images: bool,
    as_json: bool,
) -> None:
    """Say how well a counter counts images whose objects are all marked.

    Images that the counter learned from are left out, and those held out by which it was calibrated and chosen:
    they say too little about others.
    """
    from fcnlab.services.counting.counters import Judgement, open_counter
    from fcnlab.services.counting.marked_files import marked_files

    settings = settings_of(ctx)
    if radius is not None and not 0 < radius < math.inf:
        raise InvalidSetting(f"radius {radius:g} must be a number of pixels above zero")
    counter = open_counter(model, device=settings.device)
    marked = marked_files(images, points, max_pixels=settings.max_pixels)
    found = marked.files
    if marked.unmarked:
        say(f"left out {len(marked.unmarked)} images without points, {marked.unmarked[0]} first")
    known = counter.learned_images | counter.calibrated_images
    judged = [one for one in found if known_images or one.content_hash not in known]
    if len(judged) < len(found):
        say(
            f"left out {len(found) - len(judged)} images that {model.name} learned from or was calibrated by "
            "(--known-images takes them in)"
        )
    if not judged:
        raise FcnlabError(
            f"{model.name} learned from all of these images, or was calibrated by them: give others, for these prove "
            "too little"
        )
    judgement = Judgement(counter, judged, radius=radius, max_pixels=settings.max_pixels)
    started, n_refused = time.monotonic(), 0
    images_out: list[dict[str, Any]] = []
    for step in judgement.run():
        show_progress(f"{step.done} of {step.total}")
        if step.refused:
            n_refused += 1
            say(f"left out {step.name}: {step.refused}")
            continue
        images_out.append({"image": step.name, "true": dict(step.true), "counted": dict(step.counted)})
    show_progress("")
    score, seconds = judgement.score(), time.monotonic() - started
    names = dict(counter.classes)
    values = {**asdict(score), "radius": judgement.radius, "seconds": seconds, "images": images_out}
    answer(values, _score_lines(score, judgement.radius, names, seconds), as_json=as_json)
    ctx.exit(1 if n_refused else 0)


def _score_lines(score: CountScore, radius: float, names: dict[int, str], seconds: float) -> list[str]:
    game = "  ".join(f"GAME({level}) {value:.2f}" for level, value in enumerate(score.game))
    lines = [
        f"{score.n_images} images, {score.n_objects} objects, {score.n_images / max(seconds, 1e-6):.1f} images/s",
        f"MAE {score.mae:.2f}  RMSE {score.rmse:.2f}  MRE {score.mre:.1%}  {game}",
        f"precision {score.precision:.3f}  recall {score.recall:.3f}  F {score.f_score:.3f} within {radius:.1f} pixels",
    ]
    if len(score.per_class) > 1:
        lines += [f"MAE of {names[class_id]}: {error:.2f}" for class_id, error in score.per_class.items()]
    return lines


@count.command()
@click.option("--model", required=True, type=click.Path(dir_okay=False, path_type=Path), help="A model file.")
@click.option("--input", "-i", "inputs", multiple=True, help="A file, a folder, or a pattern: 'folder/**/*.tif'.")
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Table of counts (CSV).")
@click.option("--objects", type=click.Path(dir_okay=False, path_type=Path), help="Table of the objects found (CSV).")
@click.option("--coco", type=click.Path(dir_okay=False, path_type=Path), help="The objects as COCO keypoints (JSON).")
@click.option("--density", type=click.Path(file_okay=False, path_type=Path), help="Folder of densities (32-bit TIFF).")
@click.argument("images", nargs=-1)
@click.pass_context
def predict(
    ctx: click.Context,
    model: Path,
    inputs: tuple[str, ...],
    output: Path | None,
    objects: Path | None,
    coco: Path | None,
    density: Path | None,
    images: tuple[str, ...],
) -> None:
    """Count the objects in image files.

    The table has a line per image and class; `low` and `high` hold the true count in 9 of 10 images; `learned_from` is
    `calibrated` for images held out in training. A file that cannot
    be read is named, the rest goes on, and the exit code is 1 then.
    """
    if not inputs and not images:
        raise click.UsageError("give images, or --input")
    if output is None and objects is None and coco is None and density is None:
        raise click.UsageError("give --output, --objects, --coco or --density")
    from fcnlab.services.counting.counted_files import CountTargets, count_input_files
    from fcnlab.services.counting.counters import open_counter
    from fcnlab.services.predict.predicted_files import input_files

    settings = settings_of(ctx)
    counter = open_counter(model, device=settings.device)
    files = input_files([*inputs, *images], max_pixels=settings.max_pixels)
    targets = CountTargets(output, objects, coco, density)
    totals = dict.fromkeys((class_id for class_id, _ in counter.classes[1:]), 0.0)
    started, n_refused = time.monotonic(), 0
    for step in count_input_files(counter, files, targets, max_pixels=settings.max_pixels):
        if step.count is None:
            n_refused += 1
            show_progress("")
            say(f"left out {step.name}: {step.refused}")
            continue
        for one in step.count.counts:
            totals[one.class_id] += one.count
        rate = step.done / max(time.monotonic() - started, 1e-6)
        show_progress(f"{step.done} of {step.total}, {rate:.1f} images per second")
    show_progress("")
    names, seconds = dict(counter.classes), time.monotonic() - started
    counted = ", ".join(f"{total:.1f} {names[class_id]}" for class_id, total in totals.items())
    n_made = len(files) - n_refused
    say(f"{counted} in {n_made} images; {n_made / max(seconds, 1e-6):.1f} images per second; {n_refused} left out")
    ctx.exit(1 if n_refused else 0)


count.add_command(train)
