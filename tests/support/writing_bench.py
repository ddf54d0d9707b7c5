"""Masks written in one format, and what stands in the files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcnlab.core.images.regions import instance_regions, semantic_regions
from fcnlab.domain.project import ClassLabel
from fcnlab.storage.exports.targets import DatasetWriter, FolderTarget, Spools
from fcnlab.storage.formats.writing import ExportedImage, FormatWriter, Subject

CLASSES = (
    ClassLabel(0, "background", "#0072B2", 0),
    ClassLabel(1, "cell", "#E69F00", 1),
    ClassLabel(4, 'nucléus <&> "core"', "#009E73", 2),
)
"""With a gap in the ids, and a name that every format has to escape in its own way."""

NAMES = np.array([next((label.name for label in CLASSES if label.id == one), "?") for one in range(256)])
HW = (23, 37)


def subject(splits: tuple[str, ...] = ()) -> Subject:
    return Subject("two kinds", CLASSES, (), background=0, splits=splits)


def masks() -> dict[str, NDArray[np.uint8]]:
    """Each with something that is easy to get wrong; never square."""
    hole = np.zeros(HW, np.uint8)
    hole[2:20, 3:30] = 1
    hole[5:9, 6:12] = 0
    hole[11:18, 8:25] = 4
    hole[13:15, 10:14] = 0
    hole[16, 20] = 1
    border = np.full(HW, 1, np.uint8)
    border[:, 0] = border[-1, :] = 4
    border[0, -1] = 0
    dots = np.zeros(HW, np.uint8)
    dots[0, 0] = dots[1, 1] = dots[22, 36] = dots[10, 10] = dots[12, 10] = 1
    dots[0, 36] = dots[11, 11] = 4
    noise = np.random.default_rng(3).choice(np.array([0, 0, 1, 4], np.uint8), HW)
    return {
        "holes.png": hole,
        "border.jpg": border,
        "dots.tif": dots,
        "day/noise.png": noise,
        "empty.png": np.zeros(HW, np.uint8),
        "full.png": np.full(HW, 4, np.uint8),
        "row.png": np.array([[0, 1, 1, 0, 4, 4, 1]], np.uint8),
        "pixel.png": np.array([[1]], np.uint8),
    }


def no_picture() -> NDArray[np.uint8]:
    raise AssertionError("this format looks at no picture")


def no_original() -> Path:
    raise AssertionError("this format looks at no original")


def images(*, instances: bool, splits: Sequence[str] = ("",), **more: Any) -> Iterator[ExportedImage]:
    find = instance_regions if instances else semantic_regions
    for number, (name, mask) in enumerate(masks().items(), start=1):
        yield ExportedImage(
            number=number,
            name=name,
            stem=name.rpartition(".")[0],
            split=splits[number % len(splits)],
            mask=mask,
            regions=find(mask, background=0),
            **{"picture": no_picture, "original": no_original, **more},
        )


def write(make: Callable[[Subject], FormatWriter], folder: Path, written: Sequence[ExportedImage]) -> Path:
    """The folder with all images in this format."""
    splits = tuple(sorted({image.split for image in written} - {""}))
    target = FolderTarget(folder)
    with closing(Spools(target.work)) as spools:
        writer = DatasetWriter(target, spools, [make(subject(splits))])
        for image in written:
            writer.add(image)
        writer.finish()
    target.finish()
    return folder
