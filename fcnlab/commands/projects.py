"""`fcnlab projects`, `fcnlab import`, `fcnlab demo` and `fcnlab stats`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fcnlab.commands.common import Command, found_project, json_option, opened, print_result, project_option, say
from fcnlab.errors import FcnlabError, InvalidSetting, UnknownProject

if TYPE_CHECKING:
    from fcnlab.domain.project import Project
    from fcnlab.lab import Lab
    from fcnlab.services.images.importing import ImportProgress


@click.command()
@project_option
@click.option("--csv", "table", type=click.Path(dir_okay=False, path_type=Path), help="Also a table, a line per image.")
@json_option
@click.pass_context
def stats(ctx: click.Context, wanted: str, table: Path | None, as_json: bool) -> None:
    """What was labelled in a project: images, points, labellers, and how much of the done images each class covers."""
    from fcnlab.services.projects.projects import dashboard
    from fcnlab.services.projects.statistics import image_statistics, write_statistics

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        summary = dashboard(lab, project_id=project.id)
        rows = list(image_statistics(lab, project_id=project.id))
        if table is not None:
            write_statistics(table, rows, project.classes)
    pixels = {label.id: sum(row.pixels.get(label.id, 0) for row in rows) for label in project.classes}
    total = sum(pixels.values())
    classes = [
        {
            "id": label.id,
            "name": label.name,
            "points": summary.points_by_class.get(label.id, 0),
            "images": sum(label.id in row.points for row in rows),
            "pixels": pixels[label.id],
            "share": pixels[label.id] / total if total else None,
        }
        for label in project.classes
    ]
    values = {
        "project": project.id,
        "images": {state.value: count for state, count in summary.images.items()},
        "points": summary.n_points,
        "sources": {source.value: count for source, count in summary.points_by_source.items() if count},
        "labellers": summary.points_by_labeller,
        "classes": classes,
    }
    states = ", ".join(f"{count} {state.value.replace('_', ' ')}" for state, count in summary.images.items())
    lines = [f"{project.name}: {summary.n_images} images ({states}), {summary.n_points} points"]
    for class_row in classes:
        share = "" if class_row["share"] is None else f", {class_row['share']:.1%} of the done images"
        lines.append(f"  {class_row['name']}: {class_row['points']} points in {class_row['images']} images{share}")
    lines += [f"  by {name}: {count} points" for name, count in summary.points_by_labeller.items()]
    print_result(values, lines, as_json=as_json)


NAMED_MOST = 50
"""Files set aside that are named one by one: a folder of labels may have a hundred thousand."""


@click.group()
def projects() -> None:
    """Look at projects, make one, say what is its background and how it learns."""


@projects.command("list")
@json_option
@click.pass_context
def list_projects(ctx: click.Context, as_json: bool) -> None:
    """All projects with their images, points and classes."""
    from fcnlab.domain.images import ImageState
    from fcnlab.services.projects.projects import dashboard
    from fcnlab.services.projects.projects import projects as all_projects

    rows = []
    with opened(ctx) as lab:
        for project in all_projects(lab, include_archived=True):
            summary = dashboard(lab, project_id=project.id)
            rows.append(
                {
                    "id": project.id,
                    "name": project.name,
                    "task": project.task.value,
                    "archived": project.archived,
                    "images": summary.n_images,
                    "done": summary.images[ImageState.DONE],
                    "points": summary.n_points,
                    "background": project.background,
                    "classes": [{"id": label.id, "name": label.name} for label in project.classes],
                }
            )
    lines = [
        f"{row['id']:>4}  {row['name']}{_kind(row)}: {row['images']} images, {row['done']} done, {row['points']} points"
        for row in rows
    ]
    print_result(rows, lines or ["No projects yet: fcnlab import --project NAME FILES"], as_json=as_json)


def _kind(row: Mapping[str, object]) -> str:
    words = [word for word, is_so in (("counts", row["task"] == "counts"), ("archived", row["archived"])) if is_so]
    return f" ({', '.join(words)})" if words else ""


def new_project_options(command: Command) -> Command:
    """The options that say what a new project is like."""
    for option in (
        click.option(
            "--counts",
            "is_counting",
            is_flag=True,
            help="Make a new project one that counts objects, in place of masks.",
        ),
        click.option("--object-mode/--no-object-mode", default=False, help="Of a new project."),
        click.option(
            "--background",
            help="Which class of a new project is no object, or 'none'; without it, one that is called background, or "
            "in a like way.",
        ),
        click.option("--classes", help="Names for a new project: background,nucleus,membrane."),
    ):
        command = option(command)
    return command


@projects.command("create")
@new_project_options
@json_option
@click.argument("name")
@click.pass_context
def new_project(
    ctx: click.Context,
    name: str,
    classes: str | None,
    background: str | None,
    object_mode: bool,
    is_counting: bool,
    as_json: bool,
) -> None:
    """Make a project called NAME, without images."""
    with opened(ctx) as lab:
        project = _made(lab, name, classes, background, object_mode=object_mode, is_counting=is_counting)
    _say_background(project, as_json=as_json)


@projects.command("background")
@project_option
@json_option
@click.argument("name", required=False)
@click.pass_context
def project_background(ctx: click.Context, wanted: str, name: str | None, as_json: bool) -> None:
    """Which class is no object; NAME makes another class that, with 'none' no class is background.

    The background is not tinted, and formats of shapes leave it out. A project that counts always has one.
    """
    from fcnlab.services.projects.projects import class_named, set_background

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        if name is not None:
            class_id = class_named(project.classes, name)
            project = set_background(lab, project_id=project.id, class_id=class_id)
    _say_background(project, as_json=as_json)


@projects.command("grades")
@project_option
@click.option("--none", "takes_away", is_flag=True, help="No class has an order any more.")
@click.option("--keep-colours", is_flag=True, help="Do not give the grades colours from dark to light.")
@json_option
@click.argument("names", nargs=-1)
@click.pass_context
def project_grades(
    ctx: click.Context, wanted: str, names: tuple[str, ...], takes_away: bool, keep_colours: bool, as_json: bool
) -> None:
    """Which classes are grades of one thing; NAMES make them so, the lowest first.

    The learner then knows their order, and scores count how many grades a pixel is off. Points and masks stay.
    """
    from fcnlab.services.projects.grades import grades_of, named_grades, set_grades

    if takes_away and names:
        raise click.UsageError("name grades or give --none, not both")
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        if names or takes_away:
            class_ids = named_grades(project.classes, names)
            project = set_grades(lab, project_id=project.id, class_ids=class_ids, recolour=not keep_colours)
    grades = [label.name for label in grades_of(project)]
    line = f"{project.name!r}: " + ("grades " + " < ".join(grades) if grades else "no class has an order")
    print_result({"project": project.id, "name": project.name, "grades": grades}, [line], as_json=as_json)


def _say_background(project: Project, *, as_json: bool) -> None:
    background = next((label.name for label in project.classes if label.id == project.background), None)
    values = {"project": project.id, "name": project.name, "background": background}
    classes = ", ".join(label.name for label in project.classes)
    line = f"{project.name!r}: classes {classes}; " + (
        f"{background} is the background" if background else "no background"
    )
    print_result(values, [line], as_json=as_json)


@projects.command("imaging")
@project_option
@click.option("--channels", help="Three for red, green and blue, or one for grey, counted from 1: 3,2,1.")
@click.option("--limits", help="Values that become black and white, for all or each: 0:4000 or 0:4000,auto,5:90.")
@click.option("--reset", is_flag=True, help="Take images as they come.")
@json_option
@click.pass_context
def project_imaging(
    ctx: click.Context, wanted: str, channels: str | None, limits: str | None, reset: bool, as_json: bool
) -> None:
    """How the channels of images are shown; without options, what is set.

    A change prepares all images anew. Points stay, and so do the masks of done images. An image that lacks
    a channel is shown by its first ones; channels that no image has are refused.
    """
    from fcnlab.services.images.imaging import imaging_text, parse_imaging, set_imaging
    from fcnlab.services.projects.projects import project as project_of

    refused, fits = [], []
    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        old_channels, old_limits = ("", "") if reset else imaging_text(project.imaging)
        chosen = parse_imaging(old_channels if channels is None else channels, old_limits if limits is None else limits)
        for step in set_imaging(lab, project_id=project.id, imaging=chosen):
            if step.refused:
                refused.append({"name": step.name, "reason": step.refused})
            else:
                fits.append(step.fits)
        project = project_of(lab, project_id=project.id)
    for refusal in refused:
        say(f"Left as it was {refusal['name']}: {refusal['reason']}")
    shown, limited = (text or "as they come" for text in imaging_text(project.imaging))
    values = {
        "project": project.id,
        **project.imaging.to_dict(),
        "images": len(fits),
        "fitting": sum(fits),
        "refused": refused,
    }
    lines = [f"{project.name!r}: channels {shown}; limits {limited}"]
    if fits and project.imaging.channels:
        rest = "" if all(fits) else "; the others are shown by their first ones"
        lines.append(f"{sum(fits)} of {len(fits)} images have these channels{rest}")
    print_result(values, lines, as_json=as_json)
    ctx.exit(1 if refused else 0)


@click.command("import")
@project_option
@new_project_options
@click.option("--with-masks", is_flag=True, help="Take plant_mask.png beside plant.jpg for an image like others.")
@json_option
@click.argument("sources", nargs=-1, required=True)
@click.pass_context
def import_images(
    ctx: click.Context,
    wanted: str,
    classes: str | None,
    background: str | None,
    object_mode: bool,
    is_counting: bool,
    with_masks: bool,
    as_json: bool,
    sources: tuple[str, ...],
) -> None:
    """Bring images into a project.

    SOURCES are image files, folders and zip archives with all images in them, patterns like 'photos/**/*.tif', and
    addresses like https://... where FCNLAB_IMPORT_SCHEMES allows them. A missing project is made.

    What cannot be read is named and left out, and the exit code is 1 then. Files of other kinds, and masks of images
    beside them, are named and set aside, which is no failure.
    """
    numbers = {"imported": 0, "known": 0}
    refused: list[dict[str, str]] = []
    set_aside: list[dict[str, str]] = []
    with opened(ctx) as lab:
        project = _project(lab, wanted, classes, background, object_mode=object_mode, is_counting=is_counting)
        for step in _steps(lab, sources, project.id, with_masks=with_masks):
            if isinstance(step, tuple):
                refused.append({"name": step[0], "reason": step[1]})
            elif step.refused is not None:
                (set_aside if step.is_set_aside else refused).append({"name": step.name, "reason": step.refused})
            else:
                numbers["known" if step.duplicate else "imported"] += 1
    for refusal in refused:
        say(f"Left out {refusal['name']}: {refusal['reason']}")
    for refusal in set_aside[:NAMED_MOST]:
        say(f"Set aside {refusal['name']}: {refusal['reason']}")
    if len(set_aside) > NAMED_MOST:
        say(f"Set aside {len(set_aside) - NAMED_MOST} more files; --json names them all")
    values = {"project": project.id, **numbers, "refused": refused, "set_aside": set_aside}
    already = f"{numbers['known']} known already, {len(refused)} left out"
    already += f", {len(set_aside)} set aside" if set_aside else ""
    line = f"{numbers['imported']} imported into {project.name!r}, {already}"
    print_result(values, [line], as_json=as_json)
    ctx.exit(1 if refused else 0)


def _made(
    lab: Lab, name: str, classes: str | None, background: str | None, *, object_mode: bool, is_counting: bool
) -> Project:
    from fcnlab.domain.counting import Task
    from fcnlab.domain.project import LearnerSpec
    from fcnlab.services.projects.projects import DEFAULT_CLASSES, class_named, create_project, labels_of

    labels = labels_of(classes.split(",") if classes else DEFAULT_CLASSES)
    return create_project(
        lab,
        name=name,
        labels=labels,
        learner=LearnerSpec(object_mode=object_mode),
        task=Task.COUNTS if is_counting else Task.MASKS,
        background="by name" if background is None else class_named(labels, background),
    )


def _project(
    lab: Lab, wanted: str, classes: str | None, background: str | None, *, object_mode: bool, is_counting: bool
) -> Project:
    from fcnlab.domain.counting import Task
    from fcnlab.services.projects.projects import class_named

    try:
        project = found_project(lab, wanted)
    except UnknownProject:
        return _made(lab, wanted, classes, background, object_mode=object_mode, is_counting=is_counting)
    if background is not None and class_named(project.classes, background) != project.background:
        raise UnknownProject(
            f"project {wanted!r} has another background: leave out --background, or change it by "
            "`fcnlab projects background`"
        )
    if is_counting and project.task is not Task.COUNTS:
        raise InvalidSetting(f"project {wanted!r} makes masks; leave out --counts or name another project")
    if classes and [name.strip() for name in classes.split(",")] != [label.name for label in project.classes]:
        names = ",".join(label.name for label in project.classes)
        raise InvalidSetting(f"project {wanted!r} has the classes {names}; leave out --classes or name another project")
    return project


def _steps(
    lab: Lab, sources: tuple[str, ...], project_id: int, *, with_masks: bool
) -> Iterator[ImportProgress | tuple[str, str]]:
    """Each image on its way; a source that cannot be followed, with the reason."""
    from fcnlab.services.images.import_sources import import_named

    for source in sources:
        try:
            yield from import_named(lab, source, project_id=project_id, with_masks=with_masks)
        except FcnlabError as refusal:
            yield source, str(refusal)


@click.command()
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="A folder, new or empty.")
@json_option
def demo(output: Path, as_json: bool) -> None:
    """Write the images of the demo projects as files, to try things out with.

    Cells and colonies are PNG files, land is GeoTIFF. Beside each folder of images lies one with their labels:
    masks of class ids, or tables of centres. They are drawn by the program, which knows every pixel of them.
    """
    from fcnlab.services.projects.demo_files import write_demo_files

    written = [{"folder": str(folder), "files": n} for folder, n in write_demo_files(output)]
    lines = [f"{row['folder']}: {row['files']} files" for row in written]
    print_result(written, lines, as_json=as_json)
