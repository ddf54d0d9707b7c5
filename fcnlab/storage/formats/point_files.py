"""The points of an export: one table, and one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.storage.exports.table import csv_lines
from fcnlab.storage.formats.format import Assembly, ExportedImage, Line, Spooled, Subject
from fcnlab.storage.formats.points_csv import COLUMNS


@dataclass(frozen=True, slots=True)
class PointsTable:
    """points.csv: one line per labelled pixel."""

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The points of the image."""
        if image.points:
            yield Line("points-csv", csv_lines(image.points)[:-1])

    def of_all(self) -> Iterator[Assembly]:
        """The table."""
        yield Assembly("points.csv", (csv_lines([COLUMNS]), Spooled("points-csv")))


@dataclass(frozen=True, slots=True)
class PointsJson:
    """points.json: the classes, and for each image its size and its points."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The image with its points."""
        points = [dict(zip(COLUMNS[1:], row[1:], strict=True)) for row in image.points]
        about = {"image": image.name, "height": image.height, "width": image.width, "points": points}
        yield Line("points-json", json.dumps(about, ensure_ascii=False).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The document."""
        classes = [{"id": label.id, "name": label.name, "colour": label.colour} for label in self.subject.classes]
        head = json.dumps({"format": "fcnlab-points", "classes": classes}, ensure_ascii=False).encode()
        yield Assembly("points.json", (head[:-1] + b',\n"images": [\n', Spooled("points-json", b","), b"]}\n"))
