"""`fcnlab export`."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from fcnlab.commands.common import found_project, json_option, learner_of, opened, print_result, project_option, say
from fcnlab.commands.tags.choosing import chosen_by_tag, tag_option
from fcnlab.domain.export import (
    DEFAULT_FORMATS,
    EMBEDDED,
    LOCAL_FILES,
    MOST_BORDER,
    SPLIT_BY,
    ExportSpec,
    SplitBy,
    SplitSpec,
)
from fcnlab.errors import ExportFailed

if TYPE_CHECKING:
    from fcnlab.domain.project import ClassLabel
    from fcnlab.services.live.fitting import ProjectLearner

Result = TypeVar("Result")
Command = TypeVar("Command", bound=Callable[..., Any])


class LateChoice(click.Choice[str]):
    """A choice whose words are asked for when they are needed, since what knows them takes long to import."""

    def __init__(self, words: Callable[[], tuple[str, ...]]) -> None:
        super().__init__(())
        self._words = words

    @property
    def choices(self) -> tuple[str, ...]:
        """The words there are."""
        return self._words()

    @choices.setter
    def choices(self, _: tuple[str, ...]) -> None: ...


def _written_formats() -> tuple[str, ...]:
    from fcnlab.services.export.formats import formats_from

    return tuple(each.name for each in formats_from())


PREFIX_OPTION = click.option(
    "--image-prefix",
    metavar="TEXT",
    default=LOCAL_FILES,
    show_default=True,
    help=f"Label Studio: what addresses of images begin with; '{EMBEDDED}' puts the images into the tasks.",
)


def shape_options(command: Command) -> Command:
    """The options that say which classes and regions are written; `shapes_of` reads them."""
    for option in (
        PREFIX_OPTION,
        click.option("--border", default=0, type=click.IntRange(0, MOST_BORDER), help="Pascal VOC: 255 along edges."),
        click.option("--fill-holes", is_flag=True, help="Fill background that a part of a class encloses."),
        click.option(
            "--min-size",
            default=0,
            type=click.IntRange(0),
            help="Smaller parts become background, or 255 without one (pixels).",
        ),
        click.option("--instances", is_flag=True, help="A region per connected part, not per class."),
        click.option(
            "--classes", help="Names or ids, commas between; the others become background, or 255 without one."
        ),
    ):
        command = option(command)
    return command


@click.command()
@project_option
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="A .zip file, or a folder.")
@click.option(
    "--format",
    "-f",
    "formats",
    multiple=True,
    type=LateChoice(_written_formats),
    default=DEFAULT_FORMATS,
    show_default=True,
    help="Several may be given.",
)
@click.option("--done", "--done-only", "done_only", is_flag=True, help="Only images that somebody marked done.")
@click.option("--with-points", is_flag=True, help="Only images with points.")
@tag_option
@shape_options
@click.option("--split", metavar="SHARES", help="Into train, val and test: 0.7,0.2,0.1 or 70,20,10; 0.8,0.2 makes two.")
@click.option("--seed", default=0, show_default=True, help="Of the split.")
@click.option(
    "--split-by",
    default=SPLIT_BY[0],
    show_default=True,
    type=click.Choice(SPLIT_BY),
    help="What stays together: images that look alike, those of a folder, or nothing.",
)
@json_option
@click.pass_context
def export(
    ctx: click.Context,
    /,
    wanted: str,
    output: Path,
    formats: tuple[str, ...],
    done_only: bool,
    with_points: bool,
    tag_texts: tuple[str, ...],
    split: str | None,
    seed: int,
    split_by: str,
    as_json: bool,
    **shapes: Any,
) -> None:
    """Write masks, shapes and points to a zip file or a folder.

    A manifest says how each mask was made. A zip file that is there already is replaced, whole, at the end. A folder is
    new or empty: one with a finished export is refused, one in which the same export was interrupted goes on.

    Of done images the kept masks are written, of others predicted ones. An image whose mask cannot be made is named and
    left out, and the exit code is 1 then.
    """
    from fcnlab.services.export.exporting import export_project

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        spec = ExportSpec(
            formats,
            done_only=done_only,
            with_points=with_points,
            image_ids=chosen_by_tag(lab, project, tag_texts),
            split=None if split is None else SplitSpec(_shares(split), seed=seed, by=cast(SplitBy, split_by)),
            **shapes_of(project.classes, **shapes),
        )
        with learner_of(lab, project) as learner, interruptions_explained(output):

            def run(work: Callable[[ProjectLearner], Result], /) -> Result:
                return work(learner)

            for step in export_project(lab, run, project_id=project.id, spec=spec, to=output):
                show_progress(f"{step.phase} {step.done}/{step.total}")
            show_progress("")
    for name, reason in step.left_out:
        say(f"Left out {name}: {reason}")
    values = {
        "file": str(output),
        "stored": step.n_stored,
        "predicted": step.n_predicted,
        "resumed": step.n_resumed,
        "left_out": [{"image": name, "reason": reason} for name, reason in step.left_out],
    }
    say_what_training_lacks(spec)
    lines = [f"{output}: {step.n_stored} kept masks of done images, {step.n_predicted} predicted"]
    if step.n_resumed:
        lines.append(f"{step.n_resumed} images were finished before an interruption")
    print_result(values, lines, as_json=as_json)
    ctx.exit(1 if step.left_out else 0)


@contextmanager
def interruptions_explained(output: Path) -> Iterator[None]:
    """Say what becomes of an export that somebody stops."""
    try:
        yield
    except KeyboardInterrupt:
        show_progress("")
        if output.suffix.lower() == ".zip":
            say("Stopped: no zip file was written; an export into a folder could go on")
        else:
            say(f"Stopped: the same command goes on in {output}")
        raise


def say_what_training_lacks(spec: ExportSpec) -> None:
    """A hint when labels are written without the images that are trained on."""
    from fcnlab.services.export.formats import folders_of_images

    for name in folders_of_images(spec):
        say(f"{name} has labels alone: to train on them, add --format images, which puts the images beside them")


def shapes_of(labels: tuple[ClassLabel, ...], *, classes: str | None, min_size: int, **rest: Any) -> dict[str, Any]:
    """What `shape_options` say, as fields of an ExportSpec. Raises ExportFailed: a class that there is not."""
    ids = None if classes is None else tuple(_class_id(word.strip(), labels) for word in classes.split(","))
    return {"class_ids": ids, "min_area": min_size, **rest}


def show_progress(line: str) -> None:
    """One line that replaces the last, where somebody watches; an empty one clears it."""
    if sys.stderr.isatty():
        click.echo(f"\r{line}\033[K", nl=False, err=True)


def _class_id(word: str, labels: tuple[ClassLabel, ...]) -> int:
    for label in labels:
        if word == label.name:
            return label.id
    for label in labels:
        if word == str(label.id):
            return label.id
    classes = ", ".join(f"{label.name} ({label.id})" for label in labels)
    raise ExportFailed(f"there is no class {word!r}; known are {classes}")


def _shares(text: str) -> tuple[float, float, float]:
    """Shares of train, val and test: two or three numbers that sum to 1, or to 100."""
    try:
        train, val, *rest = (float(part) for part in text.split(","))
        (test,) = rest or (0.0,)
    except ValueError as failure:
        raise ExportFailed(
            f"a split wants two or three shares such as 0.8,0.2 or 70,20,10 (train, val, test); got {text!r}"
        ) from failure
    whole = 100 if math.isclose(train + val + test, 100) else 1
    return train / whole, val / whole, test / whole
