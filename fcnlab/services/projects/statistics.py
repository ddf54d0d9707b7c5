"""What was labelled in a project: per image and in all, by whom, and how much of the images each class covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fcnlab.domain.images import ImageInfo
from fcnlab.domain.project import ClassLabel
from fcnlab.errors import ExportFailed
from fcnlab.lab import Lab
from fcnlab.storage.database import repository_images, repository_points, repository_projects
from fcnlab.storage.database.engine import reading
from fcnlab.storage.database.repository_images import count_points_by_class_and_labeller, stored_masks
from fcnlab.storage.files.png import read_mask
from fcnlab.storage.files.whole_files import write_whole
from fcnlab.storage.formats.tables.table import csv_lines


@dataclass(frozen=True, slots=True)
class PointCount:
    """Live points of one class by one labeller."""

    class_id: int
    labeller: str
    count: int


def point_counts(lab: Lab, *, project_id: int) -> tuple[PointCount, ...]:
    """Every pair of class and labeller that has points."""
    with reading(lab.sessions) as session:
        counts = count_points_by_class_and_labeller(session, project_id=project_id)
    return tuple(PointCount(class_id, labeller, count) for (class_id, labeller), count in sorted(counts.items()))


def kept_mask_files(lab: Lab, *, project_id: int) -> tuple[Path, ...]:
    """The files of the masks that done images keep."""
    with reading(lab.sessions) as session:
        masks = stored_masks(session, project_id=project_id)
    return tuple(lab.folders.masks / masks[image_id].file for image_id in sorted(masks))


def pixels_per_class(file: str) -> dict[int, int]:
    """Pixels of each class id in a mask file; {} when it is unreadable."""
    mask = read_mask(Path(file))
    if mask is None:
        return {}
    counts = np.bincount(mask.ravel())
    return {int(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts)}


AT_ONCE = 500
"""Images whose rows are read in one go."""


@dataclass(frozen=True, slots=True)
class ImageStatistics:
    """What was labelled in one image.

    Attributes:
        points: live points by class id.
        labellers: who clicked there, in alphabetical order.
        pixels: pixels by class id of the mask it keeps; empty while it is not done.
    """

    image: ImageInfo
    points: dict[int, int]
    labellers: tuple[str, ...]
    pixels: dict[int, int]


def image_statistics(lab: Lab, *, project_id: int) -> Iterator[ImageStatistics]:
    """Every image of a project in import order, read some at a time. Raises UnknownProject at the first step."""
    with reading(lab.sessions) as session:
        repository_projects.require_project(session, project_id=project_id)
        masks = stored_masks(session, project_id=project_id)
    start = 0
    while True:
        with reading(lab.sessions) as session:
            images = repository_images.images(session, project_id=project_id, start=start, count=AT_ONCE)
            points = {image.id: repository_points.points_of_image(session, image_id=image.id) for image in images}
        if not images:
            return
        start += len(images)
        for image in images:
            kept = masks.get(image.id)
            stored = points[image.id]
            yield ImageStatistics(
                image,
                dict(sorted(Counter(point.point.class_id for point in stored).items())),
                tuple(sorted({point.labeller for point in stored})),
                {} if kept is None else pixels_per_class(str(lab.folders.masks / kept.file)),
            )


def statistics_csv(rows: Sequence[ImageStatistics], labels: Sequence[ClassLabel]) -> bytes:
    """A table with a line per image: UTF-8 with a header, points and share of pixels of every class."""
    table: list[list[object]] = [
        [
            *("image", "height", "width", "state", "labellers"),
            *(f"points {label.name}" for label in labels),
            *(f"share {label.name}" for label in labels),
        ]
    ]
    for row in rows:
        total = sum(row.pixels.values())
        shares = [f"{row.pixels.get(label.id, 0) / total:.6f}" if total else "" for label in labels]
        image = row.image
        table.append(
            [
                *(image.name, image.height, image.width, image.state.value, "; ".join(row.labellers)),
                *(row.points.get(label.id, 0) for label in labels),
                *shares,
            ]
        )
    return csv_lines(table)


def write_statistics(path: Path, rows: Sequence[ImageStatistics], labels: Sequence[ClassLabel]) -> None:
    """Write `statistics_csv`, whole. Raises ExportFailed."""
    try:
        write_whole(path, statistics_csv(rows, labels))
    except OSError as failure:
        raise ExportFailed(f"{path} cannot be written ({failure.strerror}); choose another folder") from failure
