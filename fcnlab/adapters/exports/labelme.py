"""LabelMe: a JSON file per image, to lie beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fcnlab.adapters.exports.format import Assembly, ExportedImage, Subject, WholeFile

VERSION = "5.5.0"
"""The version of LabelMe whose files look like this."""


@dataclass(frozen=True, slots=True)
class LabelMe:
    """A polygon per piece; the pieces of one region share a group. Holes are joined to the outer ring."""

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One file."""
        content: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": list(self._shapes(image)),
            "imagePath": image.name.rpartition("/")[2],
            "imageData": None,
            "imageHeight": image.height,
            "imageWidth": image.width,
        }
        yield WholeFile(f"labelme/{image.place}.json", json.dumps(content, ensure_ascii=False).encode())

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())

    def _shapes(self, image: ExportedImage) -> Iterator[dict[str, Any]]:
        for group, region in enumerate(image.regions, start=1):
            for ring in region.rings:
                yield {
                    "label": self.subject.name_of(region.class_id),
                    "points": ring[:, ::-1].tolist(),
                    "group_id": group if len(region.rings) > 1 else None,
                    "description": "",
                    "shape_type": "polygon",
                    "flags": {},
                }
