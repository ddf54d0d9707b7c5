"""RootPainter annotations: red where a class is, green where it is not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fcnlab.domain.project import IGNORE
from fcnlab.storage.formats.format import Assembly, ExportedImage, Subject, WholeFile

FOREGROUND, BACKGROUND, UNKNOWN = (255, 0, 0, 180), (0, 255, 0, 180), (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class RootPainter:
    """Every pixel is annotated but those about which nothing is said.

    RootPainter knows one class: of several, each has a folder of annotations.

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
                table = np.full((IGNORE + 1, 4), BACKGROUND, np.uint8)
                table[label.id], table[IGNORE] = FOREGROUND, UNKNOWN
                pixels = table[image.mask]
                buffer = io.BytesIO()
                Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
                yield WholeFile(f"root_painter/{above}{name}", buffer.getvalue())

    def of_all(self) -> Iterator[Assembly]:
        """Nothing."""
        return iter(())
