"""The formats of label files that are read, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fcnlab.adapters.imports.coco import read_coco
from fcnlab.adapters.imports.cvat import read_cvat
from fcnlab.adapters.imports.index_masks import read_index_masks
from fcnlab.adapters.imports.labelled import LabelSource
from fcnlab.adapters.imports.labelme import read_labelme
from fcnlab.adapters.imports.points_table import read_points_table
from fcnlab.adapters.imports.reading import ReadOptions
from fcnlab.adapters.imports.root_painter import read_root_painter
from fcnlab.adapters.imports.yolo import read_yolo


class LabelFormat(StrEnum):
    """A way in which other tools write labels."""

    COCO = "coco"
    INDEX = "index"
    LABELME = "labelme"
    YOLO = "yolo"
    CVAT = "cvat"
    ROOT_PAINTER = "rootpainter"
    POINTS = "points"


@dataclass(frozen=True, slots=True)
class FormatInfo:
    """What people call a format, and what reads it."""

    title: str
    read: Callable[[Path, ReadOptions], LabelSource]


FORMATS: dict[LabelFormat, FormatInfo] = {
    LabelFormat.COCO: FormatInfo("COCO JSON", read_coco),
    LabelFormat.INDEX: FormatInfo("index masks", read_index_masks),
    LabelFormat.LABELME: FormatInfo("LabelMe JSON", read_labelme),
    LabelFormat.YOLO: FormatInfo("YOLO text files", read_yolo),
    LabelFormat.CVAT: FormatInfo("CVAT XML 1.1 for images", read_cvat),
    LabelFormat.ROOT_PAINTER: FormatInfo("RootPainter annotations", read_root_painter),
    LabelFormat.POINTS: FormatInfo("a CSV table of points", read_points_table),
}


def open_labels(path: Path, as_format: LabelFormat, options: ReadOptions) -> LabelSource:
    """The labels in a file or folder. Raises ImportRefused: it is not of that format."""
    return FORMATS[as_format].read(path, options)
