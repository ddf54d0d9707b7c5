"""COCO: one JSON file of images, categories and annotations, for each part of a split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pycocotools import mask as coco_mask

from fcnlab.storage.formats.format import (
    Assembly,
    ExportedImage,
    Line,
    Region,
    Spooled,
    Subject,
    category_ids,
    xy,
)


@dataclass(frozen=True, slots=True)
class Coco:
    """Annotations as polygons, or as compressed run lengths.

    Both give the mask to the pixel with pycocotools: corners lie on the corners of pixels, holes are joined to the
    outer ring by a seam. `image_id` is the number of the image in the export; category ids are those of
    `category_ids`, and the background is no category.
    """

    subject: Subject
    is_rle: bool = False

    @property
    def _ids(self) -> dict[int, int]:
        return category_ids(self.subject.objects())

    def of_image(self, image: ExportedImage) -> Iterator[Line]:
        """The image, and one annotation per region."""
        about = {"id": image.number, "file_name": image.name, "height": image.height, "width": image.width}
        yield Line(self._spool("images", image.split), _json(about))
        for region in image.regions:
            yield Line(self._spool("annotations", image.split), self._annotation(image, region), is_numbered=True)

    def of_all(self) -> Iterator[Assembly]:
        """One file per part of a split."""
        categories = [{"id": self._ids[label.id], "name": label.name} for label in self.subject.objects()]
        for split in self.subject.splits or ("",):
            name = f"coco/annotations{'_rle' if self.is_rle else ''}{f'_{split}' if split else ''}.json"
            head = {"info": {"description": self.subject.title}, "licenses": [], "categories": categories}
            yield Assembly(
                name,
                (
                    _json(head)[:-1] + b',\n"images":[\n',
                    Spooled(self._spool("images", split), b","),
                    b'],\n"annotations":[\n',
                    Spooled(self._spool("annotations", split), b","),
                    b"]}\n",
                ),
            )

    def _annotation(self, image: ExportedImage, region: Region) -> bytes:
        size = [image.height, image.width]
        segmentation: Any
        if self.is_rle:
            packed = coco_mask.frPyObjects({"size": size, "counts": region.runs.tolist()}, *size)
            segmentation = {"size": size, "counts": packed["counts"].decode("ascii")}
        else:
            segmentation = [xy(ring) for ring in region.rings]
        return _json(
            {
                "image_id": image.number,
                "category_id": self._ids[region.class_id],
                "iscrowd": 0,
                "area": region.area,
                "bbox": [region.left, region.top, region.width, region.height],
                "segmentation": segmentation,
            }
        )

    def _spool(self, what: str, split: str) -> str:
        return f"coco-{'rle' if self.is_rle else 'polygons'}-{what}-{split}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
