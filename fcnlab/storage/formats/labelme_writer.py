"""LabelMe: a JSON file per image, to lie beside it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcnlab.storage.formats.format import Assembly, ExportedImage, Subject, WholeFile
from fcnlab.storage.formats.index_png import grey_png

VERSION = "5.5.0"
"""The version of LabelMe whose files look like this."""


@dataclass(frozen=True, slots=True)
class LabelMe:
    """A shape of the kind `mask` per region, which LabelMe has since 5.3.

    Its polygons would lose pixels: LabelMe draws them with their border, so that no ring of corners gives a mask back.
    """

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
        for region in image.regions:
            last_x, last_y = region.left + region.width - 1, region.top + region.height - 1
            yield {
                "label": self.subject.name_of(region.class_id),
                "points": [[region.left, region.top], [last_x, last_y]],
                "group_id": None,
                "description": "",
                "shape_type": "mask",
                "flags": {},
                "mask": base64.b64encode(grey_png(region.inside.astype(np.uint8) * 255)).decode(),
            }
