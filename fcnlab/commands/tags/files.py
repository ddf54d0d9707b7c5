"""`fcnlab tags export` and `import`."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option, say
from fcnlab.commands.output import LateChoice
from fcnlab.commands.tags.choosing import chosen_by_tag, tag_option
from fcnlab.commands.tags.common import seen_images
from fcnlab.errors import InvalidTag


def _formats() -> tuple[str, ...]:
    from fcnlab.services.tags.exporting import tag_formats

    return tuple(tag_formats())


@click.command("export")
@project_option
@click.option("--output", "-o", required=True, type=click.Path(path_type=Path), help="A file; yolo: a folder or .zip.")
@click.option("--format", "-f", "format_name", type=LateChoice(_formats), default="csv", show_default=True)
@click.option("--class", "class_names", multiple=True, help="Only this class; may be given several times.")
@click.option("--answered", is_flag=True, help="Only what people said of images, not what labels in them say.")
@click.option("--probabilities", is_flag=True, help="With what is predicted: in csv and coco.")
@tag_option
@json_option
@click.pass_context
def export_tags(
    ctx: click.Context,
    wanted: str,
    output: Path,
    format_name: str,
    class_names: tuple[str, ...],
    answered: bool,
    probabilities: bool,
    tag_texts: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write the tags of images: as a table, as COCO JSON, or as text files with numbers of classes.

    A file of the same name is replaced, whole; a folder is new or empty. yolo cannot say unknown: an image of which any
    class is unknown is left out of it, and named.
    """
    from fcnlab.services.tags.choosing import class_named
    from fcnlab.services.tags.exporting import tag_files, write_tag_files
    from fcnlab.services.tags.reading import tags_of
    from fcnlab.services.tags.suggestions import suggest

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        chosen = chosen_by_tag(lab, project, tag_texts)
        seen = seen_images(lab, project) if probabilities else None
        tags = tags_of(lab, project_id=project.id)
        suggestions = None if seen is None else suggest(tags, seen.features, left_out=seen.left_out)
        class_ids = [class_named(name, project.classes).id for name in class_names] or None
        written = tag_files(
            tags,
            format_name=format_name,
            class_ids=class_ids,
            image_ids=chosen,
            answered_only=answered,
            suggestions=suggestions,
        )
        write_tag_files(written, output)
    for name in written.left_out:
        say(f"Left out {name}: of some class it is unknown whether it is there")
    values = {"file": str(output), "images": written.n_images, "left_out": list(written.left_out)}
    print_result(values, [f"{output}: tags of {written.n_images} images"], as_json=as_json)


@click.command("import")
@project_option
@click.option("--labeller", default="import", show_default=True, help="Whose answers they are.")
@click.option("--overwrite", is_flag=True, help="Answers of the table take the place of other ones that are stored.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and what is wrong; store nothing.")
@json_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def import_table(
    ctx: click.Context, wanted: str, labeller: str, overwrite: bool, dry_run: bool, as_json: bool, file: Path
) -> None:
    """Store the answers of a table: all of them, or none when a line is wrong or an answer would be overwritten.

    FILE is CSV in UTF-8 with the column image and one for each class, called by its name. Cells hold yes or no, 1 or 0,
    true or false; an empty one leaves the tag as it is.
    """
    from fcnlab.services.tags.importing import import_tags, plan_import

    with opened(ctx) as lab:
        project_id = found_project(lab, wanted).id
        if dry_run:
            plan = plan_import(lab, file, project_id=project_id)
        else:
            plan = import_tags(lab, file, project_id=project_id, labeller=labeller, overwrite=overwrite)
    values = {
        "changed": len(plan.changes),
        "new": plan.n_new,
        "same": plan.n_same,
        "empty": plan.n_empty,
        "overwritten": [each.in_words() for each in plan.contradicting],
        "against_labels": [each.in_words() for each in plan.against_labels],
        "problems": list(plan.problems),
        "dry_run": dry_run,
    }
    verb = "would be stored" if dry_run else "stored"
    lines = [f"{plan.n_new} new answers {verb}, {plan.n_same} known already, {plan.n_empty} cells are empty"]
    if plan.contradicting:
        lines.append(f"{len(plan.contradicting)} answers {'would be ' if dry_run else ''}overwritten (--overwrite):")
        lines += [f"  {each.in_words()}" for each in plan.contradicting]
    if plan.against_labels:
        lines.append(f"{len(plan.against_labels)} answers contradict labels, which stay:")
        lines += [f"  {each.in_words()}" for each in plan.against_labels]
    print_result(values, [*lines, *plan.problems], as_json=as_json)
    if plan.problems:
        raise InvalidTag(f"{file} cannot be imported before these lines are mended")
