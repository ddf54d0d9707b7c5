"""Measurements of regions as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.storage.formats.format import TABLES, Format, Need
from fcnlab.storage.formats.tables.table import csv_lines
from fcnlab.storage.formats.writing import Assembly, ExportedImage, Line, Spooled, Subject


@dataclass(frozen=True, slots=True)
class Measurements:
    """measurements.csv: a row per region, which begins with image, split and number of the region in its image.

    Args:
        subject: names the classes.
        columns: of what follows, in the order of `ExportedImage.measures`, `class_id` first; the name of the class is
            put behind it.
    """

    subject: Subject
    columns: tuple[str, ...]

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The rows of the image in measurements.csv."""
        rows = [
            (image.name, image.split, number, row[0], self.subject.name_of(region.class_id), *row[1:])
            for number, (region, row) in enumerate(zip(image.regions, image.measures(), strict=True), start=1)
        ]
        if rows:
            yield Line("measurements", csv_lines(rows)[:-1])

    def of_all(self) -> Iterator[Assembly]:
        """The file measurements.csv, with its header."""
        header = csv_lines([("image", "split", "region", self.columns[0], "class", *self.columns[1:])])
        yield Assembly("measurements.csv", (header, Spooled("measurements")))


FORMATS = (
    Format(
        "measurements",
        "Measurements CSV",
        "area, perimeter, centre, brightness of each region",
        TABLES,
        330,
        needs=frozenset({Need.REGIONS, Need.PICTURE}),
        write=lambda options: Measurements(options.subject, options.measures),
    ),
)
