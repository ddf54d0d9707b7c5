"""Points in and out as a table: one line per labelled pixel."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from fcnlab.domain.events import Point, PointSource, StoredPoint
from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed, InvalidPoints
from fcnlab.lab import Lab
from fcnlab.services.export.plan import Moment, moment_of
from fcnlab.services.labelling.point_import import Addition, add_points_at_once
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.format import PointRow
from fcnlab.storage.formats.tables.points import PointLine, points_csv, read_points_csv

DEFAULT_LABELLER = "import"


@dataclass(frozen=True, slots=True)
class PointsImported:
    """How many points of a table were added, and how many the project had already."""

    added: int
    known: int


def export_points(lab: Lab, *, project_id: int, to: Path) -> int:
    """Write the table of all live points; returns their number.

    Raises:
        UnknownProject: no such project.
        ExportFailed: the file cannot be written.
    """
    moment = moment_of(lab, project_id=project_id, with_strokes=False)
    try:
        write_whole(to, points_csv(point_rows(moment, moment.images)))
    except OSError as failure:
        raise ExportFailed(
            f"{to} cannot be written ({failure.strerror or failure}); choose another folder"
        ) from failure
    return len(moment.points)


def import_points(lab: Lab, file: Path, *, project_id: int, labeller: str = DEFAULT_LABELLER) -> PointsImported:
    """Add the points of a table, all or none; those the project has already are passed over.

    Args:
        lab: the installation.
        file: columns image, row, col, class or class_id; labeller and source if wanted.
        project_id: where they go.
        labeller: of lines that name none.

    Raises:
        UnknownProject: no such project.
        InvalidPoints: a line is wrong; the message names it. Nothing was added.
    """
    lines = read_points_csv(file)
    with reading(lab.sessions) as session:
        labels = repository_projects.project(session, project_id=project_id).classes
        images = {one.name: one for one in repository_images.images(session, project_id=project_id)}
        known = {
            (one.image_id, one.point) for one in repository_points.points_of_project(session, project_id=project_id)
        }
    additions = []
    for line in lines:
        one = _addition(line, file, images, labels, labeller)
        if (one.image_id, one.point) not in known:
            known.add((one.image_id, one.point))
            additions.append(one)
    add_points_at_once(lab, additions, project_id=project_id)
    return PointsImported(added=len(additions), known=len(lines) - len(additions))


def point_rows(moment: Moment, images: Iterable[ImageInfo]) -> Iterable[PointRow]:
    """The table of points of these images, in the order of image names, rows, columns, classes."""
    by_image = rows_by_image(moment, images, moment.project.class_ids())
    names = {image.id: image.name for image in moment.images}
    for image_id in sorted(by_image, key=names.__getitem__):
        yield from by_image[image_id]


def rows_by_image(moment: Moment, images: Iterable[ImageInfo], class_ids: Collection[int]) -> dict[int, list[PointRow]]:
    """The rows of the table for each of these images with points of these classes, in the order of `point_rows`."""
    names = {image.id: image.name for image in images}
    classes = {label.id: label.name for label in moment.project.classes if label.id in class_ids}

    def place(stored: StoredPoint) -> tuple[object, ...]:
        return stored.point, stored.created_at, stored.labeller, stored.source

    found: dict[int, list[PointRow]] = {}
    for stored in sorted((one for one in moment.points if one.image_id in names), key=place):
        point = stored.point
        if point.class_id in classes:
            row = (
                names[stored.image_id],
                point.row,
                point.col,
                point.class_id,
                classes[point.class_id],
                stored.labeller,
                stored.source.value,
                stored.created_at.isoformat(),
            )
            found.setdefault(stored.image_id, []).append(row)
    return found


def _addition(
    line: PointLine, file: Path, images: dict[str, ImageInfo], labels: tuple[ClassLabel, ...], labeller: str
) -> Addition:
    place, values = f"{file.name}, line {line.line}", line.values
    image = images.get(values["image"])
    if image is None:
        raise InvalidPoints(f"{place}: the project has no image {values['image']!r}; import it first")
    numbers = [_whole(values[column], column, place) for column in ("row", "col")]
    source = values.get("source") or PointSource.IMPORT.value
    if source not in list(PointSource):
        raise InvalidPoints(f"{place}: source {source!r} is none of {', '.join(PointSource)}")
    point = Point(numbers[0], numbers[1], _class_id(values, labels, place))
    return Addition(image.id, point, values.get("labeller") or labeller, PointSource(source), place)


def _class_id(values: dict[str, str], labels: tuple[ClassLabel, ...], place: str) -> int:
    name, number = values.get("class", ""), values.get("class_id", "")
    for label in labels:
        if label.name == name if name else str(label.id) == number.strip():
            return label.id
    known = ", ".join(f"{label.name} ({label.id})" for label in labels)
    raise InvalidPoints(f"{place}: the project has no class {name or number!r}; it has {known}")


def _whole(text: str, column: str, place: str) -> int:
    try:
        return int(text)
    except ValueError as failure:
        raise InvalidPoints(f"{place}: {column} {text!r} is no whole number") from failure
