"""`fcnlab convert`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from fcnlab.commands.common import answer, json_option, say
from fcnlab.commands.labels import FORMATS, say_left_out
from fcnlab.commands.output import PREFIX_OPTION
from fcnlab.domain.export import CONVERTED, ExportFormat, ExportSpec


@click.command()
@click.option("--from", "as_format", type=click.Choice(FORMATS), default="auto", show_default=True)
@click.option(
    "--to",
    "formats",
    multiple=True,
    required=True,
    type=click.Choice([one.value for one in CONVERTED]),
    help="Several may be given.",
)
@click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    help="The images, for labels that lack sizes or endings.",
)
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), help="Names of the classes in masks.")
@click.option(
    "--rest",
    type=click.Choice(["auto", "background", "unknown"]),
    default="auto",
    show_default=True,
    help="What pixels outside all shapes are; auto: background, where there is a class for that, else unknown.",
)
@click.option("--instances", is_flag=True, help="A region per connected part, not per class.")
@PREFIX_OPTION
@json_option
@click.argument("source", metavar="INPUT", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.pass_context
def convert(
    ctx: click.Context,
    as_format: str,
    formats: tuple[str, ...],
    images: Path | None,
    table: Path | None,
    rest: Literal["auto", "background", "unknown"],
    instances: bool,
    image_prefix: str,
    as_json: bool,
    source: Path,
    output: Path,
) -> None:
    """Write labels of one format in others, without a project.

    INPUT is a label file, a folder or a zip archive. OUTPUT is a .zip file, which is replaced whole, or a folder, in
    which files of the same names are replaced.

    What cannot be read is named and left out, or is unknown pixels, and the exit code is 1 then.
    """
    from fcnlab.services.labels.converting import conversion
    from fcnlab.services.labels.label_import import LabelRequest

    request = LabelRequest(as_format=as_format, table=table, rest=rest)
    wanted = tuple(one for one in ExportFormat if one.value in formats)
    spec = ExportSpec(wanted, instances=instances, image_prefix=image_prefix)
    count, n_unknown, n_lacking = 0, 0, 0
    with conversion(source, request=request, spec=spec, to=output, pictures=images) as found:
        left_out = [{"name": one.name, "reason": one.reason} for one in found.left_out]
        notes: list[dict[str, str]] = []
        for line in found.notes:
            say(line)
        for step in found.steps:
            notes += [{"name": step.name, "note": line} for line in step.notes]
            if step.reason:
                left_out.append({"name": step.name, "reason": step.reason})
            elif step.name:
                count += 1
                n_unknown += step.has_unknown
                n_lacking += step.lacks_ending
            if sys.stderr.isatty():
                click.echo(f"\r{step.done}/{step.total or '?'} {step.name}\033[K", nl=False, err=True)
        if sys.stderr.isatty():
            click.echo("\r\033[K", nl=False, err=True)
    say_left_out(left_out, notes)
    _say_hints(spec, n_unknown, n_lacking)
    values = {
        "output": str(output),
        "images": count,
        "left_out": left_out,
        "notes": notes,
        "with_unknown": n_unknown,
        "without_ending": n_lacking,
    }
    answer(values, [f"{count} images in {output}, {len(left_out)} left out"], as_json=as_json)
    ctx.exit(1 if left_out or notes else 0)


def _say_hints(spec: ExportSpec, n_unknown: int, n_lacking: int) -> None:
    """What people should know about the files that were written."""
    if n_unknown:
        say(f"{n_unknown} masks have pixels about which nothing is said; formats of shapes leave these out")
    if ExportFormat.YOLO in spec.formats:
        say("yolo has labels alone: to train on them, put the images into yolo/images, beside yolo/labels")
    if n_lacking:
        say(
            f"{n_lacking} images are named without an ending such as .png, which the labels do not say, and readers "
            "will not find them: name the folder of images (--images)"
        )
