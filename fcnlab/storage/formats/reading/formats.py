"""The formats of label files that are read, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from fcnlab.storage.formats.masks.binary_masks import read_binary_masks
from fcnlab.storage.formats.masks.colour_masks import read_colour_masks
from fcnlab.storage.formats.masks.index_masks import read_index_masks
from fcnlab.storage.formats.masks.root_painter import read_root_painter
from fcnlab.storage.formats.reading.labelled import LabelSource
from fcnlab.storage.formats.reading.values import ReadOptions
from fcnlab.storage.formats.shapes.cityscapes import read_cityscapes
from fcnlab.storage.formats.shapes.coco import read_coco
from fcnlab.storage.formats.shapes.cvat import read_cvat
from fcnlab.storage.formats.shapes.label_studio import read_label_studio
from fcnlab.storage.formats.shapes.labelme import read_labelme
from fcnlab.storage.formats.shapes.voc import read_voc
from fcnlab.storage.formats.shapes.yolo import read_yolo
from fcnlab.storage.formats.tables.points import read_points_table


class LabelFormat(StrEnum):
    """A way in which other tools write labels."""

    COCO = "coco"
    INDEX = "index"
    COLOUR = "colour"
    BINARY = "binary"
    YOLO = "yolo"
    VOC = "voc"
    CITYSCAPES = "cityscapes"
    LABELME = "labelme"
    CVAT = "cvat"
    LABEL_STUDIO = "labelstudio"
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
    LabelFormat.COLOUR: FormatInfo("colour masks", read_colour_masks),
    LabelFormat.BINARY: FormatInfo("black and white masks", read_binary_masks),
    LabelFormat.YOLO: FormatInfo("YOLO text files", read_yolo),
    LabelFormat.VOC: FormatInfo("Pascal VOC", read_voc),
    LabelFormat.CITYSCAPES: FormatInfo("Cityscapes", read_cityscapes),
    LabelFormat.LABELME: FormatInfo("LabelMe JSON", read_labelme),
    LabelFormat.CVAT: FormatInfo("CVAT XML 1.1 for images", read_cvat),
    LabelFormat.LABEL_STUDIO: FormatInfo("Label Studio JSON", read_label_studio),
    LabelFormat.ROOT_PAINTER: FormatInfo("RootPainter annotations", read_root_painter),
    LabelFormat.POINTS: FormatInfo("a CSV table of points", read_points_table),
}


def open_labels(path: Path, as_format: LabelFormat, options: ReadOptions) -> LabelSource:
    """The labels in a file or folder. Raises ImportRefused: it is not of that format."""
    return FORMATS[as_format].read(path, options)
