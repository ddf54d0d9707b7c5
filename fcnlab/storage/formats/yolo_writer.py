"""YOLO segmentation: a text file per image with a line per polygon, and data.yaml, as Ultralytics reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fcnlab.storage.formats.format import Assembly, ExportedImage, Subject, WholeFile

DIGITS = 7
"""Behind the point: outlines keep half a pixel of distance from every centre, so this is exact for any image."""

_MISLEADING = re.compile(r"(images|labels)_*", re.IGNORECASE)


def yolo_place(image: ExportedImage) -> str:
    """The place of an image and of its labels, where folders called images or labels get an underscore behind them.

    Ultralytics finds labels by the last folder of a path called images, which must be the one above all splits.
    """
    *folders, file = image.place.split("/")
    return "/".join([*(f"{one}_" if _MISLEADING.fullmatch(one) else one for one in folders), file])


@dataclass(frozen=True, slots=True)
class Yolo:
    """`labels/` beside the folder `images/` that the images go to; classes are numbered from 0 without background.

    A region in several pieces has a line for each; holes are joined to the outer ring. Empty files stand for images
    without a region.
    """

    subject: Subject

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One text file."""
        places = {label.id: place for place, label in enumerate(self.subject.objects())}
        lines = []
        for region in image.regions:
            for ring in region.rings:
                shares = ring[:, ::-1] / (image.width, image.height)
                lines.append(f"{places[region.class_id]} {' '.join(_short(one) for one in shares.ravel().tolist())}\n")
        yield WholeFile(f"yolo/labels/{yolo_place(image)}.txt", "".join(lines).encode())

    def of_all(self) -> Iterator[Assembly]:
        """data.yaml; images that are not split are for training and validation alike."""
        splits = {split: f"images/{split}" for split in self.subject.splits}
        if "train" not in splits:
            splits["train"] = "images"
        splits.setdefault("val", splits["train"])
        lines = [*(f"{split}: {folder}" for split, folder in splits.items()), "names:"]
        names = (label.name for label in self.subject.objects())
        lines += [f"  {place}: {json.dumps(name, ensure_ascii=False)}" for place, name in enumerate(names)]
        yield Assembly("yolo/data.yaml", (("\n".join(lines) + "\n").encode(),))


def _short(share: float) -> str:
    return f"{share:.{DIGITS}f}".rstrip("0").rstrip(".")
