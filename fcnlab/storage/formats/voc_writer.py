"""Pascal VOC: palette PNG, labelmap.txt and lists of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fcnlab.domain.project import IGNORE, ClassLabel
from fcnlab.storage.formats.format import Assembly, ExportedImage, Line, Spooled, Subject, WholeFile, rgb
from fcnlab.storage.formats.index_png import index_png

NO_BACKGROUND = "_background_:0,0,0::"
BORDER_RGB = (224, 224, 192)
"""The colour VOC shows its border in; no class has it, see `palette.recoloured`."""


@dataclass(frozen=True, slots=True)
class Voc:
    """Pixel value = line of labelmap.txt, counted from 0; line 0 is the background, which no pixel has in a project
    without one, for readers of the format never take the value 0 for a class.

    `border` pixels on either side of every edge between classes are 255, which says "do not count this".
    """

    subject: Subject
    border: int = 0

    def of_image(self, image: ExportedImage) -> Iterator[WholeFile | Line]:
        """One PNG, and a line in the list of its split."""
        table = np.full(IGNORE + 1, 0 if self.subject.background is not None else IGNORE, np.uint8)
        table[IGNORE] = IGNORE
        palette = np.zeros((IGNORE + 1, 3), np.uint8)
        for place, label in enumerate(self._labels()):
            if label is not None:
                table[label.id], palette[place] = place, rgb(label)
        palette[IGNORE] = BORDER_RGB
        values = table[image.mask]
        if self.border:
            values[_edges(values, self.border)] = IGNORE
        yield WholeFile(f"voc/SegmentationClass/{image.stem}.png", index_png(values, palette))
        yield Line(f"voc-{image.split}", image.stem.encode())

    def of_all(self) -> Iterator[Assembly]:
        """labelmap.txt, and the lists."""
        lines = ["# label:color_rgb:parts:actions", *(_line(label) for label in self._labels())]
        yield Assembly("voc/labelmap.txt", (("\n".join(lines) + "\n").encode(),))
        for split in self.subject.splits or ("",):
            name = f"voc/ImageSets/Segmentation/{split or 'trainval'}.txt"
            yield Assembly(name, (Spooled(f"voc-{split}"),))

    def _labels(self) -> list[ClassLabel | None]:
        """The class of each pixel value; None of the background that a project lacks."""
        background = (label for label in self.subject.named() if label.id == self.subject.background)
        return [next(background, None), *self.subject.objects()]


def _line(label: ClassLabel | None) -> str:
    if label is None:
        return NO_BACKGROUND
    return f"{label.name.replace(':', '_')}:{','.join(map(str, rgb(label)))}::"


def _edges(values: NDArray[np.uint8], border: int) -> NDArray[np.bool_]:
    """(H, W) bool: pixels at most so far, along rows, columns and diagonals, from one of another value."""
    square = np.ones((2 * border + 1, 2 * border + 1), np.uint8)
    return np.asarray(cv2.morphologyEx(values, cv2.MORPH_GRADIENT, square) > 0)
