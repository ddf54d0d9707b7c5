"""Cityscapes: masks of label ids, the same in colour, polygons as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.adapters.exports.class_table import ClassTable
from fcnlab.adapters.exports.colour_png import colour_png
from fcnlab.adapters.exports.format import Assembly, ExportedImage, Subject, WholeFile
from fcnlab.adapters.exports.index_png import grey_png

CITY, SPLIT = "default", "train"
"""Folders of images that lie in none, and of those that are not split."""


@dataclass(frozen=True, slots=True)
class Cityscapes:
    """`gtFine/<split>/<city>/`: the city is the folder of the image; ids are those of the project, see classes.json."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """Three files."""
        city = "" if "/" in image.stem else f"{CITY}/"
        base = f"cityscapes/gtFine/{image.split or SPLIT}/{city}{image.stem}_gtFine_"
        yield WholeFile(f"{base}labelIds.png", grey_png(image.mask))
        yield WholeFile(f"{base}color.png", colour_png(self.subject.palette()[image.mask]))
        objects = [
            {"label": self.subject.name_of(region.class_id), "polygon": ring[:, ::-1].tolist()}
            for region in image.regions
            for ring in region.rings
        ]
        content = {"imgHeight": image.height, "imgWidth": image.width, "objects": objects}
        yield WholeFile(f"{base}polygons.json", json.dumps(content, ensure_ascii=False).encode())

    def of_all(self) -> Iterator[Assembly]:
        """The classes."""
        return ClassTable(self.subject, "cityscapes/").of_all()
