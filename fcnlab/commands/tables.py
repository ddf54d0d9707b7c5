"""`fcnlab points`: labelled pixels as a table."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import found_project, json_option, opened, print_result, project_option


@click.group()
def points() -> None:
    """Take points in and out as a table.

    CSV with the columns image,row,col,class[,labeller,source]; `fcnlab points import --help` explains them.
    """


@points.command("import")
@project_option
@click.option(
    "--labeller", default="import", show_default=True, help="Whose points they are, where the table is silent."
)
@json_option
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def import_table(ctx: click.Context, wanted: str, labeller: str, as_json: bool, file: Path) -> None:
    """Add the points of a table: all of them, or none when a line is wrong.

    FILE is CSV in UTF-8, with commas and a header. Columns: image (its name in the project), row and col (pixels from
    0, at the upper left), and class (a name) or class_id. labeller and source may be left out; created_at is ignored.
    """
    from fcnlab.services.labelling.point_import import import_points

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        imported = import_points(lab, file, project_id=project.id, labeller=labeller)
    values = {"project": project.id, "added": imported.added, "known": imported.existing}
    print_result(
        values,
        [f"{imported.added} points added to {project.name!r}, {imported.existing} known already"],
        as_json=as_json,
    )


@points.command("export")
@project_option
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="The file, as FILE names it.")
@json_option
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_context
def export_table(ctx: click.Context, wanted: str, output: Path | None, as_json: bool, file: Path | None) -> None:
    """Write all points of a project to a table; a file of the same name is replaced."""
    from fcnlab.services.labelling.point_import import export_points

    if (file is None) == (output is None):
        raise click.UsageError("name one file: as FILE, or with --output")
    file = file or output
    assert file is not None

    with opened(ctx) as lab:
        project = found_project(lab, wanted)
        count = export_points(lab, project_id=project.id, to=file)
    values = {"project": project.id, "points": count, "file": str(file)}
    print_result(values, [f"{count} points of {project.name!r} in {file}"], as_json=as_json)
