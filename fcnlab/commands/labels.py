"""`fcnlab labels` and `fcnlab convert`: labels from the files of other tools."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option, say
from fcnlab.commands.output import PREFIX_OPTION, LateChoice
from fcnlab.domain.export import ExportSpec

if TYPE_CHECKING:
    from fcnlab.services.labels.label_import import FoundLabels


def _read_formats() -> tuple[str, ...]:
    from fcnlab.services.labels.label_import import AUTO, label_formats

    return AUTO, *label_formats()


def _converted_formats() -> tuple[str, ...]:
    from fcnlab.services.export.formats import LABELS_ALONE, formats_from

    return tuple(each.name for each in formats_from(LABELS_ALONE))


@click.group()
def labels() -> None:
    """Labels of experts, made with other tools.

    They become masks that models are measured on, and training points drawn from these.
    """


@labels.command("import")
@project_option
@click.option("--format", "-f", "as_format", type=LateChoice(_read_formats), default="auto", show_default=True)
@click.option(
    "--points", "count", type=int, help="Training points from each mask, 0 for none; 100, of many masks fewer."
)
@click.option("--weight", default=1.0, show_default=True, help="Of such a point, next to 1 of a click.")
@click.option("--add-classes", is_flag=True, help="Add classes that the project lacks; else they are left out.")
@click.option("--map", "pairs", multiple=True, metavar="FILE=PROJECT", help="A class by another name; FILE= drops it.")
@click.option("--table", type=click.Path(dir_okay=False, path_type=Path), help="Names of the classes in masks.")
@click.option(
    "--rest",
    type=click.Choice(["auto", "background", "unknown"]),
    default="auto",
    show_default=True,
    help="What pixels outside all shapes are; auto: background, where there is a class for that, else unknown.",
)
@click.option(
    "--strange", type=click.Choice(["refuse", "unknown"]), default="refuse", help="Of colours that no table knows."
)
@click.option("--labeller", default="import", show_default=True, help="Whose labels they are.")
@click.option("--seed", default=0, show_default=True, help="Decides which pixels become points.")
@json_option
@click.argument("path", type=click.Path(path_type=Path))
@click.pass_context
def import_labels(
    ctx: click.Context,
    wanted: str,
    as_format: str,
    count: int | None,
    weight: float,
    add_classes: bool,
    pairs: tuple[str, ...],
    table: Path | None,
    rest: Literal["auto", "background", "unknown"],
    strange: str,
    labeller: str,
    seed: int,
    as_json: bool,
    path: Path,
) -> None:
    """Bring labels of other tools into a project.

    PATH is a label file, a folder, or a zip archive. Labels are matched to images by name.

    What cannot be read, has no image or is of a class that the project lacks is named and left out, or is unknown
    pixels, and the exit code is 1 then. Clicks are never changed.
    """
    from fcnlab.services.labels.label_import import LabelRequest, found_labels

    request = LabelRequest(
        as_format=as_format,
        points_per_image=count,
        weight=weight,
        add_classes=add_classes,
        mapping=_mapping(pairs),
        rest=rest,
        strange="unknown" if strange == "unknown" else "refuse",
        table=table,
        labeller=labeller,
        seed=seed,
    )
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        with found_labels(lab, path, project_id=project.id, request=request, allow_anywhere=True) as incoming:
            values = _imported(incoming)
    lines = [
        f"{values['stored']} masks into {project.name!r}, {values['replaced']} replaced, {values['known']} known "
        f"already, {len(values['left_out'])} left out; {values['points']} points"
    ]
    print_result({"project": project.id, **values}, lines, as_json=as_json)
    ctx.exit(1 if values["left_out"] or values["left_out_classes"] or values["notes"] else 0)


def _imported(incoming: FoundLabels) -> dict[str, Any]:
    """Import, telling what happens; the numbers."""
    for line in (incoming.words, *incoming.notes):
        say(line)
    counts: Counter[str] = Counter()
    left_out = [{"name": refusal.name, "reason": refusal.reason} for refusal in incoming.left_out]
    notes: list[dict[str, str]] = []
    without: list[str] = []
    n_points = 0
    for step in incoming.steps:
        counts[step.outcome.value] += 1
        n_points += step.n_points
        without += step.left_out_classes
        notes += [{"name": step.name, "note": line} for line in step.notes]
        if step.reason:
            left_out.append({"name": step.name, "reason": step.reason})
        if sys.stderr.isatty():
            click.echo(f"\r{step.done}/{step.total or '?'} {step.name}\033[K", nl=False, err=True)
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    say_left_out(left_out, notes)
    if incoming.share().words:
        say(f"{incoming.share().words} (--points overrides)")
    reasons = {class_match.named.name: class_match.reason for class_match in incoming.classes}
    for name in without:
        say(f"Pixels of class {name!r} are left out: {reasons[name]} (see --map and --add-classes)")
    return {
        "format": incoming.format,
        **{name: counts[name] for name in ("stored", "replaced", "known")},
        "points": n_points,
        "points_per_image": incoming.share().per_image,
        "left_out": left_out,
        "notes": notes,
        "left_out_classes": without,
    }


def say_left_out(left_out: Sequence[Mapping[str, str]], notes: Sequence[Mapping[str, str]]) -> None:
    """Name what could not be read: images, and marks that are unknown pixels or were dropped."""
    for refusal in left_out:
        say(f"Left out {refusal['name']}: {refusal['reason']}")
    for note in notes:
        say(f"{note['name']}: {note['note']}")


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        name, sign, target = pair.partition("=")
        if not sign or not name.strip():
            raise click.BadParameter(f"{pair!r} is not of the form FILE=PROJECT", param_hint="--map")
        mapping[name.strip()] = target.strip()
    return mapping


@labels.command("list")
@project_option
@click.option("--masks", "each", is_flag=True, help="Every mask, with its number.")
@json_option
@click.pass_context
def list_labels(ctx: click.Context, wanted: str, each: bool, as_json: bool) -> None:
    """Where the labels of experts in a project came from."""
    from fcnlab.services.labels.expert_masks import counted_by_source, expert_masks

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        sources = counted_by_source(lab, project_id=project.id)
        masks = expert_masks(lab, project_id=project.id) if each else ()
    lines = [f"{source}: {count} images, {n_points} points" for source, count, n_points in sources]
    lines += [f"{mask.id:>6}  image {mask.image_id}, {mask.source}, {mask.n_points} points" for mask in masks]
    values = {
        "sources": [{"source": source, "images": count, "points": points} for source, count, points in sources],
        "masks": [{"id": mask.id, "image": mask.image_id, "source": mask.source, "file": mask.file} for mask in masks],
    }
    print_result(
        values, lines or ["No labels of experts yet: fcnlab labels import --project NAME PATH"], as_json=as_json
    )


@labels.command("take")
@project_option
@click.option("--labeller", default="import", show_default=True, help="Who takes them over.")
@json_option
@click.pass_context
def take_labels(ctx: click.Context, wanted: str, labeller: str, as_json: bool) -> None:
    """Use imported masks as they are, and mark their images done.

    Images that are done already stay as they are. Pixels that an import left unknown get what is predicted. To take a
    mask back, reopen its image on the Label page and remove all points and strokes of it.
    """
    from fcnlab.services.labels.taking import take_masks

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        steps = list(take_masks(lab, project_id=project.id, labeller=labeller))
    refused = [{"name": step.name, "reason": step.refused} for step in steps if step.refused is not None]
    for refusal in refused:
        say(f"Left out {refusal['name']}: {refusal['reason']}")
    n_taken = len(steps) - len(refused)
    line = f"{n_taken} imported {'mask' if n_taken == 1 else 'masks'} taken, and the images marked done"
    lines = [line] if steps else ["no image with an imported mask is waiting: see `fcnlab labels list`"]
    print_result({"project": project.id, "taken": n_taken, "left_out": refused}, lines, as_json=as_json)
    ctx.exit(1 if refused else 0)


@labels.command("remove")
@project_option
@json_option
@click.argument("what")
@click.pass_context
def remove_labels(ctx: click.Context, wanted: str, as_json: bool, what: str) -> None:
    """Take away labels of experts with the points they gave.

    WHAT is a source, as `labels list` names it, or the number of one mask. Nothing is deleted from the disk.
    """
    from fcnlab.services.labels.expert_masks import expert_masks, remove_mask, remove_source

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        mask_ids = {str(mask.id) for mask in expert_masks(lab, project_id=project.id)}
        if what in mask_ids:
            remove_mask(lab, mask_id=int(what))
            count = 1
        else:
            count = remove_source(lab, project_id=project.id, source=what)
    print_result({"project": project.id, "removed": count}, [f"{count} removed from {project.name!r}"], as_json=as_json)


@click.command()
@click.option("--from", "as_format", type=LateChoice(_read_formats), default="auto", show_default=True)
@click.option(
    "--to",
    "formats",
    multiple=True,
    required=True,
    type=LateChoice(_converted_formats),
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
    spec = ExportSpec(formats, instances=instances, image_prefix=image_prefix)
    count, n_unknown, n_lacking = 0, 0, 0
    with conversion(source, request=request, spec=spec, to=output, pictures=images) as converted:
        left_out = [{"name": refusal.name, "reason": refusal.reason} for refusal in converted.left_out]
        notes: list[dict[str, str]] = []
        for line in converted.notes:
            say(line)
        for step in converted.steps:
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
    print_result(values, [f"{count} images in {output}, {len(left_out)} left out"], as_json=as_json)
    ctx.exit(1 if left_out or notes else 0)


def _say_hints(spec: ExportSpec, n_unknown: int, n_lacking: int) -> None:
    """What people should know about the files that were written."""
    from fcnlab.services.export.formats import folders_of_images

    if n_unknown:
        say(f"{n_unknown} masks have pixels about which nothing is said; formats of shapes leave these out")
    for name, folder in folders_of_images(spec).items():
        say(f"{name} has labels alone: to train on them, put the images into {folder}, beside the labels")
    if n_lacking:
        say(
            f"{n_lacking} images are named without an ending such as .png, which the labels do not say, and readers "
            "will not find them: name the folder of images (--images)"
        )
