"""RootPainter annotations: red where a class is, green where it is not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fcnlab.adapters.exports.format import Assembly, ExportedImage, Subject, WholeFile

FOREGROUND, BACKGROUND = (255, 0, 0, 180), (0, 255, 0, 180)


@dataclass(frozen=True, slots=True)
class RootPainter:
    """Every pixel is annotated. RootPainter knows one class: of several, each has a folder of annotations.

    Args:
        folders: of the classes by their ids, background left out.
    """

    subject: Subject
    folders: dict[int, str]

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile]:
        """One PNG per class."""
        name = f"annotations/{image.split or 'train'}/{image.stem}.png"
        for label in self.subject.objects():
            if label.id in self.folders:
                above = f"{self.folders[label.id]}/" if len(self.folders) > 1 else ""
                is_class = (image.mask == label.id)[..., None]
                pixels = np.where(is_class, FOREGROUND, BACKGROUND).astype(np.uint8)
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
                yield WholeFile(f"root_painter/{above}{name}", buffer.getvalue())

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())
