"""`fcnlab tags suggest` and `score`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option, say
from fcnlab.commands.tags.common import in_columns, seen_images

if TYPE_CHECKING:
    from fcnlab.core.tagging.scores import Interval
    from fcnlab.services.tags.scoring import ScoredTags

NOTHING_LEARNED = (
    "Nothing can be suggested yet: say of some images that they contain a class, and of some that they do not"
)


@click.command()
@project_option
@click.option("--count", "-n", default=20, show_default=True, type=click.IntRange(1), help="Images that are told.")
@json_option
@click.pass_context
def suggest(ctx: click.Context, wanted: str, count: int, as_json: bool) -> None:
    """Predict the tags nobody answered, and say which image to answer next.

    Every image is looked at once, which takes as long as opening it; then this is a matter of a moment.
    """
    from fcnlab.services.tags.reading import tags_of
    from fcnlab.services.tags.suggestions import most_doubtful_image
    from fcnlab.services.tags.suggestions import suggest as suggested

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        seen = seen_images(lab, project)
        tags = tags_of(lab, project_id=project.id)
    suggestions = suggested(tags, seen.features, left_out=seen.left_out)
    names = {image.id: image.name for image in tags.images}
    label_names = {label.id: label.name for label in tags.classes}
    for image_id, reason in seen.left_out.items():
        say(f"Left out {names[image_id]}: {reason}")
    next_id = most_doubtful_image(tags, suggestions)
    probabilities = {
        image_id: {
            label_names[class_id]: round(value, 4)
            for class_id, value in suggestions.of_image(image_id).items()
            if tags.state(image_id, class_id).answer is None
        }
        for image_id in suggestions.image_ids
    }
    values = {
        "classes": [label_names[class_id] for class_id in suggestions.class_ids],
        "next": None if next_id is None else names[next_id],
        "images": [{"image": names[image_id], "probabilities": said} for image_id, said in probabilities.items()],
        "left_out": {names[image_id]: reason for image_id, reason in seen.left_out.items()},
    }
    learned = [label_names[class_id] for class_id in suggestions.class_ids]
    open_images = [image_id for image_id, said in probabilities.items() if said]
    lines = [NOTHING_LEARNED]
    if learned:
        rows = [("image", *learned)]
        for image_id in open_images[:count]:
            said = probabilities[image_id]
            rows.append((names[image_id], *(f"{said[name]:.2f}" if name in said else "" for name in learned)))
        lines = in_columns(rows)
        lines += [f"and {len(open_images) - count} more images: see --count"] if len(open_images) > count else []
    lines.append("All tags are known" if next_id is None else f"Answer next: {names[next_id]}")
    print_result(values, lines, as_json=as_json)


@click.command()
@project_option
@click.option("--level", default=0.9, show_default=True, help="How often intervals hold the score, 0 to 1.")
@json_option
@click.pass_context
def score(ctx: click.Context, wanted: str, level: float, as_json: bool) -> None:
    """Say how good suggestions are, by predicting images that were answered from the others.

    Images that look alike are predicted together. Average precision says how well a class sorts images: 1 where all
    that have it come first, and the share of images with it where the order is chance.
    """
    from fcnlab.services.tags.reading import tags_of
    from fcnlab.services.tags.scoring import score_tags, scored_values

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        seen = seen_images(lab, project)
        scored = score_tags(lab, tags_of(lab, project_id=project.id), seen.features, level=level)
    print_result(scored_values(scored), _score_lines(scored), as_json=as_json)


def _score_lines(scored: ScoredTags) -> list[str]:
    scores = scored.scores
    rows = [("class", "yes", "no", "average precision", "F1 at 0.5")]
    for label, tag in zip(scored.classes, scores.tags, strict=True):
        rows.append((label.name, str(tag.n_yes), str(tag.n_no), _words(tag.average_precision), _words(tag.f1)))
    rows.append(("mean", "", "", _words(scores.mean_average_precision), _words(scores.macro_f1)))
    error = "" if scores.calibration_error is None else f", probabilities are off by {scores.calibration_error:.2f}"
    head = f"{scores.n_images} images, {100 * scores.level:g} % intervals{error}"
    return [head, *in_columns(rows), *([scores.why_missing] if scores.why_missing else [])]


def _words(interval: Interval | None) -> str:
    return "" if interval is None else f"{interval.value:.2f} ({interval.low:.2f} to {interval.high:.2f})"
