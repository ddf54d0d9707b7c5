"""`fcnlab stats`."""

from __future__ import annotations

from pathlib import Path

import click

from fcnlab.commands.common import answer, found_project, json_option, opened, project_option


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
        found = dashboard(lab, project_id=project.id)
        rows = list(image_statistics(lab, project_id=project.id))
        if table is not None:
            write_statistics(table, rows, project.classes)
    pixels = {label.id: sum(row.pixels.get(label.id, 0) for row in rows) for label in project.classes}
    total = sum(pixels.values())
    classes = [
        {
            "id": label.id,
            "name": label.name,
            "points": found.points_by_class.get(label.id, 0),
            "images": sum(label.id in row.points for row in rows),
            "pixels": pixels[label.id],
            "share": pixels[label.id] / total if total else None,
        }
        for label in project.classes
    ]
    values = {
        "project": project.id,
        "images": {state.value: count for state, count in found.images.items()},
        "points": found.n_points,
        "sources": {source.value: count for source, count in found.points_by_source.items() if count},
        "labellers": found.points_by_labeller,
        "classes": classes,
    }
    states = ", ".join(f"{count} {state.value.replace('_', ' ')}" for state, count in found.images.items())
    lines = [f"{project.name}: {found.n_images} images ({states}), {found.n_points} points"]
    for one in classes:
        share = "" if one["share"] is None else f", {one['share']:.1%} of the done images"
        lines.append(f"  {one['name']}: {one['points']} points in {one['images']} images{share}")
    lines += [f"  by {name}: {count} points" for name, count in found.points_by_labeller.items()]
    answer(values, lines, as_json=as_json)
